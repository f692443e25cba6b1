"""Views and batches as functions of (seed, epoch, index)."""

import threading

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp
from torchvision.transforms import RandomResizedCrop, v2
from torchvision.transforms.functional import InterpolationMode

from headtohead.dataset.batches import CROP, FeatureBatches, ImageBatches
from headtohead.images.transforms import (
    NUM_CROP,
    Preprocess,
    crop_boxes,
    normalise,
    own_preprocess,
    plain_view,
    random_views,
    splitmix64,
    uniforms,
)

TO = Preprocess(16, "bilinear", 1.0, (0.5, 0.4, 0.3), (0.2, 0.25, 0.3))
RNG = np.random.default_rng(0)
IMAGES = [RNG.integers(0, 256, (24 + n % 3, 30, 3), dtype=np.uint8) for n in range(11)]
LABELS = np.arange(11)


def all_of(batches: ImageBatches, epoch: int) -> torch.Tensor:
    return torch.cat([x for x, _ in batches(epoch)])


def batches(seed: int | None = 0, workers: int = 0, shuffle: bool = True) -> ImageBatches:
    return ImageBatches(IMAGES, LABELS, TO, batch_size=4, seed=seed, shuffle=shuffle, min_area=0.3, workers=workers)


def test_epochs_differ_runs_agree_seeds_differ() -> None:
    assert torch.equal(all_of(batches(), 3), all_of(batches(), 3))
    assert not torch.equal(all_of(batches(), 3), all_of(batches(), 4))
    assert not torch.equal(all_of(batches(), 3), all_of(batches(seed=1), 3))


@pytest.mark.parametrize("shuffle", [True, False])
def test_workers_do_not_matter(shuffle: bool) -> None:
    inline, one, three = (all_of(batches(workers=workers, shuffle=shuffle), 2) for workers in (0, 1, 3))
    assert torch.equal(inline, one)
    assert torch.equal(inline, three)


def test_a_view_depends_on_seed_epoch_and_number_of_the_image_alone() -> None:
    """It does not depend on its batch, its place in the batch, or the number of images."""
    all_views = all_of(batches(shuffle=False), 1)
    fewer = ImageBatches(IMAGES[:5], LABELS[:5], TO, batch_size=2, seed=0, min_area=0.3)
    assert torch.equal(all_views[:5], all_of(fewer, 1))
    for x, y in batches()(1):
        assert torch.equal(x, all_views[y])
    for other in (all_of(batches(shuffle=False), 2), all_of(batches(seed=1, shuffle=False), 1)):
        assert not any(torch.equal(a, b) for a, b in zip(all_views, other, strict=True))


@pytest.mark.parametrize("flip", [True, False])
def test_views_are_torchvisions_crop_resized_and_mirrored(flip: bool) -> None:
    """The views equal torchvision's operations at the boxes that the uniform numbers give."""
    index = np.arange(len(IMAGES))
    views = random_views(IMAGES, TO, 0.3, flip, index, CROP, 5, 7)
    u = uniforms(index, NUM_CROP + 1, CROP, 5, 7)
    boxes = crop_boxes(u[:, :NUM_CROP], np.array([image.shape[:2] for image in IMAGES]), 0.3)
    mirrored = u[:, NUM_CROP] < 0.5
    assert 0 < mirrored.sum() < len(IMAGES)
    for i, image in enumerate(IMAGES):
        tensor = torch.from_numpy(image).permute(2, 0, 1)
        crop = v2.functional.resized_crop(tensor, *boxes[i].tolist(), [16, 16], InterpolationMode.BILINEAR, True)
        assert torch.equal(views[i], v2.functional.horizontal_flip(crop) if flip and mirrored[i] else crop)


def test_without_flip_no_view_of_any_epoch_is_mirrored() -> None:
    """Every image is darker on its left; without flip the crops are the same, but mirrored ones are turned back."""
    ramp = np.repeat(np.linspace(0, 255, 30).astype(np.uint8)[None, :, None], 24, axis=0).repeat(3, axis=2)
    options = {"batch_size": 4, "seed": 0, "min_area": 0.5}
    as_they_are, flipped = (ImageBatches([ramp] * 11, LABELS, TO, **options, flip=flip) for flip in (False, True))
    num_mirrored = 0
    for epoch in range(20):
        for a, b in zip(all_of(as_they_are, epoch), all_of(flipped, epoch), strict=True):
            assert a[:, :, -1].mean() > a[:, :, 0].mean()
            is_mirrored = bool(b[:, :, -1].mean() < b[:, :, 0].mean())
            assert torch.equal(a, b.flip(2) if is_mirrored else b)
            num_mirrored += is_mirrored
    assert num_mirrored == pytest.approx(110, abs=30)  # of 220, four standard deviations


def test_the_generator_is_splitmix64() -> None:
    """Expected: the author's reference implementation (prng.di.unimi.it/splitmix64.c) with the seed 1234567."""
    expected = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert splitmix64(1234567, np.arange(1, 6, dtype=np.uint64)).tolist() == expected


