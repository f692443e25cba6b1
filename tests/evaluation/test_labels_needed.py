"""Labels needed to match the other, against closed forms and in simulations."""

import numpy as np
import pytest

from headtohead.evaluation.labels_needed import labels_needed, labels_to_reach, monotone

LABELS = np.array([5.0, 10.0, 20.0, 50.0, 100.0, 200.0])


def line(labels: np.ndarray, shift: float = 1.0) -> np.ndarray:
    """Accuracy linear in log n; the curve shifted by 4 needs a quarter of the labels."""
    return 0.2 + 0.06 * np.log2(shift * labels)


def exact(means: dict[str, np.ndarray], confidence: float = 0.95) -> list[dict]:
    return labels_needed(LABELS, means, {name: mean[None] for name, mean in means.items()}, confidence)


@pytest.mark.parametrize(("ahead", "behind"), [("probe", "cnn"), ("cnn", "probe")])
def test_of_two_parallel_lines_the_lower_one_needs_the_shift(ahead: str, behind: str) -> None:
    means = {"cnn": line(LABELS), "probe": line(LABELS)} | {ahead: line(LABELS, 4)}
    rows = exact(means)
    assert {(row["leader"], row["follower"]) for row in rows} == {(ahead, behind)}
    for row in rows:
        if 4 * row["labels"] <= LABELS[-1]:
            assert row["needed"] == pytest.approx(4 * row["labels"])
            assert row["low"] == row["high"] == row["needed"]
            assert row["reached"] == 1
        else:
            assert (row["needed"], row["low"], row["high"], row["reached"]) == (None, None, None, 0)
        assert row["goal"] == pytest.approx(line(row["labels"], 4))


def test_the_leader_may_change_with_the_size() -> None:
    steep = 0.1 + 0.1 * np.log2(LABELS)
    assert [row["leader"] for row in exact({"cnn": steep, "probe": line(LABELS)})] == ["probe"] + ["cnn"] * 5


def test_a_curve_that_falls_by_noise_is_made_monotone() -> None:
    assert monotone(np.array([[0.3, 0.2, 0.4], [0.1, 0.2, 0.3]])) == pytest.approx(
        np.array([[0.25, 0.25, 0.4], [0.1, 0.2, 0.3]])
    )
    curve = monotone(np.array([[0.2, 0.5, 0.4, 0.6]]))  # flat at 0.45 from the second size on
    assert labels_to_reach(np.array([0.45]), curve, LABELS[:4])[0] == pytest.approx(10.0)


def test_an_end_of_the_interval_beyond_the_sizes_is_none() -> None:
    means = {"cnn": line(LABELS), "probe": line(LABELS, 4)}
    height = np.array([-0.09, -0.03, 0.0, 0.03])[:, None]  # of the CNN's curve in four resamples
    resampled = {"cnn": means["cnn"] + height, "probe": np.tile(means["probe"], (4, 1))}
    row = labels_needed(LABELS, means, resampled, 0.95)[3]  # 200 of 200 labels
    assert row["needed"] == pytest.approx(200)
    assert row["low"] == pytest.approx(200 / 2**0.5)
    assert row["high"] is None
    assert row["reached"] == 0.5


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Draws and images are random and crossed, and both are resampled, as `crossed_resamples` does."""
    rng, draws, images, resamples = np.random.default_rng(0), 5, 200, 100
    covered = []
    for _ in range(100):
        truth = np.stack([line(LABELS), line(LABELS, 4)])  # (2, sizes)
        probability = truth[..., None] + rng.normal(0, 0.03, (2, len(LABELS), draws))
        difficulty = rng.uniform(-0.15, 0.15, images)  # shared by all draws and both contenders
        right = rng.random((*probability.shape, images)) < probability[..., None] + difficulty
        means = dict(zip(("cnn", "probe"), right.mean(axis=(2, 3)), strict=True))
        of_images = rng.multinomial(images, [1 / images] * images, size=resamples) / images
        of_draws = rng.multinomial(draws, [1 / draws] * draws, size=resamples) / draws
        values = np.einsum("csdr,rd->crs", right @ of_images.T, of_draws)
        resampled = dict(zip(("cnn", "probe"), values, strict=True))
        row = labels_needed(LABELS, means, resampled, 0.9)[1]  # 10 labels; the CNN needs 40
        covered.append((row["low"] or np.inf) <= 40 <= (row["high"] or np.inf))
    assert 0.82 <= np.mean(covered) <= 0.98
