"""Every sentence of the report, in every case and in both languages, in files that a person can read.

After a change of words `python tests/report/test_sentences.py` writes them anew, with src and tests on PYTHONPATH.
"""

from dataclasses import replace
from gettext import NullTranslations
from pathlib import Path
from typing import Any

import made_up
import pytest
from babel.messages.extract import extract_from_dir

from headtohead.audit.shortcuts import KINDS
from headtohead.core.messages import Message
from headtohead.profiling.action import ACTIONS
from headtohead.report import cases
from headtohead.report.language import LANGUAGES, written_in
from headtohead.report.results import Results
from headtohead.report.templates import environment
from headtohead.settings.schema import Settings

GOLDEN = Path(__file__).parent / "golden"
TEMPLATES = Path(cases.__file__).parent / "templates"
ROW = {"variant": "logreg-cls-raw", "difference": 0.04, "low": 0.01, "high": 0.07}
LATE = {"best_epoch": 54, "num_epochs": 55, "tune_accuracy": 0.7, "seconds": 30.0}
PROOF = {"hash_before": "9777b23a42594074", "hash_after": "9777b23a42594074"}
POOLINGS = ("cls", "mean", "both", "pooled")
RECIPE = {"side": 64, "pooling": 4, "learning_rate": 0.003, "weight_decay": 0.05, "min_crop": 0.5, "smoothing": 0.1}
NEARNESS = [{"contenders": {name: made_up.row(0.7 + 0.1 * k) for name in cases.PAIR}} for k in range(3)]
PAIR = {"a": "cat/a|b.png", "b": "dog/<i>.png", "where": "across classes"}


def with_goals(*goals: Any) -> Results:
    return made_up.results(comparison={"time": {"goals": list(goals)}})


def with_gaps(cnn: float, probe: float) -> Results:
    r = made_up.results()
    for name, gap in (("cnn", cnn), ("probe", probe)):
        r.contender(name)["generalisation"] |= {"train": r.contender(name)["accuracy"]["mean"] + gap, "gap": gap}
    return r


def with_cnn(**changes: Any) -> Results:
    r = made_up.results()
    r.contender("cnn").update(changes)
    return r


def with_floor(low: float) -> Results:
    r = made_up.results()
    for name in cases.PAIR:
        r.contender(name)["above_pixels"] = {"accuracy": {"mean": 0.02, "low": low, "high": 0.05}}
    return r


def budget(always: str, **sizes: list[Any]) -> dict[str, Any]:
    return {"always": always, "sizes": {"cnn": [], "probe": [], "tie": []} | sizes, "least": 0.185, "most": 0.593}


def match(leader: str, needed: float | None, size: int | str = 5) -> dict[str, Any]:
    ends = {"low": needed and 30.0, "high": None, "largest": 109.0}
    return {"images_per_class": size, "leader": leader, "goal": 0.785, "needed": needed, "reached": 0.005} | ends


def alarm(case: str, name: str, **evidence: Any) -> dict[str, Any]:
    return {"alarm": {"alarm": name, "case": case, "evidence": ROW | evidence}}


