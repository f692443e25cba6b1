"""The shortcuts stage: what else predicts the labels, and whether a random split flatters.

It trains on `train` and `tune`; `val` is looked at only to compare it with them, after every choice.
"""

import shlex
from collections.abc import Sequence
from itertools import compress
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from headtohead.audit.image_info import ImageInfo
from headtohead.audit.shortcuts import KINDS, Properties, names_of, of_file, of_picture, table
from headtohead.contenders.base import Job
from headtohead.contenders.cnn import cnn_images
from headtohead.contenders.probe import features, pooled_backbone
from headtohead.core.files import Json, read_json, write_csv, write_json
from headtohead.core.progress import say, track
from headtohead.dataset.few_shot import draw
from headtohead.dataset.guess import Guess, can_be_left_out, guess_groups
from headtohead.dataset.index import SPLITS, labels
from headtohead.evaluation.folds import numbered
from headtohead.evaluation.grouped import CODE, drop, shared, structure, verdict
from headtohead.evaluation.nearness import by_nearness, nearest_distances
from headtohead.evaluation.predictions import load_predictions
from headtohead.evaluation.shortcuts import CODES, drift, drift_case, property_cases, property_rows
from headtohead.images.decoded import ImageFiles
from headtohead.images.folder import ImagePath, Sample
from headtohead.probe.occluded import PARTS, occluded_features
from headtohead.settings.contenders import contender_names

MAX_IMAGES = 1000  # training images that the properties are tried on, and of `val` for the drift
FEW = 500  # images that are always looked at; beyond it half of all, so that two parts cost no more than one pass
TRAINING = "train+tune"


def shortcuts(job: Job) -> None:
    """Write `shortcuts.json`:

    - `cases`, issues first: each has a `code`, a `name`, an `outcome` ("issue", "tip", "passed", "skipped") and the
      numbers it rests on, as `property_cases`, `drift_case` and `group_cases` give them;
    - `properties`: the table of `property_rows`, `best_class` by name; without border and centre in a quick run;
    - `nearness`: the rows of `by_nearness`;
    - `method`: how the intervals were made.
    """
    infos = file_infos(job)
    cheap = {split: cheap_properties(job, split, infos) for split in (TRAINING, "val")}
    properties = property_table(job, cheap[TRAINING])
    cases = [*property_cases(properties), drift_case(val_drift(job, cheap), given=job.index.layout == "split")]
    if job.settings.quick:
        skipped = {"outcome": "skipped", "why": "quick"}
        cases += [{"code": CODES[part], "name": f"labels_by_{part}"} | skipped for part in PARTS]
    cases += group_cases(job, infos)
    order = ("issue", "tip", "passed", "skipped")
    for case in cases:
        if case["outcome"] == "issue":
            say(f"  {case['code']} {case['name']}")
    content = {
        "cases": sorted(cases, key=lambda case: order.index(case["outcome"])),
        "properties": properties,
        "nearness": nearness(job),
        "method": {
            "classifier": "logistic regression",
            "interval": "percentile bootstrap of a number per image, out of fold, groups of images resampled",
            "confidence": job.settings.evaluation.confidence,
            "resamples": job.settings.evaluation.resamples,
        },
    }
    write_json(job.run.shortcuts, content)


def file_infos(job: Job) -> dict[str, ImageInfo]:
    """What the audit knows of each file that is used; the audit's file leaves out what is as usual."""
    usual, rows = ImageInfo().to_json(), read_json(job.run.audit)["files"]
    return {row["file"]: ImageInfo.from_json(usual | {k: v for k, v in row.items() if k in usual}) for row in rows}


