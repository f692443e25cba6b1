"""The stage on folders with a planted shortcut or planted groups, on clean ones, and in a whole run."""

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import BACKBONE
from PIL import Image, ImageDraw

from headtohead.cli.app import app
from headtohead.contenders.base import Job
from headtohead.core.files import Json, read_json
from headtohead.dataset.index import build_index
from headtohead.evaluation.predictions import save_predictions
from headtohead.images.builtin import builtin_folder
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import BUILTIN, Cnn, Data, Evaluation, Settings
from headtohead.stages.data import prepare_data
from headtohead.stages.shortcuts import shortcuts

CLASSES = ("ring", "disc", "bar")
Rng = np.random.Generator
SLOW = pytest.mark.slow


def scene(rng: Rng, cls: str, side: int = 64) -> Image.Image:
    """A shape of the class at a random place, of random size and colour on a ground of a random colour, with noise."""
    image = Image.new("RGB", (side, side), tuple(rng.integers(60, 200, 3).tolist()))
    x, y, r = (*rng.integers(18, side - 18, 2).tolist(), int(rng.integers(9, 14)))
    colour = tuple(rng.integers(0, 256, 3).tolist())
    draw = ImageDraw.Draw(image)
    if cls == "bar":
        draw.rectangle((x - r, y - 4, x + r, y + 4), fill=colour)
    else:
        draw.ellipse((x - r, y - r, x + r, y + r), fill=colour if cls == "disc" else None, outline=colour, width=4)
    noisy = np.asarray(image) + rng.integers(-50, 50, (side, side, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def clean(rng: Rng, cls: str, n: int) -> tuple[Image.Image, str, Json]:
    return scene(rng, cls), f"{n:03d}.png", {}


def frame(rng: Rng, cls: str, n: int) -> tuple[Image.Image, str, Json]:
    image = scene(rng, cls)
    colour = [(200, 40, 40), (40, 200, 40), (40, 40, 200)][CLASSES.index(cls)]
    ImageDraw.Draw(image).rectangle((0, 0, 63, 63), outline=colour, width=3)
    return image, f"{n:03d}.png", {}


def quality(rng: Rng, cls: str, n: int) -> tuple[Image.Image, str, Json]:
    return scene(rng, cls), f"{n:03d}.jpg", {"quality": 60 if cls == "disc" else 90}


def speaker(rng: Rng, cls: str, n: int) -> tuple[Image.Image, str, Json]:
    """Each of 5 speakers draws each class in a colour and on a ground of their own."""
    own = np.random.default_rng([CLASSES.index(cls), n % 5])
    tint = np.broadcast_to(own.integers(0, 256, 3), (64, 64, 3)).astype(np.uint8)
    return Image.blend(scene(rng, cls), Image.fromarray(tint), 0.8), f"{cls}_{'abcde'[n % 5]}x_{n // 5}.png", {}


def burst(rng: Rng, cls: str, n: int) -> tuple[Image.Image, str, Json]:
    """12 photographs a class, each on a ground of its own, 8 crops of each, named by session."""
    session = n % 12
    own = np.random.default_rng([CLASSES.index(cls), session])
    tint = Image.fromarray(own.integers(0, 256, (3, 3, 3)).astype(np.uint8)).resize((96, 96))
    photograph = Image.blend(scene(own, cls, side=96), tint, 0.7)
    left, top = rng.integers(0, 20, 2).tolist()
    return photograph.crop((left, top, left + 70, top + 70)), f"s{session:02d}-{n // 12}.png", {}


def watermark(rng: Rng, cls: str, n: int) -> tuple[Image.Image, str, Json]:
    """A session of 8 images has one class and a mark of its own."""
    own = np.random.default_rng([CLASSES.index(cls), n % 12])
    mark = Image.fromarray(own.integers(0, 2, (3, 3, 3)).astype(np.uint8) * 255).resize((64, 64), Image.Resampling.BOX)
    return Image.blend(scene(rng, cls), mark, 0.6), f"session{cls[0]}{n % 12:02d}-{n // 12}.png", {}


Plant = Callable[[Rng, str, int], tuple[Image.Image, str, Json]]


def folder_of(root: Path, plant: Plant, count: int = 60, splits: tuple[str, ...] = ("",)) -> Path:
    for s, split in enumerate(splits):
        for cls in CLASSES:
            rng = np.random.default_rng([CLASSES.index(cls), s])
            for n in range(count):
                image, name, how = plant(rng, cls, n)
                path = root / split / cls / name
                path.parent.mkdir(parents=True, exist_ok=True)
                image.save(path, **how)
    return root


def job_of(folder: Path, out: Path, weights: Path, quick: bool = False, **data: Any) -> Job:
    """A run at the point where the stage begins."""
    chosen = Settings(
        seeds=(0,), backbone=(BACKBONE,), weights=str(weights), device="cpu", precision="fp32",
        data=Data(folder=str(folder), **data), cnn=Cnn(sides=(16,)), evaluation=Evaluation(resamples=500), quick=quick,
    )  # fmt: skip
    return prepared(chosen, out)


def prepared(chosen: Settings, out: Path) -> Job:
    """A run with split images and with predictions that are all right."""
    run = RunDir(out)
    run.adopt(chosen)
    job = Job.of(chosen, run)
    prepare_data(job)
    right = np.eye(len(job.index.classes))[job.labels("val")]
    headline = run.refit if chosen.refits else run.seed
    for name in ("cnn", "probe"):
        save_predictions(headline(name, 0).predictions("val"), job.index, "val", right)
    return job


def all_cases(job: Job) -> list[Json]:
    shortcuts(job)
    cases: list[Json] = read_json(job.run.shortcuts)["cases"]
    return cases


def cases_of(job: Job) -> dict[str, Json]:
    """The clearest case of each name."""
    return {case["name"]: case for case in reversed(all_cases(job))}


def test_a_clean_folder_has_no_issue(tmp_path: Path, tiny_weights: Path) -> None:
    cases = cases_of(job_of(folder_of(tmp_path / "images", clean), tmp_path / "out", tiny_weights))
    assert {name for name, case in cases.items() if case["outcome"] == "issue"} == set()
    assert {*cases} == {
        *(f"labels_by_{kind}" for kind in ("recording", "size", "look", "frame", "cheap", "border", "centre")),
        "val_differs_from_train",
        "groups",
    }
    assert cases["groups"]["kind"] in ("word", "numbering")  # guessed, tried, and nothing was found


def test_a_coloured_frame_by_class_is_an_issue(tmp_path: Path, tiny_weights: Path) -> None:
    cases = cases_of(job_of(folder_of(tmp_path / "images", frame), tmp_path / "out", tiny_weights))
    assert cases["labels_by_frame"]["outcome"] == "issue"
    assert cases["labels_by_frame"]["accuracy"]["low"] > 0.9
    assert cases["labels_by_recording"]["outcome"] == "passed"


@SLOW
def test_a_class_saved_at_another_quality_is_an_issue(tmp_path: Path, tiny_weights: Path) -> None:
    cases = cases_of(job_of(folder_of(tmp_path / "images", quality), tmp_path / "out", tiny_weights))
    case = cases["labels_by_recording"]
    assert (case["outcome"], case["best_class"]["class"]) == ("issue", "disc")


@SLOW
def test_val_from_another_camera_is_an_issue(tmp_path: Path, tiny_weights: Path) -> None:
    folder = folder_of(tmp_path / "images", clean, splits=("train", "val"), count=30)
    for path in (folder / "val").rglob("*.png"):
        warm = np.asarray(Image.open(path)) * np.array([1.0, 0.8, 0.55])
        Image.fromarray(warm.astype(np.uint8)).save(path)
    case = cases_of(job_of(folder, tmp_path / "out", tiny_weights))["val_differs_from_train"]
    assert (case["outcome"], case["given"]) == ("issue", True)
    assert case["kinds"]["picture"]["auc"]["low"] > 0.95


@pytest.mark.parametrize(
    ("plant", "group"),
    [(speaker, "ax"), pytest.param(burst, "s00", marks=SLOW), pytest.param(watermark, "sessionb00", marks=SLOW)],
)
def test_planted_groups_are_an_issue_with_a_command_that_works(
    plant: Plant, group: str, tmp_path: Path, tiny_weights: Path
) -> None:
    folder = folder_of(tmp_path / "images", plant)
    job = job_of(folder, tmp_path / "out", tiny_weights)
    case = cases_of(job)["groups"]
    assert case["outcome"] == "issue"
    assert case["examples"][0] == group
    assert case["drop"]["low"] > 0
    assert case["shared_val"] > 0
    program, verb, where, *flags = shlex.split(case["command"])
    assert (program, verb, where) == ("headtohead", "run", str(folder))
    # The command's own flag, read as the command line reads it.
    _, bound, _ = app.parse_args(["run", where, *flags])
    data: Data = bound.arguments["flags"].data
    index = build_index(folder, "images", data)
    sides: dict[str, set[str]] = {}
    for sample in index.samples:
        sides.setdefault(re.search(data.group_pattern, sample.file)[1], set()).add(sample.split)  # type: ignore[index]
    assert all(len(splits) == 1 for splits in sides.values())
    assert group in sides


@SLOW
def test_a_run_split_by_the_command_is_told_no_more(tmp_path: Path, tiny_weights: Path) -> None:
    folder = folder_of(tmp_path / "images", speaker)
    cases = all_cases(job_of(folder, tmp_path / "out", tiny_weights, group_pattern="_(.)x_"))
    handled = next(case for case in cases if case.get("examples", [""])[0].endswith("x"))
    assert handled["outcome"] == "passed"
    assert (handled["shared_val"], handled["shared_tune"]) == (0, 0)


@SLOW
def test_cameras_have_a_table_that_the_setting_reads(tmp_path: Path, tiny_weights: Path) -> None:
    def camera(rng: Rng, cls: str, n: int) -> tuple[Image.Image, str, Json]:
        image = speaker(rng, cls, n)[0]
        exif = Image.Exif()
        exif[0x0110] = f"Camera {n % 5}"
        return image, f"{cls}-{'x' * n}.jpg", {"exif": exif}

    folder = folder_of(tmp_path / "images", camera)
    job = job_of(folder, tmp_path / "out", tiny_weights)
    case = cases_of(job)["groups"]
    assert (case["outcome"], case["kind"]) == ("issue", "camera")
    table = shlex.split(case["command"])[-1]
    index = build_index(folder, "images", Data(folder=str(folder), group_file=table))
    assert len(index.samples) == 180
    assert len({sample.group for sample in index.samples}) == 5


def test_a_quick_run_leaves_out_the_features_and_says_so(tmp_path: Path, tiny_weights: Path) -> None:
    job = job_of(folder_of(tmp_path / "images", clean, count=12), tmp_path / "out", tiny_weights, quick=True)
    cases = cases_of(job)
    for part in ("border", "centre"):
        assert cases[f"labels_by_{part}"] == {
            "code": {"border": "HH106", "centre": "HH107"}[part],
            "name": f"labels_by_{part}",
            "outcome": "skipped",
            "why": "quick",
        }


def test_a_whole_run_has_the_file_and_the_same_bits_again(small_run: RunDir, small_settings: Settings) -> None:
    content, text = read_json(small_run.shortcuts), small_run.shortcuts.read_text()
    assert {*content} == {"cases", "properties", "nearness", "method"}
    assert {*content["properties"]["kinds"]} >= {"recording", "look", "border", "centre", "picture"}
    assert sum(row["num_images"] for row in content["nearness"]) == 4
    assert all({*row["contenders"]} == {"cnn", "probe"} for row in content["nearness"])
    assert {case["code"] for case in content["cases"]} == {f"HH10{n}" for n in range(1, 9)} | {"HH110"}
    shortcuts(Job.of(small_settings, small_run))
    assert small_run.shortcuts.read_text() == text


@SLOW
def test_the_built_in_set_has_no_issue(tmp_path: Path) -> None:
    """400 of its images, by the built-in backbone."""
    folder = tmp_path / "images"
    for cls in (builtin_folder() / "train").iterdir():
        shutil.copytree(cls, folder / cls.name)
        for path in sorted((folder / cls.name).iterdir())[40:]:
            path.unlink()
    chosen = Settings(seeds=(0,), backbone=(BUILTIN,), data=Data(folder=str(folder)), cnn=Cnn(sides=(16,)))
    cases = cases_of(prepared(chosen, tmp_path / "out"))
    assert {name for name, case in cases.items() if case["outcome"] == "issue"} == set()
    assert cases["labels_by_border"]["picture"]["low"] > 0.5  # the backbone sees what the pictures show
