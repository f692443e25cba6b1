"""The two tables of docs/bugs.md: which check rings for which bug, and whether any rings on sound data.

    python benchmarks/gate.py mutants                    # a minute or two; writes benchmarks/gate_mutants.json
    python benchmarks/gate.py sound [--only NAME ...]    # half an hour on one busy core; benchmarks/gate_sound.json
    python benchmarks/gate.py page                       # docs/bugs.md from both

The bugs are put into the small job of tests/gate_worlds.py, and every check of their contender is run. The sound cases
are drawn here, three seeds each (of pictures, split and training), and go through the whole gate of both contenders,
with the built-in backbone; for drawings with the statistics of ImageNet, as those of other weights.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from PIL import Image, ImageDraw

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from headtohead.checks.sanity import CHECKS, run_check  # noqa: E402
from headtohead.contenders import contenders_of  # noqa: E402
from headtohead.core.executor import limit_threads  # noqa: E402
from headtohead.images.builtin import builtin_folder  # noqa: E402
from headtohead.models.weights import BUILTIN_FOLDER  # noqa: E402
from headtohead.pipeline import start_job  # noqa: E402
from headtohead.settings.rundir import RunDir  # noqa: E402
from headtohead.settings.schema import BUILTIN, Data, Settings  # noqa: E402

MUTANTS_FILE, SOUND_FILE = HERE / "gate_mutants.json", HERE / "gate_sound.json"
SIDE = 32
SEEDS = (0, 1, 2)
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])

Draw = Callable[[int, np.random.Generator, np.random.Generator], Image.Image]  # (class, of the class, of the image)


def template(low: int = 0, high: int = 255) -> Draw:
    """A coarse coloured pattern of the class, shifted, with noise, between two grey levels."""

    def draw(cls: int, of_class: np.random.Generator, of_image: np.random.Generator) -> Image.Image:
        coarse = of_class.uniform(0, 1, (5, 5, 3))
        fine = np.kron(coarse, np.ones((8, 8, 1)))
        top, left = of_image.integers(0, 8, 2)
        noisy = fine[top : top + SIDE, left : left + SIDE] + of_image.normal(0, 0.15, (SIDE, SIDE, 3))
        return Image.fromarray((low + (high - low) * noisy.clip(0, 1)).astype(np.uint8))

    return draw


def strokes(ink: int, paper: int) -> Draw:
    """A line drawing of the class, its corners moved a little."""

    def draw(cls: int, of_class: np.random.Generator, of_image: np.random.Generator) -> Image.Image:
        corners = of_class.uniform(5, SIDE - 5, (5, 2)) + of_image.normal(0, 1.2, (5, 2))
        image = Image.new("L", (SIDE, SIDE), paper)
        ImageDraw.Draw(image).line([tuple(corner) for corner in corners], fill=ink, width=2)
        return image

    return draw


def arrow(cls: int, of_class: np.random.Generator, of_image: np.random.Generator) -> Image.Image:
    """An arrow to the left or to the right."""
    image = Image.new("RGB", (SIDE, SIDE), tuple(of_image.integers(160, 255, 3).tolist()))
    y, length = int(of_image.integers(10, 22)), int(of_image.integers(9, 13))
    points = [(16 + length, y), (16 - length, y), (22 - length, y - 6), (16 - length, y), (22 - length, y + 6)]
    points = [(31 - px, py) for px, py in points] if cls else points
    ImageDraw.Draw(image).line(points, fill=tuple(of_image.integers(0, 90, 3).tolist()), width=3)
    return image


@dataclass(frozen=True)
class Case:
    """Sound data: number of images of every class, and how they are drawn."""

    name: str
    counts: tuple[int, ...]
    draw: Draw
    imagenet: bool = False
    flip: bool = True
    duplicate: bool = False

    def write(self, folder: Path, seed: int) -> Path:
        """The folder of images."""
        for cls, count in enumerate(self.counts):
            (folder / f"class-{cls:03d}").mkdir(parents=True)
            for number in range(count):
                of_class, of_image = np.random.default_rng([seed, cls]), np.random.default_rng([seed, cls, number])
                self.draw(cls, of_class, of_image).save(folder / f"class-{cls:03d}" / f"{number:03d}.png")
        if self.duplicate:
            shutil.copy(folder / "class-000" / "000.png", folder / "class-001" / "copy.png")
        return folder


def fashion(folder: Path, seed: int) -> Path:
    """40 images of each class of the built-in set."""
    for cls in sorted((builtin_folder() / "train").iterdir()):
        files = sorted(cls.iterdir())
        (folder / cls.name).mkdir(parents=True)
        for number in np.random.default_rng(seed).permutation(len(files))[:40]:
            shutil.copy(files[number], folder / cls.name / files[number].name)
    return folder


CASES = (
    Case("2 classes", (40,) * 2, template()),
    Case("5 classes", (40,) * 5, template()),
    Case("37 classes, 20 images each", (20,) * 37, template()),
    Case("100 classes, 10 images each", (10,) * 100, template()),
    Case("70 / 30", (140, 60), template()),
    Case("90 / 10", (180, 20), template()),
    Case("95 / 5", (190, 10), template()),
    Case("white on black, ImageNet's statistics", (40,) * 10, strokes(255, 0), imagenet=True),
    Case("black on white, ImageNet's statistics", (40,) * 10, strokes(0, 255), imagenet=True),
    Case("low contrast", (40,) * 5, template(118, 138)),
    Case("one picture under two classes", (32,) * 2, template(), duplicate=True),
    Case("ten images a class", (10,) * 5, template()),
    Case("arrows, no flip", (40,) * 2, arrow, flip=False),
    Case("built-in set, 40 a class", (), template()),
)


def with_imagenet_statistics(folder: Path) -> str:
    """A copy of the built-in weights that says it was trained with ImageNet's statistics."""
    if not folder.exists():
        shutil.copytree(BUILTIN_FOLDER, folder)
        config = json.loads((folder / "config.json").read_text())
        config["pretrained_cfg"] |= dict(zip(("mean", "std"), IMAGENET, strict=True))
        (folder / "config.json").write_text(json.dumps(config))
    return str(folder)


