"""Which sentence holds: the cases of the report and the values they need, from its results. No prose stands here."""

from dataclasses import dataclass, field
from statistics import mean
from typing import Any

from headtohead.core.files import Json
from headtohead.report.results import Results, winner
from headtohead.report.sources import derived

PAIR = ("cnn", "probe")


@dataclass(frozen=True)
class Case:
    """A sentence: the name of its macro and what it is filled in with."""

    name: str
    values: dict[str, Any] = field(default_factory=dict)


def leader(r: Results) -> str:
    """Who is ahead: `cnn`, `probe`, `same` (shown to differ by less than the margin), or `tie`."""
    verdict = r.comparison["pair"]["verdict"]
    return "same" if verdict["winner"] == "tie" and verdict["equivalence"]["same"] else str(verdict["winner"])


def next_step(r: Results) -> Case:
    """What to do if nothing speaks against the scores."""
    d, ahead = r.difference["accuracy"], leader(r)
    if ahead in PAIR:
        return Case(f"use_{ahead}", {"gap": d["mean"]})
    if ahead == "tie":
        return Case("more_val", {"n": r.comparison["num_val"], "most": max(-d["low"], d["high"], key=abs)})
    sizes = {name: r.cost["models"][model]["parameters"] for name, model in zip(PAIR, ("cnn", "vit"), strict=True)}
    small, large = sorted(sizes, key=lambda name: sizes[name])
    margin = r.comparison["pair"]["verdict"]["equivalence"]["margin"]
    return Case(f"{small}_is_enough", {"margin": margin, "small": sizes[small], "large": sizes[large]})


def cautions(r: Results) -> list[Case]:
    """All that speaks against the scores, the most serious first; a case `fix_NAME` says what to do about it, if anything."""
    return [
        *_failed_checks(r),
        *_leaks(r),
        *_contradictions(r),
        *_shortcuts(r),
        *_stand_ins(r),
        *_licences(r),
        *_floor(r),
        *_alarms(r),
        *_recipe(r),
    ]


# The cautions that come with a macro `fix_NAME`: what is to be done before the scores are used.
FIXES = ("failed_checks", "leaks", "contradictions", "shortcut", "stand_in")


def steps(r: Results) -> list[Case]:
    """What to do, in order: first what speaks against the scores, then what follows from them."""
    found = cautions(r)
    fixes = [Case(f"fix_{c.name}", c.values) for c in found if c.name in FIXES and c.values.get("fixable", True)]
    return [*fixes, next_step(r)]


def gate(r: Results) -> Json:
    """How many checks could be judged, and how many of them passed."""
    return {"passed": r.checks["judged_passed"], "of": r.checks["judged"]}


def _failed_checks(r: Results) -> list[Case]:
    checks = r.checks["results"]
    failed = [check for check in checks if not check["passed"]]
    return [Case("failed_checks", {"failed": failed, "of": r.checks["judged"]})] if failed else []


def _leaks(r: Results) -> list[Case]:
    leaks = r.comparison["leaks"]
    if not leaks["num_leaked"]:
        return []
    scores = {name: leaks["contenders"].get(name, {}).get("accuracy") for name in PAIR}
    return [Case("leaks", {"leaked": leaks["num_leaked"], "of": r.comparison["num_val"], "scores": scores})]


def _contradictions(r: Results) -> list[Case]:
    """Copies under two classes; a mirrored one is a copy only where a class does not depend on left and right."""
    pairs = [
        pair
        for pair in r.data["duplicates"]["pairs"]
        if "classes" in pair["where"] and (pair["kind"] != "mirrored" or r.settings.data.flip)
    ]
    return [Case("contradictions", {"pairs": len(pairs), "first": pairs[0]})] if pairs else []


def _shortcuts(r: Results) -> list[Case]:
    """What else predicts the labels, and a random split that flatters; a command helps only against the latter."""
    return [Case("shortcut", case | {"fixable": "command" in case}) for case in shortcuts(r, "issue")]


def shortcuts(r: Results, *outcomes: str) -> list[Json]:
    """The cases of the shortcuts stage with one of these outcomes."""
    return [case for case in r.shortcuts["cases"] if case["outcome"] in outcomes] if r.shortcuts else []


def _stand_ins(r: Results) -> list[Case]:
    """The built-in backbone is used; something is to be done only if another was asked for."""
    notices = [backbone["notice"] for backbone in r.backbones.values() if backbone["source"] == "built-in"]
    return [Case("stand_in", {"notice": notices[0], "fixable": bool(notices[0])})] if notices else []


# Without `nc` in their names, but for research alone all the same.
RESEARCH_ONLY = ("apple-amlr", "seer-license", "fair-noncommercial-research-license")


def _licences(r: Results) -> list[Case]:
    """Weights that may not be used commercially, as far as their licence is known."""
    licences = {b["name"]: b["licence"] for b in r.backbones.values() if "licence" in b}
    return [
        Case("non_commercial", {"name": name, "licence": licence})
        for name, licence in licences.items()
        if licence in RESEARCH_ONLY or "nc" in licence.split("-")
    ]


def _floor(r: Results) -> list[Case]:
    """Models that are not clearly better than a logistic regression on 8x8 pixels."""
    pixels = r.contender("pixels")["accuracy"]["mean"]
    return [Case("floor", {"who": name, "pixels": pixels}) for name in PAIR if above_pixels(r, name)["low"] <= 0]


def _alarms(r: Results) -> list[Case]:
    return [Case("alarm", {"contender": name, "alarm": alarm}) for name, alarm in alarms(r)]