def caution_values() -> dict[str, list[dict[str, Any]]]:
    """What the macros of the cautions are filled in with, by name, as `cases.cautions` does."""
    check = {"check": "overfits_few_images", "contender": "cnn"}
    check |= {"advice_message": {"text": "look at the loss", "values": {}}}
    scores = {"without": {"mean": 0.68}, "all": {"mean": 0.7}}
    return {
        "failed_checks": [{"failed": [check], "of": 16}],
        "leaks": [
            {"leaked": 20, "of": 270, "scores": {"cnn": scores, "probe": scores}},
            {"leaked": 270, "of": 270, "scores": {"cnn": None, "probe": None}},
        ],
        "contradictions": [{"pairs": n, "first": PAIR} for n in (1, 2, 5, 21)],
        "shortcut": [shortcuts()[-1]],
        "stand_in": [{"notice": ""}, {"notice": "no network"}],
        "non_commercial": [{"name": "convnextv2_atto.fcmae", "licence": "cc-by-nc-4.0"}],
        "floor": [{"who": name, "pixels": 0.31} for name in ("cnn", "probe")],
        "quick": [{}],
        "fixed_recipe": [{}],
        "alarm": [
            alarm("solved", "learning-rate"),
            alarm("neighbours", "protocol"),
            alarm("standardised", "scaling"),
            alarm("splits", "protocol", val=0.7, tune=0.9),
            alarm("edge", "learning-rate"),
            alarm("iterations", "not-converged", iterations=1000),
            alarm("early", "warm-up", warmup_epochs=1.5, num_epochs=15),
            alarm("last", "too-short", num_epochs=55),
        ],
    }


def sayings() -> list[tuple[str, str, tuple[Any, ...]]]:
    """Template, macro and arguments of every case."""
    r = made_up.results()
    ahead, behind, tie, close = (made_up.results(d) for d in ((0.1, 0.2), (-0.2, -0.1), (-0.05, 0.06), (-0.01, 0.02)))
    small_probe = made_up.results((-0.01, 0.02), cost={"models": {"cnn": {"parameters": 9}, "vit": {"parameters": 8}}})
    search = {"trials": 0, "passes": 0, "seconds": 0.0}
    fixed = made_up.results(comparison={"searches": r.comparison["searches"] | {"cnn": search}})
    perfect = with_cnn(most_confused=[])
    duplicates = {"duplicates": {"pairs": [PAIR], "leaked": ["x"]}}
    panel = {"reference": ROW | {"name": "logreg-cls-raw"}, "level": 0.997, "tests": 16, "num_tune": 220, "bound": 0.02}
    difference = made_up.row(0.18) | {"per_split": [0.1, -0.1]}
    splits = {"differences": {"probe minus cnn": {"accuracy": difference}}, "splits": 2, "confidence": 0.95}
    answer = [("headline", (one, cases.leader(one))) for one in (ahead, behind, tie, close)]
    answer += [("scores", (r,)), ("checks", (cases.gate(r),))]
    answer += [
        (step.name, (step.values,)) for one in (ahead, behind, tie, close, small_probe) for step in cases.steps(one)
    ]
    answer += [(f"fix_{name}", (caution_values()[name][0],)) for name in cases.FIXES]
    conclusions: list[tuple[str, tuple[Any, ...]]] = [
        ("floor", (r, cases)),
        ("floor", (with_floor(-0.01), cases)),
        ("pretraining", (r,)),
        ("convergence", (r, cases)),
        ("convergence", (with_goals(made_up.goal(0.7, 50.0, 94.0), made_up.goal(0.8, 90.0, None)), cases)),
        ("convergence", (with_goals(), cases)),
        ("convergence", (with_cnn(trainings=[LATE, LATE]), cases)),
        *(("generalisation", (with_gaps(*gaps), cases)) for gaps in ((0.3, 0.1), (0.1, 0.3), (0.1, 0.05), (0.05, 0.1))),
        ("generalisation", (with_gaps(0.1, 0.1), cases)),
        *(("mistakes", (one,)) for one in (r, perfect)),
        ("bottleneck", (r, cases)),
        *(("cost", (one, cases)) for one in (r, fixed)),
        *(("limits", (one, cases)) for one in (r, replace(r, sweeps={"probe": {"at_edge": ["learning_rate"]}}))),
    ]
    mixed = with_goals(made_up.goal(0.7, 150.0, 94.0))
    mixed.comparison["time"]["goals"][0]["cnn"]["seconds"]["loop"] = 1.0
    conclusions.append(("convergence", (mixed, cases)))
    sizes = {"probe": [5, 10], "cnn": [50], "tie": ["all"]}
    labels: list[tuple[str, tuple[Any, ...]]] = [("outcome", (budget(who),)) for who in ("probe", "cnn", "tie")]
    labels += [("outcome", (budget("", **sizes),))]
    labels += [("match", (match(who, n, size),)) for who in ("probe", "cnn") for n, size in ((43.2, 5), (None, "all"))]
    labels += [("late", ({"best_late": {"cnn": [50, 100], "probe": [10, "all"]}},))]
    labels += [("protocol", ({"draws": 5, "confidence": 0.95},))]
    trust: list[tuple[str, tuple[Any, ...]]] = [
        *(("intervals", (r,)), ("refit", (r,)), ("splits", (splits,))),
        *(("protocol", (one,)) for one in (r, replace(r, settings=Settings(quick=True)))),
        *(("frozen", (proof,)) for proof in (PROOF, PROOF | {"hash_after": "0000"})),
        *(("panel", (panel | {"verdict": verdict},)) for verdict in ("worse", "better", "close", "open")),
        *(("search", (one,)) for one in (r, fixed)),
        *(("recipe", (RECIPE | {"pooling": pooling, "flip": pooling > 1},)) for pooling in (4, 1)),
        ("head", ({"optimizer": "sgd", "learning_rate": 0.002, "weight_decay": 0.0},)),
        *(("pooling", ({"pooling": name, "poolings": [{}] * (3 if name != "pooled" else 1)},)) for name in POOLINGS),
    ]
    data = [
        (name, (one,))
        for one in (r, made_up.results(data=duplicates | {"layout": "split"}))
        for name in ("images", "duplicates")
    ]
    cautions = [(name, (values,)) for name, several in caution_values().items() for values in several]
    files = {"answer": answer, "cautions": cautions, "conclusions": conclusions, "budget": labels, "trust": trust}
    files |= {
        "explain": explain_sayings(),
        "data": data,
        "profile": profile_sayings(),
        "shortcuts": [("say", (case,)) for case in shortcuts()],
    }
    files["sets"] = sets_sayings()
    files["shortcuts"] += [("fix_groups", (shortcuts()[-1],)), ("nearness", (NEARNESS,))]
    return [(file, macro, values) for file, of in files.items() for macro, values in of]


