"""Checks at the borders between outcomes: what the evidence names, muting, and that all is seeded."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from headtohead.audit.leaks import Duplicates, Placed
from headtohead.checks import published
from headtohead.checks.backbone import structure
from headtohead.checks.context import CheckContext
from headtohead.checks.learning import sign_test
from headtohead.checks.result import CheckResult, judged, mute, not_judged
from headtohead.checks.sanity import CHECKS, run_check
from headtohead.checks.trials import num_arrangements, permutation_p
from headtohead.contenders import contenders_of
from headtohead.contenders.base import Job, mixed_sample
from headtohead.core.messages import Message
from headtohead.dataset.batches import ImageBatches
from headtohead.images.folder import Sample
from headtohead.images.transforms import Preprocess
from headtohead.models.backbones import state_hash
from headtohead.models.cnn import build_cnn

CODES = {check.__name__: code for code, check in CHECKS.items()}


@pytest.fixture(scope="module")
def cnn(job: Job) -> CheckContext:
    return contenders_of(job.settings)["cnn"].context(job, "cnn")


@pytest.fixture(scope="module")
def probe(job: Job) -> CheckContext:
    return contenders_of(job.settings)["probe"].context(job, "probe")


def fresh(context: CheckContext, **changes: object) -> CheckContext:
    """A copy without anything computed."""
    return dataclasses.replace(context, **changes)


def answer(check: str, context: CheckContext) -> CheckResult:
    return run_check(CODES[check], context)


@pytest.fixture(scope="module")
def results(cnn: CheckContext, probe: CheckContext) -> list[CheckResult]:
    return [run_check(code, context) for context in (cnn, probe) for code in CHECKS]


def test_the_gate_gives_the_same_numbers_twice_and_changes_nothing(
    cnn: CheckContext, probe: CheckContext, results: list[CheckResult]
) -> None:
    state = torch.get_rng_state().tolist()
    before = [state_hash(context.build().state_dict()) for context in (cnn, probe)]
    again = [run_check(code, context) for context in (fresh(cnn), fresh(probe)) for code in CHECKS]
    assert [json.dumps(result.to_json()) for result in again] == [json.dumps(result.to_json()) for result in results]
    assert [state_hash(context.build().state_dict()) for context in (cnn, probe)] == before
    assert torch.get_rng_state().tolist() == state


def test_no_check_stops_the_sound_job(results: list[CheckResult]) -> None:
    assert [result for result in results if not result.passed] == []
    assert {result.outcome for result in results} <= {"passed", "not_applicable", "tip"}


def test_the_json_has_text_and_values_beside_the_english_sentence(cnn: CheckContext) -> None:
    entry = answer("loss_at_initialisation", cnn).to_json()
    assert (entry["code"], entry["check"], entry["contender"]) == ("HH011", "loss_at_initialisation", "cnn")
    assert entry["passed"]
    assert entry["threshold"] == entry["needed"]
    for name in ("needed", "evidence", "advice"):
        message = entry[f"{name}_message"]
        assert message["text"].format(**message["values"]) == entry[name]
    json.dumps(entry, allow_nan=False)


def test_muted_issues_and_tips_are_ignored_and_nothing_else() -> None:
    issue = dataclasses.replace(judged(False, 1.0, Message("0"), Message("e"), Message("a")), code="HH001").to_json()
    assert mute(issue, ()) == mute(issue, ("HH002",)) == issue
    assert (mute(issue, ("HH001",))["outcome"], mute(issue, ("HH001",))["passed"]) == ("ignored", True)
    assert mute(mute(issue, ("HH001",)), ()) == issue
    skipped = dataclasses.replace(not_judged("skipped", Message("why")), code="HH001").to_json()
    assert mute(skipped, ("HH001",)) == skipped


@pytest.mark.parametrize("seed", range(4))
def test_a_net_that_prefers_a_class_by_chance_starts_well_whatever_the_labels(cnn: CheckContext, seed: int) -> None:
    build = lambda: build_cnn("small", len(cnn.index.classes), 4, 0.3, seed)  # noqa: E731
    result = answer("loss_at_initialisation", fresh(cnn, build=build))
    assert result.passed, result
    # The labels do not enter at all.
    images, labels = cnn.checked
    relabelled = fresh(cnn, build=build)
    relabelled.__dict__["checked"] = (images, torch.zeros_like(labels))
    assert answer("loss_at_initialisation", relabelled).value == result.value


def test_a_wrong_number_of_outputs_fails_at_initialisation(cnn: CheckContext) -> None:
    build = lambda: build_cnn("small", len(cnn.index.classes) + 1, 4, 0.0, 0)  # noqa: E731
    assert answer("loss_at_initialisation", fresh(cnn, build=build)).outcome == "issue"


def drawings(folder: Path, ink: int, paper: int) -> tuple[ImageBatches, list[Sample], Preprocess]:
    """32 images of thin strokes, normalised by ImageNet's statistics."""
    rng, samples, pixels = np.random.default_rng(0), [], []
    for number in range(32):
        image = np.full((32, 32, 3), paper, dtype=np.uint8)
        image[rng.integers(4, 28), 4:28] = ink
        image[4:28, rng.integers(4, 28)] = ink
        Image.fromarray(image).save(folder / f"{number}.png")
        samples.append(Sample(f"{number}.png", number % 2, "train", str(number)))
        pixels.append(image)
    to = Preprocess(32, "bilinear", 1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    return ImageBatches(pixels, np.arange(32) % 2, to, batch_size=32), samples, to


@pytest.mark.parametrize(("ink", "paper"), [(255, 0), (0, 255)])
def test_drawings_with_the_statistics_of_photographs_are_normalised_right(
    probe: CheckContext, tmp_path: Path, ink: int, paper: int
) -> None:
    batches, samples, to = drawings(tmp_path, ink, paper)
    context = fresh(
        probe, plain=batches, samples=tuple(samples), root=tmp_path, preprocess=to, statistics=(to.mean, to.std)
    )
    assert answer("input_is_normalised", context).outcome == "not_applicable"
    assert answer("input_as_pretrained", context).outcome == "passed"
    assert answer("input_is_the_file", context).outcome == "passed"


def test_one_picture_under_two_classes_is_named_and_is_a_tip(cnn: CheckContext) -> None:
    images, labels = cnn.checked
    other = int((labels != labels[0]).nonzero()[0, 0])
    images = images.clone()
    images[other] = images[0]
    context = fresh(cnn)
    context.__dict__["checked"] = (images, labels)
    result = answer("overfits_few_images", context)
    assert result.outcome == "tip"
    assert cnn.first[0].file in str(result.evidence)
    assert cnn.first[other].file in str(result.evidence)
    assert "learning rate" not in str(result.advice)


@pytest.mark.parametrize(("kind", "outcome"), [("near", "tip"), ("mirrored", "passed")])
def test_a_near_copy_under_another_class_is_a_tip_and_a_mirrored_one_is_another_picture(
    cnn: CheckContext, kind: str, outcome: str
) -> None:
    other = int((cnn.labels != cnn.labels[0]).nonzero()[0, 0])
    pair = Placed(kind, cnn.first[0].file, cnn.first[other].file, 1.5, "", "across classes")
    index = dataclasses.replace(cnn.index, duplicates=Duplicates((pair,)))
    assert answer("overfits_few_images", fresh(cnn, index=index)).outcome == outcome


def test_pictures_that_are_all_the_same_cannot_be_memorised(cnn: CheckContext) -> None:
    images, labels = cnn.checked
    context = fresh(cnn)
    context.__dict__["checked"] = (torch.ones_like(images), labels)
    assert answer("overfits_few_images", context).outcome == "issue"
    assert answer("outputs_are_logits", context).outcome == "skipped"


def test_however_rare_a_class_is_it_is_among_the_first_images(job: Job) -> None:
    labels = [sample.label for sample in mixed_sample(job, "train", 5).samples]
    assert set(labels[:4]) == {0, 1, 2, 3}
    everything = mixed_sample(job, "train", 10_000).samples
    assert sorted(sample.file for sample in everything) == sorted(sample.file for sample in job.samples("train"))


def test_images_of_one_class_prove_nothing(cnn: CheckContext) -> None:
    images, labels = cnn.checked
    context = fresh(cnn)
    context.__dict__["checked"] = (images, torch.zeros_like(labels))
    assert answer("overfits_few_images", context).outcome == "skipped"


def test_nan_never_passes(cnn: CheckContext) -> None:
    images, labels = cnn.checked
    images = images.clone()
    images[0] = float("nan")
    context = fresh(cnn)
    context.__dict__["checked"] = (images, labels)
    for check in ("input_is_normalised", "input_as_pretrained", "loss_at_initialisation"):
        result = answer(check, context)
        assert result.outcome == "issue", check
        assert result.value == -1


def test_an_unused_layer_is_named(cnn: CheckContext) -> None:
    def unused() -> nn.Module:
        net = cnn.build()
        net.spare = nn.Linear(2, 2)
        return net

    result = answer("gradients_where_they_belong", fresh(cnn, build=unused))
    assert result.outcome == "issue"
    assert "no gradient: spare.weight" in str(result.evidence)


def test_a_near_copy_in_two_splits_is_a_leak_and_one_within_a_class_is_none(cnn: CheckContext) -> None:
    pair = Placed("near", "a/1", "a/2", 1.5, "1.5 levels apart", "across splits")
    leaky = dataclasses.replace(cnn.index, duplicates=Duplicates((pair,), (("a/1", "a/2"),), ("a/2",)))
    result = answer("no_image_in_two_splits", fresh(cnn, index=leaky))
    assert not result.passed
    assert "a/1 ~ a/2 (near: 1.5 levels apart)" in str(result.evidence)
    inside = dataclasses.replace(cnn.index, duplicates=Duplicates((dataclasses.replace(pair, where="within a class"),)))
    assert answer("no_image_in_two_splits", fresh(cnn, index=inside)).passed


def test_random_matrices_have_no_structure_and_a_strong_direction_has() -> None:
    torch.manual_seed(0)
    for spread in (0.02, 1.0):
        layer = nn.Linear(128, 64)
        nn.init.normal_(layer.weight, std=spread)
        assert structure(layer) == pytest.approx(1, abs=0.1)
    with torch.no_grad():
        layer.weight += 0.5 * torch.outer(torch.randn(64).sign(), torch.randn(128).sign())
    assert structure(layer) > 1.5


def test_a_permutation_test_knows_when_predictions_know_nothing() -> None:
    rng = np.random.default_rng(0)
    labels = rng.permutation([0] * 57 + [1] * 3)  # 95 to 5
    always = np.tile([3.0, 0.0], (60, 1))  # accuracy 0.95
    assert permutation_p(always, labels) == 1
    hints = always + np.outer(labels == 1, [-1.0, 1.0])  # the accuracy is the same, the rare class more probable
    assert permutation_p(hints, labels) < 0.001
    ps = [permutation_p(rng.normal(size=(40, 4)), rng.integers(0, 4, 40)) for _ in range(30)]
    assert 0.25 < np.mean(ps) < 0.75
    assert num_arrangements(np.array([0, 0, 1, 1])) == pytest.approx(6)
    assert sign_test(10, 0) == pytest.approx(2**-10)


def test_too_few_images_of_tune_prove_nothing(cnn: CheckContext) -> None:
    few = ImageBatches(cnn.tune.images, cnn.tune.labels[:4].numpy(), cnn.preprocess, batch_size=4)
    result = answer("learns_more_than_the_majority", fresh(cnn, tune=few))
    assert result.outcome == "skipped"
    assert "only 4 images" in str(result.evidence)


@pytest.mark.parametrize(("name", "outcome"), [("test_vit", "tip"), ("test_vit.r160_in1k", "issue")])
def test_own_weights_under_a_name_without_a_tag_do_not_claim_to_be_the_published_ones(
    probe: CheckContext, monkeypatch: pytest.MonkeyPatch, name: str, outcome: str
) -> None:
    assert probe.backbone is not None
    weights = dataclasses.replace(probe.backbone.weights, name=name, source="given")
    monkeypatch.setitem(published.NORMS, name, {"pos_embed": 1.0})
    context = fresh(probe, backbone=dataclasses.replace(probe.backbone, weights=weights))
    assert answer("weights_are_the_published_ones", context).outcome == outcome
