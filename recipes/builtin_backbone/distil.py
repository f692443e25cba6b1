"""Train the built-in backbone: a ViT-Tiny from random weights learns to do what a pretrained one does, without labels.

    HEADTOHEAD_WEIGHTS=... HEADTOHEAD_DATA=... python recipes/builtin_backbone/distil.py WORK

WORK keeps checkpoint and log; the same command continues after an interruption. Two ways of learning:

1. `blocks`: every block at once is shown the teacher's own hidden states and learns the teacher's answer, attention
   and MLP each for itself. No error travels from block to block, so all depths learn from the first step.
2. `whole`: the student runs on its own hidden states; these, its class token and its patch tokens are drawn to the
   teacher's. This teaches each block to fix what the earlier ones got wrong.

The first steps look at a random part of the patches only: the same pictures at the same size, for less.
"""

import argparse
import itertools
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import timm
import torch
from images import Crops, read_fashion, read_photos
from torch import nn
from torch.nn.functional import cosine_similarity

from headtohead.core.device import choose_bf16
from headtohead.core.files import write_atomically
from headtohead.core.progress import say
from headtohead.images.transforms import Preprocess, normalise, plain_view
from headtohead.models.backbones import load_backbone
from headtohead.models.weights import find_weights

ARCHITECTURE = "vit_tiny_patch16_224"
TEACHER = f"{ARCHITECTURE}.augreg_in21k_ft_in1k"
SEED = 0
HELD_OUT = 128  # photographs that are never trained on, to watch
CHECKPOINT_EVERY, WATCH_EVERY = 100, 500  # steps
LANES = 2  # threads, each with one core: blocks (stage 1) or halves of the batch (stage 2) side by side


@dataclass(frozen=True)
class Stage:
    """A stretch of training: linear warm-up over 50 steps, then linear to zero."""

    name: str
    steps: int
    batch_size: int
    patches: int  # random patches of 196 that are looked at
    matrix_lr: float  # of Muon, for all weight matrices
    vector_lr: float  # of AdamW, for the rest: biases, norms, position embedding, class token

    def scale(self, step: int) -> float:
        """Of both learning rates."""
        return min(1.0, (step + 1) / 50) * (1 - step / self.steps)


STAGES = (
    Stage("blocks", 5000, 16, 64, 1e-2, 5e-3),
    Stage("whole", 1500, 16, 64, 2e-3, 7e-4),
    Stage("whole, all patches", 300, 16, 196, 1e-3, 3e-4),
)


