"""Checks of files, labels and batches: does the net get the pictures that lie in the folders, with their labels?"""

from collections import Counter, defaultdict
from pathlib import PurePosixPath

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from headtohead.checks.context import CheckContext
from headtohead.checks.result import CheckResult, judged, not_judged
from headtohead.core.messages import Message
from headtohead.images.folder import Sample

# Pixels are whole grey levels, 0 to 255; float32 recovers a level to within 0.001.
OFF_GRID = 0.02  # levels
MAX_OFF_GRID = 0.001  # share of the values
CELLS = 8  # a picture is compared as a grid of 8 x 8 means, which hardly depend on how it was resized
MAX_LEVELS = 6.0  # largest mean difference of such a grid, in grey levels


def no_image_in_two_splits(context: CheckContext) -> CheckResult:
    """No image is in more than one of train, tune and val, with equal bytes, equal pixels or nearly equal pixels."""
    files: dict[str, list[Sample]] = defaultdict(list)  # by SHA-256
    for sample in context.index.samples:
        files[sample.digest].append(sample)
    copies = [same for same in files.values() if len({sample.split for sample in same}) > 1]
    leaks = [" = ".join(f"{sample.file} ({sample.split})" for sample in same) for same in copies]
    pairs = context.index.duplicates.pairs
    leaks += [f"{p.a} ~ {p.b} ({p.kind}: {p.evidence})" for p in pairs if "splits" in p.where and p.kind != "bytes"]
    return judged(
        not leaks,
        len(leaks),
        Message("0 images"),
        Message("{leaks}", {"leaks": "; ".join(leaks[:5])})
        if leaks
        else Message(
            "{different} different images in {files} files",
            {"different": len(files), "files": len(context.index.samples)},
        ),
        Message("delete one of the copies; a copy under two classes needs its true label first"),
    )


def labels_are_the_folders(context: CheckContext) -> CheckResult:
    """The class of every file, in every split, is the folder that it lies in; so are the labels of the batches.

    Each split has the same class table. A class number that is off by one, or another order of the classes in `val`,
    shows here and nowhere else so plainly: the loss falls, and only `val` is wrong.
    """
    classes = context.index.classes
    wrong = [
        f"{sample.file} ({sample.split}) as {classes[sample.label]}"
        for sample in context.index.samples
        if classes[sample.label] not in PurePosixPath(sample.file).parts
    ]
    num_files = len(wrong)
    for samples, batches in ((context.samples, context.plain), (context.tune_samples, context.tune)):
        wrong += [
            f"{sample.file} as {classes[label]}"
            for sample, label in zip(samples, batches.labels.tolist(), strict=True)
            if classes[label] not in PurePosixPath(sample.file).parts
        ]
    return judged(
        not wrong,
        len(wrong),
        Message("0 images"),
        Message(
            "{wrong} labels are not the folder of the file, {batches} of them in the batches: {examples}",
            {"wrong": len(wrong), "batches": len(wrong) - num_files, "examples": "; ".join(wrong[:3])},
        )
        if wrong
        else Message(
            "the class of all {files} files is the folder that they lie in", {"files": len(context.index.samples)}
        ),
        Message("map classes by name, with one table for all splits, and keep images and labels in one order"),
    )


