"""Chaos: every file of a finished run and of its cache damaged alone, and what the same command makes of it.

    python benchmarks/chaos.py chaos.md [--damages 6]

A tiny whole run is made; then for every file, one after the other, the run folder and the cache are as before, the file
is damaged, and the command is given again. `--damages 1` takes one of the six ways of damage a file, in turn. Kills and
disks are attacked by `tests/chaos`, which print their figures; the table of all is benchmarks/chaos.md.
"""

import argparse
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import timm
import torch
from chaos.tools import DAMAGES, Lane, damage, files_of, lane, results
from conftest import BACKBONE, paint
from safetensors.torch import save_file


def attack(this: Lane, before: Path, cache: Path, expected: dict[str, str], place: str, name: str, kind: str) -> str:
    """What comes of one damage: "same bits", "refused", "traceback" or "SILENTLY WRONG"."""
    this.take(before, cache)
    damage((this.run.path if place == "run" else this.cache) / name, kind, 0)
    if place == "cache":
        this.run.path.rename(this.folder / "aside")  # a new run with the damaged cache
    status = this.do()
    if place == "cache":
        for path in sorted((this.folder / "aside").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        (this.folder / "aside").rmdir()
    if "Traceback" in this.printed():
        return "traceback"
    if status == 2:
        return "refused"
    return "same bits" if results(this.run, expected) == expected else "SILENTLY WRONG"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--damages", type=int, default=6, help="ways of damage for each file")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "weights").mkdir()
        torch.manual_seed(0)
        net = timm.create_model(BACKBONE.split(".")[0], num_classes=1000)
        save_file(net.state_dict(), folder / "weights" / f"{BACKBONE}.safetensors")
        images = paint(folder / "pictures", classes=2, per_class=8)
        with lane(folder / "first", images, folder / "weights") as first:
            assert first.do() == 0, first.printed()
            expected = results(first.run)
            files = [("run", p.relative_to(first.run.path)) for p in files_of(first.run.path)]
            files += [("cache", p.relative_to(first.cache)) for p in files_of(first.cache)]
            cases = [
                (place, str(name), DAMAGES[(number + shift) % 6])
                for number, (place, name) in enumerate(files)
                for shift in range(given.damages)
            ]
            with (
                lane(folder / "a", images, folder / "weights") as a,
                lane(folder / "b", images, folder / "weights") as b,
                ThreadPoolExecutor(2) as pool,
            ):

                def half(this: Lane, part: int) -> list[str]:
                    return [attack(this, first.run.path, first.cache, expected, *case) for case in cases[part::2]]

                halves = [pool.submit(half, this, part) for part, this in enumerate((a, b))]
                found = [halves[i % 2].result()[i // 2] for i in range(len(cases))]
    table = Counter((place, kind, verdict) for (place, _, kind), verdict in zip(cases, found, strict=True))
    verdicts = ("same bits", "refused", "traceback", "SILENTLY WRONG")
    lines = [f"| file of the | damage | {' | '.join(verdicts)} |", "| --- | --- |" + " ---: |" * len(verdicts)]
    lines += [
        f"| {place} | {kind} | {' | '.join(str(table[place, kind, verdict]) for verdict in verdicts)} |"
        for place in ("run", "cache")
        for kind in DAMAGES
    ]
    others = [f"- {case}: {verdict}" for case, verdict in zip(cases, found, strict=True) if verdict != "same bits"]
    lines += ["", *others]
    given.out.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