def embed(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """(B, 3, S, S) -> (B, 1 + P, D): patches, class token and positions, as the first block meets them."""
    return net._pos_embed(net.patch_embed(x))


def relative_error(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Squared error over the variance of what is wanted, (B, T, D); the class token counts as much as half the rest."""
    error = (found - wanted).square()
    variance = (wanted - wanted.mean((0, 1))).square().mean()
    of_class = (wanted[:, 0] - wanted[:, 0].mean(0)).square().mean()
    # In the first blocks the class token hardly differs between images: there its share of the whole counts.
    return error.mean() / variance + 0.5 * error[:, 0].mean() / (of_class + 0.1 * variance)


def lowered() -> torch.autocast:
    """bf16 arithmetic where the processor has it. The cache of casts is shared by threads, so it is off."""
    return torch.autocast("cpu", torch.bfloat16, enabled=choose_bf16("auto", torch.device("cpu")), cache_enabled=False)


class Part:
    """Some parameters of the student with their optimisers: Muon for matrices, AdamW for the rest."""

    def __init__(self, modules: list[nn.Module | nn.Parameter], stage: Stage):
        self.parameters = [p for m in modules for p in ([m] if isinstance(m, nn.Parameter) else m.parameters())]
        weights = [p for p in self.parameters if p.ndim in (2, 4)]
        # A convolution that cuts patches is a matrix too; Muon wants to see it as one. The memory is shared.
        self.matrices = [(p, nn.Parameter(p.detach().flatten(1))) for p in weights]
        vectors = [p for p in self.parameters if p.ndim not in (2, 4)]
        self.optimizers: list[torch.optim.Optimizer] = []
        if self.matrices:
            self.optimizers.append(
                torch.optim.Muon(
                    [matrix for _, matrix in self.matrices],
                    lr=stage.matrix_lr,
                    weight_decay=0.0,
                    adjust_lr_fn="match_rms_adamw",
                )
            )
        self.optimizers.append(torch.optim.AdamW(vectors, lr=stage.vector_lr, betas=(0.9, 0.98), weight_decay=0.0))
        self.peaks = [optimizer.param_groups[0]["lr"] for optimizer in self.optimizers]

    def step(self, gradients: tuple[torch.Tensor, ...], scale: float) -> None:
        """One step along `gradients`, in the order of `parameters`."""
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        for parameter, matrix in self.matrices:
            matrix.grad = parameter.grad.flatten(1)
        for optimizer, peak in zip(self.optimizers, self.peaks, strict=True):
            optimizer.param_groups[0]["lr"] = peak * scale
            optimizer.step()


def parts_of(student: nn.Module, stage: Stage) -> list[Part]:
    """Embedding, every block, last norm."""
    first = Part([student.patch_embed, student.cls_token, student.pos_embed], stage)
    return [first, *(Part([block], stage) for block in student.blocks), Part([student.norm], stage)]


@torch.no_grad()
def hidden_states(net: nn.Module, x: torch.Tensor, chosen: torch.Tensor) -> list[torch.Tensor]:
    """Of `net` on the tokens `chosen`: before the first block, after each half of each, after the last norm."""
    with lowered():
        states = [embed(net, x).float()[:, chosen]]
        for block in net.blocks:
            states.append((states[-1] + block.attn(block.norm1(states[-1]))).float())
            states.append((states[-1] + block.mlp(block.norm2(states[-1]))).float())
        return [*states, net.norm(states[-1]).float()]


def block_loss(block: nn.Module, before: torch.Tensor, middle: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """How far the block is from the teacher's on the teacher's states, attention and MLP each for itself."""
    with lowered():
        attention = block.attn(block.norm1(before)).float()
        mlp = block.mlp(block.norm2(middle)).float()
    return relative_error(attention, middle - before) + relative_error(mlp, after - middle)


def whole_loss(student: nn.Module, x: torch.Tensor, chosen: torch.Tensor, wanted: list[torch.Tensor]) -> torch.Tensor:
    """How far the student's own states are from the teacher's: mean over the blocks, and the last tokens."""
    with lowered():
        state = embed(student, x).float()[:, chosen]
        losses = [relative_error(state, wanted[0])]
        for number, block in enumerate(student.blocks):
            state = block(state).float()
            losses.append(relative_error(state, wanted[2 * number + 2]))
        last = student.norm(state).float()
    return torch.stack(losses).mean() + relative_error(last, wanted[-1])


class Distillation:
    """Teacher, student and images; `step(parts, stage, number)` is one step of a stage."""

    def __init__(self, teacher: nn.Module, student: nn.Module, photos: list[Any], fashion: list[Any], to: Preprocess):
        self.teacher, self.student, self.photos, self.fashion, self.to = teacher, student, photos, fashion, to
        self.lanes = ThreadPoolExecutor(LANES)

    def halves(self, stage: Stage, number: int) -> tuple[list[torch.Tensor], torch.Tensor]:
        """The images of a step in LANES parts, and the tokens to look at."""
        size = stage.batch_size // LANES
        # The stage's name is part of the key: no stage repeats the crops of an earlier one.
        key = SEED + STAGES.index(stage)
        crops = [Crops(self.photos, self.fashion, self.to, size, LANES * key + lane) for lane in range(LANES)]
        x = list(self.lanes.map(lambda one: one(number), crops))
        order = torch.randperm(196, generator=torch.Generator().manual_seed(1000 * key + number))
        return x, torch.cat([torch.zeros(1, dtype=torch.long), 1 + order[: stage.patches].sort().values])

    def step(self, parts: list[Part], stage: Stage, number: int) -> float:
        """One step; returns the loss."""
        x, chosen = self.halves(stage, number)
        wanted = list(self.lanes.map(lambda half: hidden_states(self.teacher, half, chosen), x))
        scale = stage.scale(number)
        if stage.name == "blocks":
            states = [torch.cat(pair) for pair in zip(*wanted, strict=True)]

            def learn(part: Part, loss_of: Any) -> float:
                loss = loss_of()
                part.step(torch.autograd.grad(loss, part.parameters), scale)
                return loss.item()

            def first() -> torch.Tensor:
                with lowered():
                    return relative_error(embed(self.student, torch.cat(x)).float()[:, chosen], states[0])

            losses = [first]
            for i, block in enumerate(self.student.blocks):
                losses.append(lambda i=i, block=block: block_loss(block, *states[2 * i : 2 * i + 3]))
            losses.append(lambda: relative_error(self.student.norm(states[-2]), states[-1]))
            found = list(self.lanes.map(learn, parts, losses))
            return sum(found) / len(found)

        parameters = list(itertools.chain.from_iterable(part.parameters for part in parts))

        def gradients(half: torch.Tensor, states: list[torch.Tensor]) -> tuple[float, tuple[torch.Tensor, ...]]:
            loss = whole_loss(self.student, half, chosen, states)
            return loss.item(), torch.autograd.grad(loss, parameters)

        losses, found = zip(*self.lanes.map(gradients, x, wanted), strict=True)
        mean = iter([sum(of_one) / LANES for of_one in zip(*found, strict=True)])
        own = [tuple(itertools.islice(mean, len(part.parameters))) for part in parts]
        list(self.lanes.map(lambda part, gradient: part.step(gradient, scale), parts, own))
        return sum(losses) / LANES


@torch.no_grad()
def watch(teacher: nn.Module, student: nn.Module, x: torch.Tensor) -> dict[str, Any]:
    """On held-out photographs, whole: the class feature's cosine to the teacher's, and the error block by block."""
    chosen = torch.arange(197)
    t, s = hidden_states(teacher, x, chosen), hidden_states(student, x, chosen)
    forced = [float(block_loss(block, *t[2 * i : 2 * i + 3])) for i, block in enumerate(student.blocks)]
    return {
        "cosine": round(float(cosine_similarity(s[-1][:, 0], t[-1][:, 0]).mean()), 4),
        "forced": [round(value, 3) for value in forced],
        "chained": [round(float(relative_error(a, b)), 3) for a, b in zip(s[::2], t[::2], strict=True)],
    }


def restore(saved: Path, student: nn.Module) -> dict[str, Any]:
    """Where an earlier session stopped, with its weights put into `student`; the very beginning if there was none."""
    if not saved.exists():
        return {"stage": 0, "step": 0, "optimizers": [], "wall_s": 0.0, "cpu_s": 0.0}
    state: dict[str, Any] = torch.load(saved, weights_only=True)
    student.load_state_dict(state["student"])
    return state


def main() -> None:
    """Train, or go on training; WORK/last.pt holds the student."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder for checkpoint and log")
    work: Path = parser.parse_args().work
    work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # in each lane
    backbone = load_backbone(find_weights(TEACHER, fallback=False))
    teacher, to = backbone.net.body, backbone.preprocess
    torch.manual_seed(SEED)
    student = timm.create_model(ARCHITECTURE, num_classes=0)
    photos = read_photos(Path(os.environ["HEADTOHEAD_DATA"]) / "photo-pool")
    every = len(photos) // HELD_OUT
    held_out = [photos.pop(i) for i in reversed(range(0, HELD_OUT * every, every))]
    x = normalise(torch.stack([plain_view(pixels, to) for pixels in held_out]), to)
    run = Distillation(teacher, student, photos, read_fashion(), to)

    state = restore(work / "last.pt", student)
    while state["stage"] < len(STAGES):
        stage = STAGES[state["stage"]]
        parts = parts_of(student, stage)
        optimizers = [optimizer for part in parts for optimizer in part.optimizers]
        for optimizer, earlier in zip(optimizers, state["optimizers"], strict=False):  # none at a stage's beginning
            optimizer.load_state_dict(earlier)
        wall, cpu = time.perf_counter(), time.process_time()
        for step in range(state["step"], stage.steps):
            loss = run.step(parts, stage, step)
            is_last = step + 1 == stage.steps
            if not is_last and (step + 1) % CHECKPOINT_EVERY:
                continue
            state["wall_s"] += time.perf_counter() - wall
            state["cpu_s"] += time.process_time() - cpu
            state |= {"step": step + 1, "student": student.state_dict()}
            state |= {"optimizers": [optimizer.state_dict() for optimizer in optimizers]}
            entry = {"stage": stage.name, "step": step + 1, "loss": round(loss, 4)}
            entry |= {"wall_s": round(state["wall_s"]), "cpu_s": round(state["cpu_s"])}
            if is_last or (step + 1) % WATCH_EVERY == 0:
                entry |= watch(teacher, student, x)
            if is_last:
                state |= {"stage": state["stage"] + 1, "step": 0, "optimizers": []}
            say(json.dumps(entry))
            with (work / "log.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(entry) + "\n")
            for name in ("last.pt", *([f"after {stage.name}.pt"] if is_last else [])):
                write_atomically(work / name, partial(torch.save, state))
            wall, cpu = time.perf_counter(), time.process_time()


if __name__ == "__main__":
    main()