def gate(settings: Settings, run: RunDir) -> Iterator[dict]:
    """Every result of the gate on both contenders."""
    run.adopt(settings)
    job = start_job(settings, run)
    for name, contender in contenders_of(settings).items():
        context = contender.context(job, name)
        for code in CHECKS:
            yield run_check(code, context).to_json()


def sound(only: list[str]) -> None:
    """All sound cases; what is known already is kept, so that a killed run continues."""
    found = json.loads(SOUND_FILE.read_text()) if SOUND_FILE.exists() else {}
    for case in CASES:
        for seed in SEEDS:
            key = f"{case.name} | {seed}"
            if (only and case.name not in only) or (not only and key in found):
                continue
            started = perf_counter()
            with tempfile.TemporaryDirectory() as temporary:
                folder = Path(temporary, "images")
                images = case.write(folder, seed) if case.counts else fashion(folder, seed)
                backbone = with_imagenet_statistics(Path(temporary, "weights")) if case.imagenet else BUILTIN
                data = Data(folder=str(images), flip=case.flip, split_seed=seed)
                settings = Settings(seeds=(seed,), backbone=(backbone,), device="cpu", processes=1, data=data)
                results = [*gate(settings, RunDir(Path(temporary, "run")))]
            told = [r for r in results if r["outcome"] in ("issue", "tip")]
            found[key] = {
                "outcomes": {f"{r['contender']} {r['code']}": r["outcome"] for r in results},
                "p": {r["contender"]: r["value"] for r in results if r["code"] == "HH024"},
                "told": [{k: r[k] for k in ("contender", "code", "outcome", "evidence")} for r in told],
            }
            SOUND_FILE.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
            print(
                f"{key}: {perf_counter() - started:.0f} s",
                *(f"{t['outcome']} {t['code']} {t['contender']}: {t['evidence']}" for t in told),
                sep="\n  ",
                flush=True,
            )


def mutants(only: list[str]) -> None:
    """Every bug, or only some, against every check of its contender."""
    from gate_worlds import gate_job

    from headtohead.checks.mutants import MUTANTS
    from headtohead.stages.bugs import context_of, ring

    found = json.loads(MUTANTS_FILE.read_text()) if only else {}
    with tempfile.TemporaryDirectory() as temporary:
        job = gate_job(Path(temporary))
        clean = {}
        for name in ("cnn", "probe"):
            context = contenders_of(job.settings)[name].context(job, name)
            clean[name] = {code: run_check(code, context).outcome for code in CHECKS}
        for mutant in [mutant for mutant in MUTANTS if not only or mutant.name in only]:
            rung = ring(job, mutant)
            outcomes = {mutant.code: rung.bug.outcome}
            if mutant.kind == "gate":
                with mutant.patch():
                    context = mutant.change(context_of(job, mutant))
                    for code in CHECKS:
                        try:
                            outcomes[code] = run_check(code, context).outcome
                        except Exception as error:  # another check may fall over a bug; its own must not
                            outcomes[code] = f"error: {type(error).__name__}"
            found[mutant.name] = {
                "code": mutant.code, "contender": mutant.contender, "sound": rung.sound.outcome, "outcomes": outcomes,
                "evidence": str(rung.bug.evidence),
                "sound_evidence": str(rung.sound.evidence),
            }  # fmt: skip
            print(mutant.name, rung.sound.outcome, rung.bug.outcome, flush=True)
        found["clean"] = clean
    MUTANTS_FILE.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


def main() -> None:
    limit_threads(1)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("mutants", "sound", "page"))
    parser.add_argument("--only", nargs="*", default=[])
    arguments = parser.parse_args()
    if arguments.what == "sound":
        sound(arguments.only)
    elif arguments.what == "mutants":
        mutants(arguments.only)
    else:
        from gate_page import PAGE, page

        PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
