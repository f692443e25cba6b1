"""The profile stage: cost and trace of every profiled model, each newly built."""

from headtohead.contenders import contenders_of
from headtohead.contenders.base import Job, ProfileTarget
from headtohead.core.files import Json, write_json
from headtohead.core.progress import say
from headtohead.profiling import cost, trace
from headtohead.stages.check import check_traces


def profile(job: Job) -> None:
    """Write the traces and, last, `cost.json`."""
    models = {}
    for contender, kind in contenders_of(job.settings).items():
        for name, target in kind.profile_targets(job, contender).items():
            say(f"  {target.title}")
            models[name] = profile_model(job, contender, name, target)
    check_traces(job, models)
    write_json(job.run.cost, {"flops_counter": "torch.utils.flop_counter.FlopCounterMode", "models": models})


def profile_model(job: Job, contender: str, name: str, target: ProfileTarget) -> Json:
    """Write the trace of one model; returns its entry in `cost.json`."""
    settings, model, plan = job.settings.profile, target.build(), target.plan
    result: Json = {
        "title": target.title,
        "contender": contender,
        "batch_size": min(settings.batch_size, len(job.files("train"))),
        "device": str(job.device),
        "precision": "bf16 autocast" if job.bf16 and not name.startswith("cached") else "fp32",
    }
    result |= cost.parameters(model)
    result["forward_flops_per_image"] = cost.forward_flops(model, next(target.batches(0))[0][:1])
    result |= cost.measure(model, target.batches, plan, settings.steps // 4, job.device)
    path, operators = job.run.trace(name), job.run.operators(name)
    trace.record(target.title, target.build(), target.batches, plan, settings.steps, path, operators)
    result |= trace.summarise(path, settings.steps, target.max_trace_mb)
    result["operators"] = cost.top_operators(operators)
    result["bottleneck"] = cost.bottleneck(result)
    return result