def num_drawn(num_images: int) -> int:
    """How many of a run's images the properties are tried on.

    >>> num_drawn(300), num_drawn(1360), num_drawn(50_000)
    (300, 680, 1000)
    """
    return min(num_images, MAX_IMAGES, max(FEW, num_images // 2))


def drawn(job: Job, split: str) -> list[int]:
    """Indices of the images of a split that are looked at, as many of every class, in the order of the split."""
    of_class = max(2, num_drawn(len(job.index.samples)) // len(job.index.classes))
    return sorted(draw(job.samples(split), of_class, 0, job.settings.seeds[0]))


def groups_of(samples: Sequence[Sample]) -> NDArray[np.int64]:
    """Numbers (N,) of the groups that the run's split keeps together; an image without one is its own."""
    return numbered([sample.group or sample.digest for sample in samples])


def plain_features(job: Job, split: str) -> NDArray[np.float32]:
    """(N, D), the first probe's features of the plain views of a split, or of several."""
    return torch.cat([features(job, "probe", part)[0] for part in split.split("+")]).cpu().numpy()


def cheap_properties(job: Job, split: str, infos: dict[str, ImageInfo]) -> list[Properties]:
    """Of the `drawn` images of a split; pictures are those that the CNN's batches are made from, decoded already."""
    found: dict[str, Properties] = {}
    samples = job.samples(split)
    wanted = [samples[i].file for i in drawn(job, split)]
    chosen = {*wanted}
    for part in split.split("+"):
        images = cnn_images(job, part)
        numbers = [i for i, sample in enumerate(images.files.samples) if sample.file in chosen]
        for i in track(numbers, f"properties of {part}", len(numbers)):
            file = images.files.samples[i].file
            found[file] = of_file(infos[file]) | of_picture(images[i])
    return [found[file] for file in wanted]


def property_table(job: Job, rows: list[Properties]) -> Json:
    """`property_rows` on the training images with these properties, the best class by its name."""
    chosen = drawn(job, TRAINING)
    samples = [job.samples(TRAINING)[i] for i in chosen]
    kinds: dict[str, NDArray[Any]] = {kind: table(rows, names) for kind, names in KINDS.items()}
    kinds |= {"cheap": table(rows, names_of())}
    if not job.settings.quick:
        kinds |= occluded_features(pooled_backbone(job, "probe"), ImageFiles(job.root, samples), job.device)
    kinds["picture"] = plain_features(job, TRAINING)[chosen]
    evaluation = job.settings.evaluation
    result = property_rows(kinds, labels(samples), groups_of(samples), evaluation.confidence, evaluation.resamples)
    for best in (row["best_class"] for row in result["kinds"].values() if row["best_class"]):
        best["class"] = job.index.classes[best["class"]]
    return result


def val_drift(job: Job, cheap: dict[str, list[Properties]]) -> dict[str, Json]:
    """`drift` by the properties of files, of pictures, and by the features of the backbone."""
    chosen = {split: drawn(job, split) for split in cheap}
    samples = [job.samples(split)[i] for split, some in chosen.items() for i in some]
    rows = [row for several in cheap.values() for row in several]
    is_val = np.repeat([False, True], [len(some) for some in chosen.values()])
    kinds: dict[str, NDArray[Any]] = {
        "file": table(rows, names_of("recording", "size")),
        "picture": table(rows, names_of("look", "frame")),
        "features": np.concatenate([plain_features(job, split)[some] for split, some in chosen.items()]),
    }
    level, resamples = job.settings.evaluation.confidence, job.settings.evaluation.resamples
    y, groups = labels(samples), groups_of(samples)
    return {kind: drift(x, y, is_val, groups, level, resamples) for kind, x in kinds.items()}


def group_cases(job: Job, infos: dict[str, ImageInfo]) -> list[Json]:
    """A case for each guess of groups, or one that says that nothing could be guessed.

    Its numbers are those of `structure` and `drop`; `shared_val` and `shared_tune`, the share of the images whose
    group is also trained on; `examples`, three groups; and, unless it passed, the `command` that keeps the groups
    together. A `val/` that was given (`given_val`) stays as it is: the command then needs a folder without the split.
    The level of the intervals is raised for the number of guesses (Bonferroni).
    """
    samples = [sample for split in SPLITS for sample in job.index.of(split)]
    classes, given = job.index.classes, job.index.layout == "split"
    paths = [
        ImagePath(s.file, classes[s.label], ("val" if s.split == "val" else "train") if given else "") for s in samples
    ]
    cameras, taken = [infos[s.file].camera for s in samples], [infos[s.file].taken for s in samples]
    # Of copies one is enough: what they add to a random split is told elsewhere.
    copies = {file for cluster in job.index.duplicates.clusters for file in cluster[1:]}
    side = np.array([s.split for s in samples])
    is_used = (side != "val") & np.array([s.file not in copies for s in samples])
    x, y = plain_features(job, TRAINING)[is_used[side != "val"]], labels(samples)[is_used]
    guesses = [
        (guess, values)
        for guess in guess_groups(paths, job.index.layout, cameras, taken)
        if can_be_left_out(values := [*compress(guess.values, is_used)], [*compress((p.cls for p in paths), is_used)])
    ]
    if not guesses:
        return [{"code": CODE, "name": "groups", "outcome": "passed", "kind": None}]
    evaluation = job.settings.evaluation
    level = 1 - (1 - evaluation.confidence) / len(guesses)
    cases = []
    for guess, values in track(guesses, "groups", len(guesses)):
        row = structure(values, y) | drop(x, y, values, level, evaluation.resamples)
        row |= {"shared_val": shared(guess.values, side == "val", side != "val")}
        row |= {"shared_tune": shared(guess.values, side == "tune", side == "train")}
        outcome = verdict(row)
        case = {"code": CODE, "name": "groups", "outcome": outcome, "kind": guess.kind, "given_val": given}
        case |= row | {"examples": sorted({*values})[:3]}
        cases.append(case if outcome == "passed" else case | {"command": command(job, guess, samples)})
    return cases


def command(job: Job, guess: Guess, samples: Sequence[Sample]) -> str:
    """The command of a run that keeps the groups together; writes a table of them where no pattern names them."""
    start = ["headtohead", "run", job.settings.data.folder]
    if guess.pattern:
        return shlex.join([*start, "--data.group-pattern", guess.pattern])
    path = job.run.group_table(guess.kind)
    rows = ([sample.file, value or "none"] for sample, value in zip(samples, guess.values, strict=True))
    write_csv(path, ["file", "group"], rows)
    return shlex.join([*start, "--data.group-file", str(path)])


def nearness(job: Job) -> list[Json]:
    """Accuracy of every contender by thirds of the `val` images, as far as they are from the training images."""
    headline, seeds = job.run.refit if job.settings.refits else job.run.seed, job.settings.seeds
    runs = {
        name: [load_predictions(headline(name, seed).predictions("val")) for seed in seeds]
        for name in contender_names(job.settings)
    }
    distances = nearest_distances(plain_features(job, TRAINING), plain_features(job, "val"))
    return by_nearness(distances, runs, job.settings.evaluation.confidence)
