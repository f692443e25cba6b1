"""The profile stage: cost and trace of every profiled model, on copies."""

from headtohead.contenders import contenders_of
from headtohead.contenders.base import Job, Profiled
from headtohead.core.files import Json, write_json
from headtohead.core.progress import say
from headtohead.profiling import cost, trace


def profile(job: Job) -> None:
    """Write the traces and, last, `cost.json`."""
    models = {}
    for contender, kind in contenders_of(job.settings).items():
        for name, profiled in kind.profiled(job, contender).items():
            say(f"  {profiled.title}")
            models[name] = profile_model(job, contender, name, profiled)
    write_json(job.run.cost, {"flops_counter": "torch.utils.flop_counter.FlopCounterMode", "models": models})


def profile_model(job: Job, contender: str, name: str, profiled: Profiled) -> Json:
    """The trace of one model, and its entry in `cost.json`."""
    settings, model, plan = job.settings.profile, profiled.build(), profiled.plan
    found: Json = {
        "title": profiled.title,
        "contender": contender,
        "batch_size": min(settings.batch_size, len(job.files("train"))),
        "device": str(job.device),
        "precision": "bf16 autocast" if job.bf16 and not name.startswith("cached") else "fp32",
    }
    found |= cost.parameters(model)
    found["forward_flops_per_image"] = cost.forward_flops(model, profiled.example)
    found |= cost.measure(model, profiled.batches, plan, settings.steps // 4, job.device)
    path, operators = job.run.trace(name), job.run.operators(name)
    trace.record(profiled.title, profiled.build(), profiled.batches, plan, settings.steps, path, operators)
    found |= trace.summarise(path, settings.steps, profiled.max_trace_mb)
    found["operators"] = cost.top_operators(operators)
    found["bottleneck"] = cost.bottleneck(found)
    return found
