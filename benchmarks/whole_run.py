"""How long a whole run takes with an empty cache: each stage, the first report, all; beside the first edition's times.

    python benchmarks/whole_run.py [DATA] [--quick] [--beside-busy [--alone SECONDS]] [--out FILE]

`headtohead run DATA` (the built-in set by default) as a process of its own, start and imports included, offline, with
a cache and a run folder of its own. The built-in backbone stands in, unless HEADTOHEAD_WEIGHTS names a folder of
weights. With `--beside-busy` two processes that only compute run beside it, and the ratio to a run alone is printed: to
`--alone` seconds, or to a run alone that is done first.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

FIRST_REPORT, ALL, CNN = "first report", "all", "CNN"
# Seconds of the first edition by data set, on the machine of README.md; the report came before the label budget.
FIRST_EDITION: dict[str, dict[str, float]] = {
    "builtin": {
        "data": 19, "check": 24, "probe features of train": 136, "probe panel": 15, CNN: 262, "profile": 66,
        "evaluate": 81, "budget": 575, FIRST_REPORT: 600, ALL: 900,
    },
    "clothing": {FIRST_REPORT: 437, ALL: 629},
}  # fmt: skip
BUSY_PROCESSES, POLL_S = 2, 0.2


@contextmanager
def busy(number: int) -> Iterator[None]:
    """Run `number` processes that only compute."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def stage_seconds(timings: dict[str, float]) -> dict[str, float]:
    """The content of timings.json, with all that the CNN took: search, training and training again.

    >>> stage_seconds({"data": 2.0, "cnn search": 3.0, "cnn training": 4.0, "train": 10.0})["CNN"]
    7.0
    """
    return timings | {CNN: round(sum(seconds for name, seconds in timings.items() if name.startswith("cnn ")), 3)}


def whole_run(data: str, quick: bool, beside: int) -> dict[str, Any]:
    """One run beside `beside` busy processes: seconds by stage, until the first report, and in all."""
    with tempfile.TemporaryDirectory() as folder:
        run, log, first_report = Path(folder) / "run", Path(folder) / "log", None
        command = [sys.executable, "-m", "headtohead", "run", data, "--out", str(run), *(["--quick"] if quick else [])]
        env = os.environ | {"XDG_CACHE_HOME": f"{folder}/cache", "HF_HUB_OFFLINE": "1"}
        with busy(beside), log.open("wb") as output:
            started = perf_counter()
            process = subprocess.Popen(command, env=env, stdout=output, stderr=subprocess.STDOUT)  # noqa: S603
            try:
                while process.poll() is None:
                    time.sleep(POLL_S)
                    if first_report is None and (run / "report.md").exists():
                        first_report = perf_counter() - started
            finally:
                process.kill()  # nothing, unless this script was stopped
                process.wait()
            seconds = perf_counter() - started
        if process.returncode:
            sys.exit(log.read_text(encoding="utf-8", errors="replace")[-2000:])
        spent = stage_seconds(json.loads((run / "timings.json").read_text(encoding="utf-8")))
        spent |= {FIRST_REPORT: round(first_report or seconds, 1), ALL: round(seconds, 1)}
        environment = json.loads((run / "environment.json").read_text(encoding="utf-8"))
    return {"environment": environment, "seconds": spent}


def table(spent: dict[str, float], first_edition: dict[str, float]) -> str:
    """A Markdown table of the seconds of every stage, beside those of the first edition where they are known.

    >>> print(table({"data": 9.6, "all": 50.0}, {"data": 19, "check": 24}))
    | stage | s | first edition, s |
    | --- | --- | --- |
    | data | 9.6 | 19 |
    | all | 50.0 |  |
    | check |  | 24 |
    """
    lines = ["| stage | s | first edition, s |", "| --- | --- | --- |"]
    for name in dict.fromkeys([*spent, *first_edition]):
        now = f"{spent[name]:.1f}" if name in spent else ""
        lines.append(f"| {name} | {now} | {first_edition.get(name, '')} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default="builtin")
    parser.add_argument("--quick", action="store_true", help="a quick run, without the label budget")
    parser.add_argument("--beside-busy", action="store_true", help="beside two processes that only compute")
    parser.add_argument("--alone", type=float, metavar="SECONDS", help="what a run alone took; else one is done first")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    arguments = parser.parse_args()
    if arguments.alone and not arguments.beside_busy:
        parser.error("--alone needs --beside-busy")
    name = Path(arguments.data).name
    first_edition = FIRST_EDITION.get(name, {})
    figures: dict[str, Any] = {"data": name, "quick": arguments.quick, "first_edition_s": first_edition}
    if not arguments.alone:
        figures["alone"] = whole_run(arguments.data, arguments.quick, 0)
        print(table(figures["alone"]["seconds"], first_edition))
    if arguments.beside_busy:
        figures["beside_busy"] = whole_run(arguments.data, arguments.quick, BUSY_PROCESSES)
        alone = arguments.alone or figures["alone"]["seconds"][ALL]
        figures |= {"alone_s": alone, "times_as_long": round(figures["beside_busy"]["seconds"][ALL] / alone, 2)}
        print(f"\nBeside {BUSY_PROCESSES} busy processes:\n\n{table(figures['beside_busy']['seconds'], first_edition)}")
        print(f"\n{figures['times_as_long']} times as long as alone ({alone:g} s)")
    if arguments.out:
        arguments.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