def sets_sayings() -> list[tuple[str, tuple[Any, ...]]]:
    """One data set, and several with three contenders; too few for ranks, and enough."""
    pair = {"wins": ["a", "b"], "ties": ["c"], "losses": [], "ahead": {"sets": 3, "of": 3, "p": 0.25}}
    over = {"ranks": {"cnn": 3.0, "probe": 1.5, "probe-2": 1.5}, "friedman_p": 0.04}
    return [
        *(("compared", (n,)) for n in (1, 3, 21)),
        ("outcome", (pair,)),
        *(
            ("pair", (pair | {"mean": mean}, 0.95))
            for mean in (made_up.row(0.1) | {"low": None, "high": None}, made_up.row(0.1))
        ),
        ("intervals", (0.95,)),
        *(("ranks", (over | {"critical_difference": distance}, 0.95)) for distance in (None, 1.2, 2.3)),
    ]


def explain_sayings() -> list[tuple[str, tuple[Any, ...]]]:
    """A bug that costs, flatters, makes no difference, or shows in no score; and every wrong normalisation."""
    bug = {"check": "input_as_pretrained", "code": "HH005", "contender": "probe", "data": "pets"}
    cost = {"sound": 0.8, "bug": 0.7, "images": 96, "tune": 220, "epochs": 10, "seeds": [0, 1], "confidence": 0.95}
    costs = [cost | {"difference": made_up.row(mean)} for mean in (0.1, -0.1, 0.0)]
    names = ("right", "imagenet", "half", "none, 0 to 1", "none, 0 to 255")
    variants = [
        {"name": name} | ({"cost": {"accuracy": made_up.row(mean)}} if name != "right" else {})
        for name, mean in zip(names, (0, 0.1, 0.0, -0.1, 0.2), strict=True)
    ]
    content = {
        "variants": variants,
        "num_val": 270,
        "backbone": "vit",
        "data": "pets",
        "seeds": [0],
        "confidence": 0.95,
    }
    return [
        ("caught_by", (bug,)),
        *(("cost", (one,)) for one in (*costs, None)),
        *(("variant", (name,)) for name in names),
        *(("normalisation", (content,)), ("protocol", (content,)), ("hidden", ())),
    ]


