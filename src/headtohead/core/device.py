"""The device and the precision of the nets, and the environment of a run."""

import os
import platform
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import headtohead
from headtohead.core.errors import BadSettings


def choose_device(name: str) -> torch.device:
    """The device called `name`; `auto`: the accelerator that torch finds, else the CPU. BadSettings if unavailable."""
    try:
        if name == "auto":
            accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
            return accelerator or torch.device("cpu")
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise BadSettings(
            f"The device `{name}` is not available: {str(error).splitlines()[0]}", fix="use `--device auto` or `cpu`"
        ) from error
    return device


def choose_bf16(precision: str, device: torch.device) -> bool:
    """Whether nets compute under bf16 autocast; `auto`: if the processor has bf16 arithmetic."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cpu":
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def make_deterministic() -> None:
    """Make torch deterministic: the same seed on the same machine gives the same bits."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS requires a fixed workspace
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's log lines would break progress bars
    torch.use_deterministic_algorithms(True)
    # Fills new memory with NaN to expose its use before it is written: a tenth of the CNN's step, and no other bits.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False


def processor() -> str:
    """The name of the CPU."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Versions of the packages that the bits of a training depend on."""
    packages = ("torch", "torchvision", "timm", "numpy", "scipy", "scikit-learn", "pillow")
    return {"headtohead": headtohead.__version__, **{name: version(name) for name in packages}}


def environment(device: torch.device, bf16: bool) -> dict[str, Any]:
    """What the numbers of a run depend on besides its settings."""
    return {
        **versions(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device),
        "precision": "bf16 autocast" if bf16 else "fp32",
    }
