"""The stages of the assignment, each found in a hand-in or not: data, CNN, ViT-Tiny, profile, comparison."""

import re

from headtohead.core.messages import Message
from headtohead.handin.evidence import Evidence, model_of
from headtohead.handin.finding import NAMES, Finding, by_check, found, in_code, is_by_headtohead, no_events
from headtohead.handin.tables import METRICS, MODELS, Matrix, only

MIN_CLASSES, MIN_IMAGES = 5, 100
STEPS = (50, 100)
LOSS, RATE = re.compile(r"loss|лосс", re.IGNORECASE), re.compile(r"(^|[/_\-])lr|learning.?rate", re.IGNORECASE)
GRADIENTS = re.compile(r"grad", re.IGNORECASE)


def classes(e: Evidence) -> Finding:
    """At least 5 classes of 100 images: by the images, or by what a run folder lists of them."""
    if not e.images:
        if e.matrices:
            number = max(len(one.rows) for one in e.matrices)
            values = {"classes": number}
            text = Message("the matrix has {classes} classes; the images are not here to be counted", values)
            return found("invalid" if number < MIN_CLASSES else "unchecked", text)
        return found("unchecked", Message("neither images nor a list of them are here, so they could not be counted"))
    counts = {cls: sum(split[cls] for split in e.images.values()) for cls in e.classes}
    few = [cls for cls, number in counts.items() if number < MIN_IMAGES]
    values = {"classes": len(counts), "least": min(counts.values()), "images": sum(counts.values())}
    text = Message("{images} images in {classes} classes, {least} in the smallest", values)
    return found("invalid" if few or len(counts) < MIN_CLASSES else "valid", text)


def split(e: Evidence) -> Finding:
    """Train and val, without common images."""
    if e.leaked:
        text = Message("{n} images of val are in train too", {"n": len(e.leaked)})
        return found("invalid", text, files=e.leaked)
    if {"train", "val"} <= e.images.keys():
        values = {split: sum(e.images[split].values()) for split in ("train", "val")}
        return found("valid", Message("train: {train} images, val: {val}, no file in both", values))
    if files := e.code_has(r"ImageFolder|random_split|train_test_split|StratifiedShuffleSplit"):
        return found("unchecked", Message("the code splits; the images are not here"), files=files)
    return found("missing", Message("no train and val, and no code that splits"))


def augmentation(e: Evidence) -> Finding:
    """RandomResizedCrop, RandomHorizontalFlip, Normalize in the code."""
    patterns = {
        "RandomResizedCrop": r"RandomResizedCrop|random_resized_crop",
        "RandomHorizontalFlip": r"RandomHorizontalFlip|horizontal_flip|hflip|\bflip\b",
        "Normalize": r"Normalize|normali[sz]e",
    }
    return in_code(e, patterns)


def cnn(e: Evidence) -> Finding:
    """A CNN of the student's own, and a result of it."""
    if not (files := e.code_has(r"Conv2d\(|Conv2D\(")) and not (is_by_headtohead(e) and not e.code):
        return found("missing", Message("no convolution in the code"))
    return with_result(e, "cnn", files)


def with_result(e: Evidence, model: str, files: list[str]) -> Finding:
    """A model in the code counts as done where it left a result."""
    results = {score.source for score in e.scores if score.model == model}
    results |= {one.name for one in e.events for tag in one.scalars if model_of(one, tag) == model}
    results |= {one.name for one in e.matrices if only(MODELS, one.name) == model}
    if results:
        return found("valid", files=[*files[:2], *sorted(results)])
    values = {"model": NAMES[model]}
    if any(score.model == model for score in e.stated):
        return found("unchecked", Message("{model}: its result stands in the README alone", values), files=files)
    text = Message("{model}: in the code, but no event file, table or matrix is named after it", values)
    return found("missing", text, files=files)


def seeds(e: Evidence) -> Finding:
    """A seed is set."""
    if re.search(r"^seeds?\s*=", e.settings, re.MULTILINE):
        return found("valid", Message("the seeds stand in settings.toml"))
    sets = r"manual_seed\(|seed_everything\(|set_(all_)?seeds?\(|fix_seed|random\.seed\(|Generator\("
    return in_code(e, {"seed": sets})