def test_an_error_while_preparing_ahead_is_raised_in_the_loop_and_the_thread_ends() -> None:
    class Broken:
        def __len__(self) -> int:
            return 11

        def __getitem__(self, i: int) -> np.ndarray:
            if i == 9:
                raise OSError("disk failure")
            return IMAGES[i]

    received = []
    with pytest.raises(OSError, match="disk failure"):
        received.extend(ImageBatches(Broken(), LABELS, TO, batch_size=4, workers=1)(0))
    assert len(received) == 2
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


def test_closing_unfinished_batches_ends_their_threads() -> None:
    unfinished = batches(workers=2)(0)
    next(unfinished)
    assert [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]
    unfinished.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


def test_evaluation_batches_hold_all_images_plain_in_every_epoch() -> None:
    plain = batches(seed=None, shuffle=False)
    assert torch.equal(all_of(plain, 0), all_of(plain, 1))
    assert len(all_of(plain, 0)) == 11
    assert len(plain) == 3


def test_training_batches_are_full_and_without_repetition() -> None:
    labels = [y for _, y in batches()(0)]
    assert [len(y) for y in labels] == [4, 4]
    assert len(set(torch.cat(labels).tolist())) == 8
    assert len(batches()) == 2


def test_loading_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    all_of(batches(), 0)
    assert torch.equal(before, torch.get_rng_state())


def test_crop_boxes_have_the_distribution_of_torchvision() -> None:
    """Column by column, by a two-sample Kolmogorov-Smirnov test; the seeds are fixed, so chance plays no part."""
    n = 4000
    for height, width, min_area in ((120, 160, 0.3), (160, 60, 0.8), (30, 400, 0.08)):
        u = uniforms(np.arange(n), NUM_CROP, 0)
        ours = crop_boxes(u, np.tile([height, width], (n, 1)), min_area)
        torch.manual_seed(0)
        image = torch.zeros(3, height, width)
        theirs = np.array([RandomResizedCrop.get_params(image, [min_area, 1.0], [3 / 4, 4 / 3]) for _ in range(n)])
        for column in range(4):
            assert ks_2samp(ours[:, column], theirs[:, column]).pvalue > 0.001, (height, width, column)
        assert (ours >= 0).all()
        assert (ours[:, 0] + ours[:, 2] <= height).all()
        assert (ours[:, 1] + ours[:, 3] <= width).all()


def test_uniform_numbers_are_uniform_and_unrelated() -> None:
    u = uniforms(np.arange(20_000), 5, 1, 2, 3)
    for column in u.T:
        assert np.histogram(column, 10, (0, 1))[0] == pytest.approx(2000, rel=0.1)
    assert np.abs(np.corrcoef(u.T) - np.eye(5)).max() < 0.03
    assert abs(np.corrcoef(u[:-1, 0], u[1:, 0])[0, 1]) < 0.03


@pytest.mark.parametrize(("height", "width"), [(10, 400), (400, 10), (1, 1)])
def test_an_extreme_aspect_falls_back_to_the_centre_as_in_torchvision(height: int, width: int) -> None:
    boxes = crop_boxes(uniforms(np.arange(3), NUM_CROP, 0), np.tile([height, width], (3, 1)), 1.0)
    expected = RandomResizedCrop.get_params(torch.zeros(3, height, width), [1.0, 1.0], [3 / 4, 4 / 3])
    assert boxes.tolist() == [list(expected)] * 3


def test_plain_view_is_torchvisions_resize_and_centre_crop() -> None:
    to = Preprocess(20, "bicubic", 0.9, TO.mean, TO.std)
    image = RNG.integers(0, 256, (60, 80, 3), dtype=np.uint8)
    tensor = torch.from_numpy(image).permute(2, 0, 1)
    expected = v2.Compose([v2.Resize(22, InterpolationMode.BICUBIC, antialias=True), v2.CenterCrop(20)])(tensor)
    assert torch.equal(plain_view(image, to), expected)


def test_normalise_is_torchvisions() -> None:
    views = random_views(IMAGES, TO, 0.5, True, np.arange(len(IMAGES)), 1)
    expected = v2.Normalize(TO.mean, TO.std)(views.float() / 255)
    torch.testing.assert_close(normalise(views, TO), expected)
    assert normalise(views, TO).is_contiguous(memory_format=torch.channels_last)


def test_own_statistics_give_mean_zero_and_spread_one() -> None:
    to = own_preprocess(IMAGES, 16)
    x = normalise(torch.stack([plain_view(image, to) for image in IMAGES]), to)
    assert x.mean().item() == pytest.approx(0, abs=1e-2)
    assert x.std().item() == pytest.approx(1, abs=1e-2)


def test_feature_batches_draw_views_and_keep_labels() -> None:
    features = torch.arange(3 * 10).reshape(3, 10, 1).float()  # view v of image i is 10 v + i
    drawn_views = set()
    for x, y in FeatureBatches(features, np.arange(10), batch_size=4, seed=0)(0):
        assert torch.equal(x[:, 0] % 10, y.float())
        drawn_views |= {int(v) for v in x[:, 0] // 10}
    assert len(drawn_views) > 1
    ((x, y),) = FeatureBatches(features, np.arange(10))(0)
    assert torch.equal(x, features[0])
    assert torch.equal(y, torch.arange(10))