def thumbnail(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, CELLS, CELLS): the means of an image (3, S, S) over a grid; the rest of a side is cut off."""
    side = pixels.shape[1] // CELLS * CELLS
    cells = pixels[:, :side, :side].reshape(3, CELLS, side // CELLS, CELLS, side // CELLS)
    return cells.mean(axis=(2, 4))


def read_alone(context: CheckContext, sample: Sample) -> NDArray[np.float64] | None:
    """The evaluation view (3, S, S) of a file in grey levels, by Pillow alone; None unless it is grey or RGB."""
    to = context.preprocess
    with Image.open(context.root / sample.file) as file:
        if file.mode not in ("L", "RGB"):
            return None
        image = ImageOps.exif_transpose(file).convert("RGB")
        scale = to.size / to.crop_pct / min(image.size)
        width, height = (max(to.size, round(side * scale)) for side in image.size)
        left, top = (width - to.size) / 2 / scale, (height - to.size) / 2 / scale
        box = (left, top, left + to.size / scale, top + to.size / scale)
        box = (max(0.0, box[0]), max(0.0, box[1]), min(image.width, box[2]), min(image.height, box[3]))
        view = image.resize((to.size, to.size), Image.Resampling.BILINEAR, box)
        return np.asarray(view, dtype=np.float64).transpose(2, 0, 1)


def input_is_the_file(context: CheckContext) -> CheckResult:
    """The images that enter the net are those of the files: decoded a second time by Pillow alone, and compared.

    Swapped colour channels, a mirrored or turned image and images in another order than their labels all differ.
    """
    to = context.preprocess
    mean, std = (np.array(values).reshape(3, 1, 1) for values in (to.mean, to.std))
    off: list[tuple[float, str, bool]] = []
    for sample, x in zip(context.first, context.images.double().cpu().numpy(), strict=True):
        alone = read_alone(context, sample)
        if alone is None:
            continue
        seen, wanted = thumbnail(255 * (x * std + mean)), thumbnail(alone)
        distance, swapped = (float(np.abs(seen - other).mean()) for other in (wanted, wanted[::-1]))
        off.append((distance, sample.file, swapped < distance / 2))
    if not off:
        return not_judged("skipped", Message("not run because none of the images is plain grey or RGB"))
    worst, file, is_swapped = max(off)
    values = {"worst": worst, "file": file, "images": len(off)}
    return judged(
        worst <= MAX_LEVELS,
        worst,
        Message("<= {levels} grey levels", {"levels": MAX_LEVELS}),
        Message(
            "{file} differs by {worst:.1f} grey levels from the file read a second time, and fits it with red and blue "
            "exchanged",
            values,
        )
        if is_swapped and worst > MAX_LEVELS
        else Message(
            "at most {worst:.1f} grey levels ({file}) between {images} images as they enter the net and their files",
            values,
        ),
        Message(
            "look at the order of the colour channels (OpenCV reads BGR), at the order of images and labels, and at "
            "the "
            "crop"
        ),
    )


def input_is_normalised(context: CheckContext) -> CheckResult:
    """The input of a net trained from scratch has about mean 0 and standard deviation 1.

    Images differ, so the limits leave room for the spread of these few. For pretrained weights the statistics are
    those of other images, to which white drawings on black are as right as photographs: there `input_as_pretrained`
    is the exact check.
    """
    if not context.own_statistics:
        return not_judged(
            "not_applicable", Message("normalised with the statistics of the weights: see input_as_pretrained")
        )
    x = context.images.double()
    mean, std = x.mean().item(), x.std().item()
    spread = x.mean(dim=(1, 2, 3)).std().item() / len(x) ** 0.5  # standard error of the mean
    squares = (x**2).mean(dim=(1, 2, 3))
    spread_of_squares = squares.std().item() / len(x) ** 0.5
    max_mean, max_square = 0.3 + 4 * spread, 0.5 + 4 * spread_of_squares
    square = squares.mean().item()
    return judged(
        abs(mean) <= max_mean and abs(square - 1) <= max_square,
        mean,
        Message(
            "|mean| <= {max_mean:.2f}, |mean square - 1| <= {max_square:.2f}",
            {"max_mean": max_mean, "max_square": max_square},
        ),
        Message(
            "mean {mean:.3f}, std {std:.3f} over {images} images as they enter the net",
            {"mean": mean, "std": std, "images": len(x)},
        ),
        Message("look whether pixels are scaled to 0..1 and normalised exactly once, with this net's own mean and std"),
    )


def input_as_pretrained(context: CheckContext) -> CheckResult:
    """With the right normalisation undone, the input of a net are pixels again: k / 255 in [0, 1].

    The right one is that published with the weights; for a net trained from scratch, that of its training images. With
    a wrong mean or standard deviation, without normalisation or with two of them, most values lie between the levels or
    out of range. Accuracy may drop by a few points only, so that the mistake is hard to notice there.
    """
    mean, std = (torch.tensor(rgb, device=context.images.device).view(1, -1, 1, 1) for rgb in context.statistics)
    levels = 255 * (context.images * std + mean)
    between = ((levels - levels.round()).abs() > OFF_GRID).float().mean().item()
    outside = ((levels < -OFF_GRID) | (levels > 255 + OFF_GRID)).float().mean().item()
    worst = max(between, outside) if torch.isfinite(levels).all() else float("nan")
    return judged(
        worst <= MAX_OFF_GRID,
        worst,
        Message("<= {share:.1%} of the values", {"share": MAX_OFF_GRID}),
        Message(
            "with mean {mean} and std {std} undone, {between:.1%} of the values lie between whole grey levels (by more "
            "than {off_grid}), {outside:.1%} outside 0 .. 255",
            {
                "mean": list(context.statistics[0]),
                "std": list(context.statistics[1]),
                "between": between,
                "off_grid": OFF_GRID,
                "outside": outside,
            },
        ),
        Message("normalise once, pixels scaled to 0..1 before, with mean and std of the weights' own config"),
    )


def training_is_shuffled(context: CheckContext) -> CheckResult:
    """The training batches of two epochs come in another order, and the classes are mixed within an epoch."""
    first, second = (torch.cat([y for _, y in context.training_entering(epoch)]) for epoch in (0, 1))
    runs = int((first[1:] != first[:-1]).sum()) + 1
    sizes = Counter(first.tolist())
    n = len(first)
    expected = 1 + (n - 1) * (1 - sum(size * (size - 1) for size in sizes.values()) / max(1, n * (n - 1)))
    same = torch.equal(first, second)
    if len(sizes) < 2 or expected < 4:
        return not_judged("skipped", Message("not run because an epoch has too few images of a second class"))
    return judged(
        not same and runs >= 0.5 * expected,
        runs / expected,
        Message(">= 0.5, and another order in the second epoch"),
        Message(
            "{runs} changes of class in an epoch of {images} images, {expected:.0f} expected by chance; the second "
            "epoch "
            "has the same order: {same}",
            {"runs": runs, "images": n, "expected": expected, "same": "yes" if same else "no"},
        ),
        Message("shuffle the training images anew in every epoch (shuffle=True), and only those"),
    )


def evaluation_is_repeatable(context: CheckContext) -> CheckResult:
    """The images of `tune` are the same, bit by bit, in every epoch: no random crop, flip or order."""
    first, second = (torch.cat([x for x, _ in context.tune(epoch)]) for epoch in (0, 1))
    differing = int((first != second).flatten(1).any(dim=1).sum())
    return judged(
        differing == 0,
        differing,
        Message("0 images"),
        Message(
            "{differing} of {images} images of tune differ between two passes",
            {"differing": differing, "images": len(first)},
        ),
        Message("evaluate on plain images: no random crop, no flip, no shuffling"),
    )
