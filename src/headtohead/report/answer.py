"""What a run prints at its end, in plain English: scores, difference, cautions, what to do first, where to look."""

import html
import re
import shlex
from dataclasses import dataclass

from headtohead.core.printable import printable
from headtohead.report.choices import fixed_recipe
from headtohead.report.data import leak_line
from headtohead.report.heads import alarm_lines
from headtohead.report.results import Results, winner
from headtohead.report.sections import stand_in
from headtohead.report.text import capital, count, pct_interval, points_interval, speaker
from headtohead.settings.rundir import RunDir

TITLES = {"cnn": "the CNN", "probe": "the probe"}
SAY = speaker("en")


@dataclass(frozen=True)
class Caution:
    """What speaks against the scores, and what to do about it before they are used; without `fix`, nothing."""

    text: str
    fix: str = ""


def answer(results: Results, run: RunDir, seconds: float | None = None) -> list[str]:
    """The lines to print; `seconds` is the duration of the run, None while it goes on."""
    c = results.comparison
    found = cautions(results)
    fixes = [caution.fix for caution in found if caution.fix]
    logs = shlex.quote(str(run.path))
    return [
        f"Accuracy on {c['num_val']} val images of {printable(results.data['name'])}, {100 * c['confidence']:g} % intervals:",
        f"  CNN    {pct_interval(results.contender('cnn')['accuracy'])}",
        f"  probe  {pct_interval(results.contender('probe')['accuracy'])}",
        difference(results),
        *(f"Caution: {caution.text}" for caution in found),
        f"First: {fixes[0] if fixes else next_step(results)}",
        f"Report: {printable(run.report('en'))}",
        f"Training curves: tensorboard --logdir {printable(logs)}",
        *([] if seconds is None else [f"Done in {duration(seconds)}."]),
    ]


def difference(r: Results) -> str:
    """The paired difference in accuracy, and who is ahead."""
    d = r.comparison["pair"]["difference"]["accuracy"]
    ahead = winner(d)
    outcome = f"{TITLES[ahead]} is ahead" if ahead != "tie" else "the two cannot be told apart"
    if ahead == "tie":
        shown = r.comparison["pair"]["verdict"]["detectable"]
        outcome += f" (a true difference of {100 * shown['difference']:.1f} would be seen in {100 * shown['power']:.0f} of 100 runs)"
    return f"Probe minus CNN: {points_interval(d)} points; {outcome}."


def next_step(r: Results) -> str:
    """What to do if nothing speaks against the scores."""
    d, n = r.comparison["pair"]["difference"]["accuracy"], r.comparison["num_val"]
    gain = f"{abs(100 * d['mean']):.1f}"
    match winner(d):
        case "probe":
            return f"Use the probe: the pretrained features are better than training from scratch by {gain} points."
        case "cnn":
            return f"Use the CNN: training from scratch is better than the frozen features by {gain} points."
    same = r.comparison["pair"]["verdict"]["equivalence"]
    if not same["same"]:
        most = max(-d["low"], d["high"])
        return (
            f"Get more val images: with {n} the two may differ by up to {100 * most:.1f} points, and four times as many "
            "halve that."
        )
    sizes = {name: r.cost["models"][model]["parameters"] for name, model in (("cnn", "cnn"), ("probe", "vit"))}
    small, large = sorted(sizes, key=lambda name: sizes[name])
    return (
        f"{capital(TITLES[small])} is enough: the two differ by less than {100 * same['margin']:g} points, and it has "
        f"{count(sizes[small])} parameters against {count(sizes[large])}."
    )


def cautions(r: Results) -> list[Caution]:
    """All that speaks against the scores, the most serious first."""
    alarms = alarm_lines(r, SAY).splitlines()
    found = [*failed_checks(r), *leaks(r), *contradictions(r), *stand_ins(r), *floor(r)]
    found += [Caution(plain(line.removeprefix("- "))) for line in alarms]
    if line := plain(fixed_recipe(r, SAY)):
        found.append(Caution(line))
    return found


def failed_checks(r: Results) -> list[Caution]:
    """A caution if sanity checks failed and the run was told to go on."""
    checks = r.checks["results"]
    failed = [check for check in checks if not check["passed"]]
    if not failed:
        return []
    names = ", ".join(f"{check['check']} ({check['contender']})" for check in failed)
    text = f"{len(failed)} of {len(checks)} sanity checks failed, and the run was told to go on: {names}."
    return [Caution(text, f"Find out why {failed[0]['check']} failed: {failed[0]['advice']}.")]


def leaks(r: Results) -> list[Caution]:
    """A caution if `val` images have a copy among the training images."""
    line = plain(leak_line(r, SAY))
    return (
        [Caution(line, "Delete one image of each leaking pair (the report lists them) and run anew.")] if line else []
    )


def contradictions(r: Results) -> list[Caution]:
    """A caution if copies of an image lie in two classes."""
    pairs = [pair for pair in r.data["duplicates"]["pairs"] if "classes" in pair["where"]]
    if not pairs:
        return []
    first = f"{printable(pairs[0]['a'])} and {printable(pairs[0]['b'])}"
    text = f"Pairs of copies whose labels contradict each other: {len(pairs)}, the first {first}."
    return [Caution(text, "Correct the contradicting labels (the report lists them) and run anew.")]


def stand_ins(r: Results) -> list[Caution]:
    """A caution if the built-in backbone is used; what to do about it only if others were asked for."""
    line = plain(stand_in(r, SAY))
    wanted = any(backbone["notice"] for backbone in r.backbones.values())
    fix = "Get the requested weights and run anew with --weights FILE: the probe's score may change." if wanted else ""
    return [Caution(line, fix)] if line else []


def floor(r: Results) -> list[Caution]:
    """A caution for each model that is not clearly better than a logistic regression on 8x8 pixels."""
    return [
        Caution(
            f"{capital(title)} is not clearly better than a logistic regression on 8x8 pixels (in pairs "
            f"{points_interval(r.contender(name)['above_pixels']['accuracy'])} points)."
        )
        for name, title in TITLES.items()
        if r.contender(name)["above_pixels"]["accuracy"]["low"] <= 0
    ]


def plain(markdown: str) -> str:
    r"""A Markdown sentence without its marks and escapes.

    >>> plain(r"**Alarm `edge`**: a\_b &lt;c&gt;")
    'Alarm edge: a_b <c>'
    """
    return html.unescape(re.sub(r"\\([\\`*_{}\[\]|~$])|\*\*|`", lambda mark: mark[1] or "", markdown))


def duration(seconds: float) -> str:
    """A duration in whole seconds.

    >>> duration(372.4), duration(3600)
    ('6 min 12 s', '1 h')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return " ".join(f"{n} {unit}" for n, unit in ((hours, "h"), (minutes, "min"), (rest, "s")) if n) or "0 s"
