"""Views and batches as functions of (seed, epoch, index)."""

import numpy as np
import pytest
import torch
from torchvision.transforms import v2
from torchvision.transforms.functional import InterpolationMode

from headtohead.data.batches import FeatureBatches, ImageBatches
from headtohead.data.views import Preprocess, crop_box, generator, normalise, own_preprocess, plain_view, random_view

TO = Preprocess(16, "bilinear", 1.0, (0.5, 0.4, 0.3), (0.2, 0.25, 0.3))
RNG = np.random.default_rng(0)
IMAGES = [RNG.integers(0, 256, (24 + n % 3, 30, 3), dtype=np.uint8) for n in range(11)]
LABELS = np.arange(11)


def all_of(batches: ImageBatches, epoch: int) -> torch.Tensor:
    return torch.cat([x for x, _ in batches(epoch)])


def batches(seed: int | None = 0, workers: int = 0, shuffle: bool = True, first_index: int = 0) -> ImageBatches:
    return ImageBatches(
        IMAGES,
        LABELS,
        TO,
        batch_size=4,
        seed=seed,
        shuffle=shuffle,
        min_area=0.3,
        workers=workers,
        first_index=first_index,
    )


def test_epochs_differ_runs_agree_seeds_differ() -> None:
    assert torch.equal(all_of(batches(), 3), all_of(batches(), 3))
    assert not torch.equal(all_of(batches(), 3), all_of(batches(), 4))
    assert not torch.equal(all_of(batches(), 3), all_of(batches(seed=1), 3))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # fork with threads: torch's loader, not ours
def test_workers_do_not_matter() -> None:
    assert torch.equal(all_of(batches(workers=0), 2), all_of(batches(workers=2), 2))


def test_a_view_depends_on_the_number_of_the_image_not_on_its_batch() -> None:
    later = ImageBatches(IMAGES[4:], LABELS[4:], TO, batch_size=3, seed=0, min_area=0.3, first_index=4)
    assert torch.equal(all_of(batches(shuffle=False), 1)[4:], all_of(later, 1))


def test_evaluation_images_are_all_there_plain_and_the_same_each_time() -> None:
    plain = batches(seed=None, shuffle=False)
    assert torch.equal(all_of(plain, 0), all_of(plain, 1))
    assert len(all_of(plain, 0)) == 11
    assert len(plain) == 3


def test_training_batches_are_whole_and_without_repetition() -> None:
    labels = [y for _, y in batches()(0)]
    assert [len(y) for y in labels] == [4, 4]
    assert len(set(torch.cat(labels).tolist())) == 8
    assert len(batches()) == 2


def test_loading_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    all_of(batches(), 0)
    assert torch.equal(before, torch.get_rng_state())


def test_crop_boxes_have_the_distribution_of_torchvision() -> None:
    ours = np.array([crop_box(generator(n), 120, 160, 0.3) for n in range(4000)])
    torch.manual_seed(0)
    image = torch.zeros(3, 120, 160)
    theirs = (
        np.array([v2.RandomResizedCrop.get_params(image, [0.3, 1.0], [3 / 4, 4 / 3]) for _ in range(4000)])
        if hasattr(v2.RandomResizedCrop, "get_params")
        else None
    )
    if theirs is None:
        from torchvision.transforms import RandomResizedCrop

        theirs = np.array([RandomResizedCrop.get_params(image, [0.3, 1.0], [3 / 4, 4 / 3]) for _ in range(4000)])
    for column in range(4):
        assert ours[:, column].mean() == pytest.approx(theirs[:, column].mean(), rel=0.05)
        assert ours[:, column].std() == pytest.approx(theirs[:, column].std(), rel=0.08)
    assert (ours[:, 0] + ours[:, 2] <= 120).all()
    assert (ours[:, 1] + ours[:, 3] <= 160).all()


def test_an_extreme_aspect_falls_back_to_the_centre() -> None:
    top, left, height, width = crop_box(generator(0), 10, 400, 1.0)
    assert (top, height) == (0, 10)
    assert width == round(10 * 4 / 3)
    assert left == (400 - width) // 2


def test_plain_view_is_torchvisions_resize_and_centre_crop() -> None:
    to = Preprocess(20, "bicubic", 0.9, TO.mean, TO.std)
    image = RNG.integers(0, 256, (60, 80, 3), dtype=np.uint8)
    tensor = torch.from_numpy(image).permute(2, 0, 1)
    expected = v2.Compose([v2.Resize(22, InterpolationMode.BICUBIC, antialias=True), v2.CenterCrop(20)])(tensor)
    assert torch.equal(plain_view(image, to), expected)


def test_normalise_is_torchvisions() -> None:
    views = torch.stack([random_view(image, TO, 0.5, 1) for image in IMAGES])
    expected = v2.Normalize(TO.mean, TO.std)(views.float() / 255)
    torch.testing.assert_close(normalise(views, TO), expected)


def test_own_statistics_give_mean_zero_and_spread_one() -> None:
    to = own_preprocess(IMAGES, 16)
    x = normalise(torch.stack([plain_view(image, to) for image in IMAGES]), to)
    assert x.mean().item() == pytest.approx(0, abs=1e-2)
    assert x.std().item() == pytest.approx(1, abs=1e-2)


def test_feature_batches_draw_views_and_keep_labels() -> None:
    features = torch.arange(3 * 10).reshape(3, 10, 1).float()  # view v of image i is 10 v + i
    seen = set()
    for x, y in FeatureBatches(features, np.arange(10), batch_size=4, seed=0)(0):
        assert torch.equal(x[:, 0] % 10, y.float())
        seen |= {int(v) for v in x[:, 0] // 10}
    assert len(seen) > 1
    ((x, y),) = FeatureBatches(features, np.arange(10))(0)
    assert torch.equal(x, features[0])
    assert torch.equal(y, torch.arange(10))