def overfit(e: Evidence) -> Finding:
    """The sanity check that overfits a few batches, and its outcome."""
    if "HH021" in e.checks:
        return by_check(e, "HH021")
    pattern = re.compile(r"overfit|sanity", re.IGNORECASE)
    for one in e.events:
        for tag, values in one.scalars.items():
            if pattern.search(f"{one.name}/{tag}") and LOSS.search(tag) and len(values) > 1:
                fell = values[-1] < 0.2 * values[0]
                text = Message("the loss goes from {first:.3g} to {last:.3g}", {"first": values[0], "last": values[-1]})
                return found("valid" if fell else "invalid", text, files=[one.name])
    if files := e.code_has(r"(?i)overfit|sanity"):
        text = Message("in the code; no curve of it is saved, so how it ended is not known")
        return found("unchecked", text, files=files)
    said = r"(?i)overfit\w{0,4} (on )?(a )?(few|one|single|several)|sanity|переобуч\w{1,5} на (нескольк|одном)"
    if re.search(said, e.prose):
        return found("unchecked", Message("only the text speaks of it"))
    return found("missing", Message("nothing overfits a few batches"))


def scalars(e: Evidence) -> Finding:
    """Event files with loss, accuracy and learning rate, each a curve."""
    if not e.events:
        return no_events(e)
    curves = [(one, tag) for one in e.events for tag, values in one.scalars.items() if len(values) > 1]
    patterns = {"loss": LOSS, "accuracy": METRICS["accuracy"], "learning rate": RATE}
    # add_scalars gives each curve its own folder, so the tag may stand there.
    lacking = [name for name, p in patterns.items() if not any(p.search(f"{one.name}/{tag}") for one, tag in curves)]
    cut = [one.name for one in e.events if one.is_cut]
    problems = [Message("no curve of: {names}", {"names": ", ".join(lacking)})] if lacking else []
    problems += [Message("{n} event files cannot be read to their end", {"n": len(cut)})] if cut else []
    good = Message("{files} event files, {curves} curves", {"files": len(e.events), "curves": len(curves)})
    where = cut or [one.name for one in e.events]
    return found("invalid" if problems else "valid", *(problems or [good]), files=where)


def histograms(e: Evidence) -> Finding:
    """Histograms of weights and of gradients."""
    if not e.events:
        return no_events(e)
    tags = {(one.name, tag) for one in e.events for tag in one.histograms}
    is_gradient = {tag: bool(GRADIENTS.search(tag)) for _, tag in tags}
    lacking = [name for name, kind in (("weights", False), ("gradients", True)) if kind not in is_gradient.values()]
    if lacking:
        return found("missing", Message("no histograms of: {names}", {"names": ", ".join(lacking)}))
    return found("valid", Message("{n} histograms", {"n": len(is_gradient)}), files=sorted({name for name, _ in tags}))


def vit(e: Evidence) -> Finding:
    """A pretrained ViT-Tiny, and a result of it."""
    files = e.code_has(r"(?i)vit_?-?(t_|tiny|ti\b)")
    if not files and "vit_tiny" not in e.settings:
        if other := e.code_has(r"(?i)vit_|deit|VisionTransformer"):
            return found("invalid", Message("a transformer, but not ViT-Tiny"), files=other)
        return found("missing", Message("no ViT-Tiny in the code"))
    loads = r"pretrained\s*=\s*True|weights\s*=|load_state_dict|load_model|from_pretrained"
    if not e.settings and not e.code_has(loads):
        return found("invalid", Message("no pretrained weights are loaded in the code"), files=files)
    return with_result(e, "vit", files)


def frozen(e: Evidence) -> Finding:
    """The backbone is frozen."""
    if "HH014" in e.checks:
        return by_check(e, "HH014")
    note = Message("in the code; whether no weight and no statistic moved can only be seen by running it")
    pattern = r"requires_grad\s*=\s*False|requires_grad_\(\s*False|freeze|forward_features|extract_features"
    return in_code(e, {"requires_grad = False": pattern}, note)


def trace(e: Evidence) -> Finding:
    """A trace of 50-100 training steps."""
    if not e.traces:
        if unread := e.unread(r"(?i)trace|profil|\.json"):
            return found("unchecked", *(why for _, why in unread[:3]), files=[name for name, _ in unread])
        return found("missing", Message("no trace of torch.profiler"))
    good = [one for one in e.traces if one.is_whole and one.is_training and STEPS[0] <= one.steps <= STEPS[1]]
    if good:
        text = Message("{steps} training steps, backward and optimizer in each", {"steps": good[0].steps})
        return found("valid", text, files=[one.name for one in good])
    one = max(e.traces, key=lambda one: (one.is_training, one.steps))
    problems = [Message("it ends before its end")] * (not one.is_whole)
    if not STEPS[0] <= one.steps <= STEPS[1]:
        problems += [Message("{steps} steps instead of 50-100", {"steps": one.steps})]
    if not one.is_training:
        values = {"backward": one.backward, "optimizer": one.optimizer_steps}
        problems += [Message("not of training: {backward} backward operators, {optimizer} optimizer steps", values)]
    return found("invalid", *problems, files=[one.name])