def alarms(r: Results) -> list[tuple[str, Json]]:
    """The alarms of the heads' panels and of the trainings, each with its contender."""
    panels = ((name, panel["alarms"]) for name, panel in r.comparison["panel"].items())
    return [(name, alarm) for name, found in (*panels, *r.comparison["training_alarms"].items()) for alarm in found]


def _recipe(r: Results) -> list[Case]:
    """The CNN's recipe was not chosen on these images."""
    if r.settings.quick:
        return [Case("quick")]
    return [] if r.comparison["searches"]["cnn"]["trials"] else [Case("fixed_recipe")]


def best_last(r: Results) -> bool:
    """Whether the CNN was best within the last tenth of its epochs with every seed."""
    return all(row["best_epoch"] + 1 > 0.9 * row["num_epochs"] for row in r.contender("cnn")["trainings"])


def only_right(r: Results) -> dict[str, float]:
    """How many `val` images only one of the two gets right, in the mean over the seeds."""
    tests = list(r.comparison["pair"]["mcnemar"].values())
    keys = zip(PAIR, ("only_first", "only_second"), strict=True)
    return {name: derived(mean(t[key] for t in tests), *(t[key] for t in tests)) for name, key in keys}


def overfitting(r: Results) -> str:
    """Which of the two overfits more: `cnn`, `probe` or `alike`, with `_far` if by more than ten points."""
    gaps = {name: r.contender(name)["generalisation"]["gap"] for name in PAIR}
    more, less = sorted(PAIR, key=lambda name: -gaps[name])
    apart = gaps[more] - gaps[less]
    return "alike" if apart < 0.01 else f"{more}_far" if apart > 0.1 else more


def half_width(row: Json) -> float:
    """Half the width of an interval."""
    return derived((row["high"] - row["low"]) / 2, row["low"], row["high"])


def spent(r: Results, name: str) -> Json:
    """Seconds of one core by what they were spent on, for all seeds of `cnn` or `probe` together."""
    search, trainings = r.comparison["searches"][name], r.contender(name)["trainings"]
    loop = derived(sum(row["seconds"] for row in trainings), *(row["seconds"] for row in trainings))
    parts = search["parts"] if name == "probe" else {"search": search["seconds"]}
    return parts | {"loop": loop, "all": derived(sum([*parts.values(), loop]), *parts.values(), loop)}


def speed(r: Results) -> Json:
    """How CNN and probe compare in arithmetic and in rate: ratios."""
    cnn, vit, cached = (r.cost["models"][name] for name in ("cnn", "vit", "cached"))
    flops, rate = "forward_flops_per_image", "images_per_s"
    return {
        "work": derived(vit[flops] / cnn[flops], vit[flops], cnn[flops]),
        "rate": derived(cnn[rate] / vit[rate], cnn[rate], vit[rate]),
        "cached": derived(cached[rate] / vit[rate], cached[rate], vit[rate]),
    }


def common_accuracy(times: Json) -> Json | None:
    """What the highest accuracy that both reach costs each of them; None if no accuracy is reached by every seed of both."""
    common = [row for row in times["goals"] if all(row[name] for name in PAIR)]
    return common[-1] if common else None


def reached_alone(times: Json) -> Json | None:
    """The highest accuracy if every seed of one of the two reaches it and not of the other, else None."""
    last = times["goals"][-1] if times["goals"] else {}
    reached = [name for name in PAIR if last.get(name)]
    if len(reached) != 1:
        return None
    seconds = last[reached[0]]["seconds"]["with_features"]
    return {"who": reached[0], "accuracy": last["accuracy"], "seconds": seconds}


def faster(row: Json) -> str:
    """Who is faster to one accuracy: `cnn` or `probe` whatever is counted, or else `depends`."""
    counted = row["cnn"]["seconds"]
    first = {min(PAIR, key=lambda name: row[name]["seconds"][key]) for key in counted}
    return first.pop() if len(first) == 1 else "depends"


def budget_outcome(budget: Json) -> Json:
    """Who is ahead at which sizes of the label budget, and the smallest and the largest gap."""
    points = budget["points"]
    differences = [point["differences"]["probe minus cnn"]["accuracy"] for point in points]
    leaders = [winner(d) for d in differences]
    sizes = {
        who: [point["images_per_class"] for point, led in zip(points, leaders, strict=True) if led == who]
        for who in (*PAIR, "tie")
    }
    gaps = sorted((d["mean"] for d in differences), key=abs)
    return {"always": leaders[0] if len(set(leaders)) == 1 else "", "sizes": sizes, "least": gaps[0], "most": gaps[-1]}


def matches(budget: Json) -> list[Json]:
    """The smallest size, and the largest whose accuracy the one behind reaches: how many labels it needs there."""
    rows = budget["labels_needed"]
    reached = [row for row in rows[1:] if row["needed"] is not None]
    return [row | {"largest": rows[-1]["labels"]} for row in (rows[0], *reached[-1:])]


def above_pixels(r: Results, name: str) -> Json:
    """The paired difference of `cnn` or `probe` to logistic regression on 8x8 pixels, with its interval."""
    return r.contender(name)["above_pixels"]["accuracy"]


def tune_accuracy(scores: Json) -> float:
    """The accuracy on `tune` of the epochs taken, in the mean over the seeds."""
    values = [row["tune_accuracy"] for row in scores["trainings"]]
    return derived(mean(values), *values)


def best_epochs(scores: Json) -> list[float]:
    """The best epoch of every seed, counted from 1."""
    return [derived(int(row["best_epoch"]) + 1, row["best_epoch"]) for row in scores["trainings"]]


def loop_seconds(scores: Json) -> float:
    """Seconds in the loop, all seeds together."""
    values = [row["seconds"] for row in scores["trainings"]]
    return derived(sum(values), *values)
