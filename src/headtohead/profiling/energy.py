"""Energy from the counters of the hardware: RAPL of a processor, NVML of an NVIDIA card; without one, the reason."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

RAPL = Path("/sys/class/powercap")


@dataclass(frozen=True)
class Counter:
    """A counter of joules since some moment in the past, or the reason why there is none."""

    name: str = ""
    reason: str = ""
    read: Callable[[], float] | None = None

    def since(self, before: float | None) -> float | None:
        """Joules since a reading; None without a counter, or if it began anew in between."""
        if self.read is None or before is None:
            return None
        used = self.read() - before
        return used if used > 0 else None


def energy_counter(device: torch.device) -> Counter:
    """The counter of the device; it counts all that runs there, other programs too."""
    if device.type == "cuda":
        try:
            library = ctypes.CDLL("libnvidia-ml.so.1")
        except OSError:
            return Counter(reason="the driver's library libnvidia-ml.so.1 is not found")
        return nvml_counter(library, f"GPU-{torch.cuda.get_device_properties(device).uuid}")
    if device.type == "cpu":
        return rapl_counter(RAPL)
    return Counter(reason=f"no counter of a device of type {device.type} is known")


def rapl_counter(folder: Path) -> Counter:
    """The sum over the processor packages, from Linux's powercap files."""
    files = sorted(folder.glob("intel-rapl:[0-9]*/energy_uj"))
    files = [file for file in files if file.parent.name.count(":") == 1]  # packages, not their parts

    def read() -> float:
        return sum(int(file.read_text()) for file in files) / 1e6

    if not files:
        return Counter(reason=f"the system shows no RAPL counter in {folder}")
    try:
        read()
    except OSError as error:
        return Counter(reason=f"the RAPL counter {files[0]} cannot be read: {error.strerror}")
    return Counter("RAPL, processor packages", read=read)


def nvml_counter(library: Any, uuid: str) -> Counter:
    """The card's total energy, by NVML's C functions of `library`."""
    handle, millijoules = ctypes.c_void_p(), ctypes.c_ulonglong()
    if library.nvmlInit_v2() or library.nvmlDeviceGetHandleByUUID(uuid.encode(), ctypes.byref(handle)):
        return Counter(reason=f"NVML does not give access to {uuid}")

    def status() -> int:
        return int(library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(millijoules)))

    def read() -> float:
        status()
        return millijoules.value / 1000

    return Counter(reason="this card has no energy counter") if status() else Counter("NVML, the whole card", read=read)
