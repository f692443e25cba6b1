"""Write the photographs of runs/clothing out of a clone of their source: `python recipes/clothing/make.py CLONE OUT`.

The source is github.com/alexeygrigorev/clothing-dataset-small (CC0), commit 1196151 of 2020-11-05: 3,781 photographs in
`train/`, `validation/` and `test/`. Of each class 136 were drawn at random, as many as the smallest has. Which these
are, and what bytes they have, stands in runs/clothing/data.json.
"""

import hashlib
import json
import sys
from pathlib import Path

DATA = Path(__file__).parents[2] / "runs" / "clothing" / "data.json"


def select(clone: Path, out: Path, data: Path = DATA) -> int:
    """Copy every photograph of the run to OUT/class/; returns their number. FileNotFoundError names those not found."""
    wanted = {sample["digest"]: sample["file"] for sample in json.loads(data.read_text(encoding="utf-8"))["samples"]}
    found = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in clone.glob("*/*/*") if path.is_file()}
    missing = sorted(wanted[digest] for digest in wanted.keys() - found.keys())
    if missing:
        raise FileNotFoundError(f"{len(missing)} photographs are not in {clone}, such as {missing[0]}")
    for digest, file in wanted.items():
        target = out / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(found[digest].read_bytes())
    return len(wanted)


if __name__ == "__main__":
    sys.stdout.write(f"{select(Path(sys.argv[1]), Path(sys.argv[2]))} photographs written\n")