def profile(e: Evidence) -> Finding:
    """Both models' resources are compared."""
    traced = {only(MODELS, one.name) for one in e.traces}
    if {"cnn", "vit"} <= traced:
        return found("valid", Message("a trace of each"), files=[one.name for one in e.traces])
    costs = r"(?i)\bms\b|\bмс\b|memory|памят|throughput|flops|images/s|img/s|latency|parameters|параметр"
    paragraphs = [text for text in re.split(r"\n\s*\n", e.prose) if re.search(costs, text)]
    if all(any(pattern.search(text) for text in paragraphs) for pattern in MODELS.values()):
        return found("unchecked", Message("the text names time or memory of both; no trace of each confirms it"))
    return found("missing", Message("nothing compares what both models cost"))


def metrics(e: Evidence) -> Finding:
    """A table of accuracy and macro-F1 of both models."""
    have = {(one.model, one.metric): one.source for one in (*e.scores, *e.stated)}
    lacking = [
        f"{NAMES[metric]} ({NAMES[model]})" for model in MODELS for metric in METRICS if (model, metric) not in have
    ]
    if len(lacking) == 4:
        return found("missing", Message("no table with accuracy and F1 of both models"))
    if lacking:
        return found("invalid", Message("the tables lack: {names}", {"names": ", ".join(lacking)}))
    return found("valid", files=sorted({*have.values()}))


def confusion(e: Evidence) -> Finding:
    """A confusion matrix, its rows the images of val."""
    if not e.matrices:
        if e.pictures:
            return found("unchecked", Message("only a picture: its rows could not be added up"), files=e.pictures)
        if unread := e.unread(r"(?i)confus"):
            return found("unchecked", *(why for _, why in unread[:3]), files=[name for name, _ in unread])
        return found("missing", Message("no file with a confusion matrix"))
    counted = [one for one in e.matrices if not one.is_normalised]
    names = [one.name for one in e.matrices]
    if not counted:
        return found("unchecked", Message("normalised: its rows could not be compared with the images"), files=names)
    held_out = [sorted(e.images[split].values()) for split in ("val", "test") if split in e.images]
    wrong = [one for one in counted if not any(adds_up(one, images) for images in held_out)]
    if held_out and wrong:
        values = {"matrix": round(wrong[0].total), "val": sum(held_out[0])}
        text = Message("the rows add up to {matrix} images, val has {val}, or not class by class", values)
        return found("invalid", text, files=[one.name for one in wrong])
    if held_out:
        return found("valid", Message("the rows are the images of val"), files=names)
    sums = {tuple(sorted(round(sum(row)) for row in one.rows)) for one in counted}
    if len(sums) > 1:
        totals = ", ".join(sorted({f"{one.total:.6g}" for one in counted}))
        text = Message("matrices of different images: {totals} in all", {"totals": totals})
        return found("invalid", text, files=names)
    text = Message("{images} images in all; how many val has is not known here", {"images": round(counted[0].total)})
    return found("unchecked", text, files=names)


def adds_up(matrix: Matrix, images: list[int]) -> bool:
    """Whether the rows are these numbers of images, in any order; means over seeds are rounded."""
    rows = sorted(map(sum, matrix.rows))
    return len(rows) == len(images) and all(abs(row - n) < 0.05 for row, n in zip(rows, images, strict=True))


def observations(e: Evidence) -> Finding:
    """Who converges faster, who generalises better, where the bottlenecks are."""
    words = {
        "convergence": r"(?i)converg|faster|epochs? to|сход|быстрее",
        "generalisation": r"(?i)generali[sz]|overfit|gap|обобща|переобуч",
        "bottlenecks": r"(?i)bottleneck|slowest|memory.bound|compute.bound|узк\w{1,5} мест|dataloader|загрузк",
    }
    lacking = [name for name, pattern in words.items() if not re.search(pattern, e.prose)]
    if lacking:
        return found("missing", Message("the text says nothing on: {names}", {"names": ", ".join(lacking)}))
    return found("unchecked", Message("all three are spoken of; whether it is true, a reader must judge"))
