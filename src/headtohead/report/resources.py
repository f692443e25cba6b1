"""The section on what training costs."""

from collections.abc import Callable

from headtohead.core.files import Json
from headtohead.report.results import Results
from headtohead.report.text import Say, Section, code, count, profiled_name, table

# What the peak memory measures, in Russian.
MEMORY_KINDS = {"growth of the process": "прирост процесса", "allocated on the accelerator": "выделено на ускорителе"}


def resources(r: Results, say: Say) -> Section:
    """The profile of each model's training steps."""
    models = r.cost["models"]
    header = [say("per training step", "на шаг обучения"), *(profiled_name(r.settings, name, say) for name in models)]
    ms = lambda s: f"{s['median_ms']:.2f} [{s['p10_ms']:.2f}, {s['p90_ms']:.2f}]"  # noqa: E731
    lines: list[tuple[str, Callable[[Json], str]]] = [
        (say("batch, device, precision", "пакет, устройство, точность"),
         lambda m: f"{m['batch_size']}, {m['device']}, {m['precision']}"),
        (say("step, ms", "шаг, мс"), lambda m: ms(m["step"])),
        *((f"{part}, {say('ms', 'мс')}", lambda m, part=part: ms(m["parts"][part]))
          for part in ("data", "forward", "loss", "backward", "optimizer", "other")),
        (say("images/s without profiler", "изображений/с без профайлера"), lambda m: f"{m['images_per_s']:g}"),
        (say("parameters (trained)", "параметров (обучаемых)"),
         lambda m: f"{count(m['parameters'])} ({count(m['trainable_parameters'])})"),
        (say("FLOPs per image, forward", "FLOP на изображение, прямой проход"),
         lambda m: count(m["forward_flops_per_image"])),
        (say("peak memory, MB", "пик памяти, МБ"),
         lambda m: f"{m['peak_memory_mb']:.0f} ({say(m['peak_memory_kind'], MEMORY_KINDS[m['peak_memory_kind']])})"),
        (say("top operators, own ms", "главные операторы, свои мс"), lambda m: "; ".join(
            f"{code(o['operator'])} {o['own_ms_per_step']:.2f}" for o in m["operators"][:3])),
        (say("steps in the trace, MB", "шагов в трассе, МБ"), lambda m: f"{m['steps']}, {m['trace_mb']}"),
    ]  # fmt: skip
    rows = [(title, *(cell(m) for m in models.values())) for title, cell in lines]
    skipped = r.cost.get("device", {}).get("unrecorded_steps", 5)  # 5 in runs of before it was written down
    intro = say(
        "Training steps of the loop itself, on copies, on images decoded beforehand (`data` is augmentation and "
        f"batching); median and [10th, 90th percentile] over the steps of the trace, after {skipped} unrecorded steps. FLOPs by "
        f"`{r.cost['flops_counter']}`, 2 per multiply-add. Traces: `profile/*.trace.json.gz`, for "
        "`chrome://tracing` or Perfetto.",
        "Шаги обучения самого цикла, на копиях, на заранее декодированных изображениях (`data` это аугментация и сборка "
        f"пакета); медиана и [10-й, 90-й процентиль] по шагам трассы, после {skipped} незаписанных шагов. FLOP по "
        f"`{r.cost['flops_counter']}`, 2 на умножение со сложением. Трассы: `profile/*.trace.json.gz`, для "
        "`chrome://tracing` или Perfetto.",
    )
    body = "\n\n".join([intro, table(header, rows), "![](figures/step-parts.png)"])
    return Section(say("Resources", "Ресурсы"), body)
