"""How soon the command line answers: `headtohead --help`, and a mistake in a flag, as processes of their own.

    python benchmarks/start.py

Prints the median, smallest and largest of 9 runs each, in seconds. Neither imports torch (a test holds that).
"""

import statistics
import subprocess
import sys
from time import perf_counter

COMMANDS = {"--help": ["--help"], "a value out of bounds": ["run", "--cnn.sides", "3"]}
RUNS = 9


def seconds(arguments: list[str]) -> float:
    started = perf_counter()
    subprocess.run([sys.executable, "-m", "headtohead", *arguments], capture_output=True)  # noqa: S603
    return perf_counter() - started


def main() -> None:
    for name, arguments in COMMANDS.items():
        times = sorted(seconds(arguments) for _ in range(RUNS))
        print(f"{name}: {statistics.median(times):.2f} s ({times[0]:.2f} to {times[-1]:.2f})")


if __name__ == "__main__":
    main()
