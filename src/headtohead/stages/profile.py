"""The profile stage: cost, trace, bottleneck and the action against it, of every profiled model, each newly built."""

import torch

from headtohead.contenders import contenders_of
from headtohead.contenders.base import Job, ProfileTarget
from headtohead.core.executor import num_cores
from headtohead.core.files import Json, write_json
from headtohead.core.progress import say
from headtohead.profiling import cost, timeline, trace, verdict
from headtohead.profiling.action import Profiled, Setup, try_action
from headtohead.profiling.energy import energy_counter
from headtohead.profiling.roofline import Roofline, measure_roofline, position, training_flops
from headtohead.stages.check import check_traces


def profile(job: Job) -> None:
    """Write the traces and, last, `cost.json`.

    - `device`: `threads` of torch, `cores`, `unrecorded_steps` before a trace, and `rooflines` by precision (`fp32`,
      `bf16`): the measured peaks `gflops_per_s` and `gb_per_s` with that number of threads, both also `_all_cores`,
      and their ratio `ridge_flops_per_byte`.
    - `thresholds`: shares of a step from which input and overhead are moderate and high.
    - `models`: see `profile_model`; each but the CNN has `against_cnn`, see `against`.
    """
    say("  peaks of this device")
    rooflines = {name: measure_roofline(job.device, name == "bf16") for name in ("fp32", "bf16")[: 1 + job.bf16]}
    models: dict[str, Json] = {}
    for contender, kind in contenders_of(job.settings).items():
        for name, target in kind.profile_targets(job, contender).items():
            say(f"  {target.title}")
            models[name] = profile_model(job, contender, name, target, rooflines)
    for name, model in models.items():
        if name != "cnn":
            model["against_cnn"] = against(models["cnn"], model)
    device = {"threads": torch.get_num_threads(), "cores": num_cores()}
    device |= {"unrecorded_steps": trace.WAIT + trace.WARMUP}
    content: Json = {"flops_counter": "torch.utils.flop_counter.FlopCounterMode"}
    content |= {"device": device | {"rooflines": {name: line.to_json() for name, line in rooflines.items()}}}
    content |= {"thresholds": verdict.THRESHOLDS, "models": models}
    check_traces(job, models)
    write_json(job.run.cost, content)


def profile_model(job: Job, contender: str, name: str, target: ProfileTarget, rooflines: dict[str, Roofline]) -> Json:
    """Write the trace of one model; returns its entry in `cost.json`.

    Besides the sizes, the figures of the trace (`step`, `parts`, `kinds`, see `timeline.summarise`) and of a training
    without profiler (see `cost.measure`): `inference` (see `cost.inference`), `roofline` (see `roofline.position`),
    `verdict` (see `verdict.classify`) with its `action` (see `action.try_action`), and `bottleneck`, the largest part
    of the loop.
    """
    settings, plan = job.settings.profile, target.plan
    x, y = next(target.batches(0))
    is_bf16 = job.bf16 and not name.startswith("cached")
    result: Json = {
        "title": target.title,
        "contender": contender,
        "batch_size": len(x),
        "device": str(job.device),
        "precision": "bf16 autocast" if is_bf16 else "fp32",
    }
    model = target.build()
    result |= cost.parameters(model)
    result["forward_flops_per_image"] = cost.forward_flops(model, x[:1])
    flops = training_flops(model, x, y, plan)
    result["training_flops_per_image"] = flops
    result |= cost.measure(target.build(), target.batches, plan, job.device)
    path, operators = job.run.trace(name), job.run.operators(name)
    trace.record(target.title, target.build(), target.batches, plan, settings.steps, path, operators)
    result |= timeline.summarise(path, settings.steps, target.max_trace_mb, str(job.device))
    result["operators"] = cost.top_operators(operators)
    result["bottleneck"] = cost.bottleneck(result)
    result["inference"] = cost.inference(target.build(), x, plan.bf16, energy_counter(job.device))
    roofline = rooflines["bf16" if is_bf16 else "fp32"]
    result["roofline"] = position(roofline, flops, result["bytes_per_image"], result["images_per_s"])
    found = verdict.classify({kind: of["mean_ms"] for kind, of in result["kinds"].items()})
    parts, step = {part: of["mean_ms"] for part, of in result["parts"].items()}, result["step"]["mean_ms"]
    setup = Setup(target.build, target.batches)
    profiled = Profiled(setup, target.others, found, parts, step, roofline, job.device)
    result["verdict"] = found | {"action": try_action(profiled, plan, result["images_per_s"])}
    return result


def against(cnn: Json, model: Json) -> Json:
    """Why a model is slower than the CNN, as ratios: the CNN's speed over its own, and what that is the product of.

    `slower` = `training_flops` (operations of a training step per image, its own over the CNN's) / `efficiency` (FLOP/s
    that it reaches, its own over the CNN's). `forward_flops` is the same of a forward pass.
    """
    ratio = lambda key: model[key] / cnn[key]  # noqa: E731
    slower, flops = 1 / ratio("images_per_s"), ratio("training_flops_per_image")
    figures = {"slower": slower, "forward_flops": ratio("forward_flops_per_image")}
    figures |= {"training_flops": flops, "efficiency": flops / slower}
    return {name: float(f"{value:.4g}") for name, value in figures.items()}
