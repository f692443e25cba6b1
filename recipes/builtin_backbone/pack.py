"""Write the trained student as the package's asset: fp16 safetensors, and print the SHA-256 to pin.

python recipes/builtin_backbone/pack.py WORK/last.pt
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from headtohead.models.weights import BUILTIN_FOLDER, HUB_FILE, WeightsFile


def main() -> None:
    """Half precision costs nothing that could be measured (see the model card) and halves the file."""
    student = torch.load(Path(sys.argv[1]), weights_only=True)["student"]
    halved = {name: tensor.half().contiguous() for name, tensor in student.items()}
    assert all(tensor.isfinite().all() for tensor in halved.values()), "a value does not fit into fp16"
    path = BUILTIN_FOLDER / HUB_FILE
    save_file(halved, path, metadata={"format": "pt"})
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB, sha256 {WeightsFile('', path, '').sha256()}")


if __name__ == "__main__":
    main()