def profile_sayings() -> list[tuple[str, tuple[Any, ...]]]:
    """Every class of a bottleneck, and every action."""
    bounds = [("bound", ({"class": of, "share": 0.7},)) for of in ("input", "overhead", "memory", "compute")]
    names = [function.__name__ for functions in ACTIONS.values() for function in functions]
    tried = [("tried", (made_up.action(2.0, name),)) for name in dict.fromkeys(names)]
    tried.append(("tried", (made_up.action(2.0, at_most=True),)))
    return [*bounds, *tried, ("against", (made_up.results().cost["models"]["vit"]["against_cnn"],))]


def shortcuts() -> list[dict[str, Any]]:
    """Cases as `shortcuts.json` has them; the last one is of groups that leak."""
    scores = {"accuracy": made_up.row(0.6), "majority": 0.1, "picture": made_up.row(0.89)}
    best = {"best_class": {"class": "hat"}}
    by = [scores | best | {"name": f"labels_by_{kind}"} for kind in (*KINDS, "cheap", "border", "centre")]
    drift = {"name": "val_differs_from_train", "clearest": "file", "kinds": {"file": {"auc": made_up.row(0.9)}}}
    groups = {"name": "groups", "drop": made_up.row(0.32), "random": made_up.row(0.75), "grouped": made_up.row(0.42)}
    groups |= {"groups": 6, "examples": ["george", "jackson"], "command": "headtohead run photos"}
    return [*by, drift, groups | {"nested": True, "outcome": "tip"}, groups | {"nested": False, "outcome": "issue"}]


def page(code: str) -> str:
    """All cases in one language."""
    lines = []
    with written_in(code):
        env = environment("markdown")
        for file, macro, values in sayings():
            text = getattr(env.get_template(f"sentences/{file}.j2").module, macro)(*values)
            lines.append(f"### {file}.{macro}\n\n{text.strip()}\n")
    return "\n".join(lines)


def golden(code: str) -> Path:
    return GOLDEN / f"sentences.{code}.md"


@pytest.mark.parametrize("code", LANGUAGES)
def test_the_sentences_are_those_of_the_golden_file(code: str) -> None:
    assert page(code) == golden(code).read_text(encoding="utf-8")


def test_every_sentence_has_a_case(monkeypatch: pytest.MonkeyPatch) -> None:
    said: set[str] = set()
    monkeypatch.setattr(NullTranslations, "gettext", lambda self, text: said.add(text) or text)
    monkeypatch.setattr(NullTranslations, "ngettext", lambda self, text, texts, n: said.add(text) or text)
    page("en")
    options = {"**": {"trimmed": "true", "trim_blocks": "true"}}
    found = extract_from_dir(TEMPLATES / "sentences", [("**", "jinja2")], options)
    texts = {message if isinstance(message, str) else message[0] for _, _, message, _, _ in found}
    assert texts - said == set()


def test_names_cannot_break_the_page() -> None:
    text = page("en")
    assert r"cat/a\|b.png" in text
    assert "&lt;i&gt;" in text


def test_a_message_is_translated_with_its_values() -> None:
    message = Message("short side below {px} px", {"px": 16})
    with written_in("ru"):
        assert environment("markdown").filters["message"](message) == "короткая сторона меньше 16 px"


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for each in LANGUAGES:
        golden(each).write_text(page(each), encoding="utf-8")
