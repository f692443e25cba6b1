"""Whether a training repeats: the records of two trainings, compared, and the first operator that differs."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from headtohead.core.files import Json
from headtohead.dataset.batches import Batch, Batches
from headtohead.profiling.timeline import PARTS
from headtohead.settings.rundir import SeedDir
from headtohead.training.journal import Journal
from headtohead.training.loop import Plan, train

EPOCHS = 2
CLOSE = 1e-6
LEVELS = ("bit-exact", "equal to 1e-6", "not reproducible")  # from the best to the worst

Call = tuple[int, str, str, str, str]  # step, part of the loop, operator, layer, hash of what it returned
ENTER, PROFILER = "profiler::_record_function_enter_new", "profiler::"  # the loop names its parts for the profiler


@dataclass(frozen=True)
class Record:
    """A training as it was: hashes of its batches, metrics of its epochs, tensors of its last state."""

    batches: list[str]  # a hash per step: pixels or features, and labels, in their order
    metrics: list[dict[str, float]]  # an entry per epoch, those of the log
    state: dict[str, NDArray[Any]]  # weights, buffers, and the optimizer's tensors
    calls: list[Call]  # every operator; empty unless they were listened to


class Listener(TorchDispatchMode):
    """Hashes what each operator returns, in the order of the calls; views and new memory have no own values."""

    def __init__(self) -> None:
        super().__init__()
        self.hears = False  # only from batch to batch, not while one is prepared
        self.part = ""  # of the loop: forward, loss, backward, optimizer
        self.layers: list[str] = []  # the layer that runs, after those around it
        self.calls: list[Call] = []
        self.step = -1

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.name().split(".")[0]
        if name == ENTER:
            self.part = args[0] if args[0] in PARTS else self.part
        elif self.hears and not func.is_view and not name.startswith(("aten::empty", "aten::new_empty", PROFILER)):
            self.calls.append((self.step, self.part, name, self.layers[-1] if self.layers else "", digest(result)))
        return result


def digest(values: Any) -> str:
    """SHA-256 of all tensors, arrays and numbers in `values`."""
    sha = hashlib.sha256()
    for leaf in tree_leaves(values):
        if isinstance(leaf, np.ndarray):
            sha.update(f"{leaf.shape}:{leaf.dtype};".encode() + leaf.tobytes())
        elif isinstance(leaf, torch.Tensor):
            content = leaf.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
            sha.update(f"{tuple(leaf.shape)}:{leaf.dtype};".encode() + content.tobytes())
        else:
            sha.update(repr(leaf).encode())
    return sha.hexdigest()


def record(model: nn.Module, batches: Batches, plan: Plan, *, listen: bool) -> Record:
    """Train `model` for EPOCHS by the training loop; with `listen`, every operator is recorded, which is slow."""
    hashes: list[str] = []
    listener = Listener()

    def hashed(epoch: int) -> Iterator[Batch]:
        for x, y in batches(epoch):
            hashes.append(digest((x, y)))
            listener.step += 1
            listener.calls.append((listener.step, "data", "the batch", "", hashes[-1]))
            listener.hears = True
            yield x, y
            listener.hears = False

    with TemporaryDirectory() as temporary:
        folder = SeedDir(Path(temporary))
        with Journal(folder, EPOCHS) as journal:
            run = lambda: train(model, Sized(hashed, len(batches)), None, short(plan), None, journal)  # noqa: E731
            state = listening(run, model, listener) if listen else run()
        metrics = [{k: v for k, v in entry.items() if not k.startswith("seconds/")} for entry in folder.read_log()]
    tensors = dict(model.state_dict())
    for number, values in enumerate(state.optimizer.state.values()):
        tensors |= {f"optimizer {number} {key}": value for key, value in values.items() if torch.is_tensor(value)}
    arrays = {name: tensor.detach().cpu().numpy().copy() for name, tensor in tensors.items()}
    return Record(hashes, metrics, arrays, listener.calls if listen else [])


@dataclass(frozen=True)
class Sized:
    """A function of the epoch as `Batches` of a known number of steps."""

    function: Callable[[int], Iterator[Batch]]
    steps: int

    def __call__(self, epoch: int) -> Iterator[Batch]:
        return self.function(epoch)

    def __len__(self) -> int:
        return self.steps


def short(plan: Plan) -> Plan:
    """The plan with EPOCHS epochs."""
    return replace(plan, epochs=EPOCHS, stop_after=0)


def listening(run: Callable[[], Any], model: nn.Module, listener: Listener) -> Any:
    """Call `run` while the listener hears every operator and knows in which layer of `model` it is."""
    names = {module: f"{name} ({type(module).__name__})".lstrip() for name, module in model.named_modules()}

    def enter(module: nn.Module, _: Any) -> None:
        listener.layers.append(names.get(module, ""))

    def leave(module: nn.Module, _: Any, output: Any) -> None:
        listener.layers.pop()

    with register_module_forward_pre_hook(enter), register_module_forward_hook(leave), listener:
        return run()


def compare(first: Record, second: Record) -> Json:
    """The level at which two trainings agree, and in what.

    `level`, one of LEVELS; `same`: whether `order` (of the batches, with their augmentation), `metrics` and `state`
    are equal to the last bit; `largest_difference` of a weight or a metric, relative where it is larger than 1;
    `hashes` of the first training.
    """
    same = {
        "order": first.batches == second.batches,
        "metrics": first.metrics == second.metrics,
        "state": digest(first.state) == digest(second.state),
    }
    logs = [np.array([list(entry.values()) for entry in one.metrics]) for one in (first, second)]
    largest = max(_gap(*logs), *(_gap(array, second.state[name]) for name, array in first.state.items()))
    exact = all(same.values())
    level = LEVELS[0] if exact else LEVELS[1] if same["order"] and largest <= CLOSE else LEVELS[2]
    hashes = {"order": digest(first.batches), "metrics": digest(first.metrics), "state": digest(first.state)}
    return {"level": level, "same": same, "largest_difference": largest, "hashes": hashes}


def first_difference(first: Sequence[Call], second: Sequence[Call]) -> Json | None:
    """The first operator that returned other bits, or that was another one; None if all are equal.

    `step` (from 0), `part` of the loop, `operator` ("the batch" for what the loop was given), `layer` of the forward
    pass, "" outside it, and `number` of the call in the training.

    >>> same = (0, "forward", "aten::mm", "head", "a")
    >>> first_difference([same, (0, "loss", "aten::add", "", "b")], [same, (0, "loss", "aten::add", "", "c")])
    {'step': 0, 'part': 'loss', 'operator': 'aten::add', 'layer': '', 'number': 1}
    >>> first_difference([same], [same])
    """
    pairs = enumerate(zip_longest(first, second))
    number, call = next(((number, a or b) for number, (a, b) in pairs if a != b), (0, None))
    if call is None:
        return None
    step, part, operator, layer, _ = call
    return {"step": step, "part": part, "operator": operator, "layer": layer, "number": number}


def _gap(a: NDArray[Any], b: NDArray[Any]) -> float:
    """The largest difference of two arrays, relative where a value is larger than 1."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    return float((np.abs(a - b) / np.maximum(np.maximum(np.abs(a), np.abs(b)), 1)).max(initial=0.0))
