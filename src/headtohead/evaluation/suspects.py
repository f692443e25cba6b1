"""Images whose label may be wrong: both models, which never trained on them, put another class first."""

from collections.abc import Mapping

import numpy as np

from headtohead.core.files import Json
from headtohead.evaluation.compare import difference, same_images, scores
from headtohead.evaluation.predictions import Predictions, load_predictions
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Settings

PAIR = ("cnn", "probe")
Runs = Mapping[str, list[Predictions]]  # by contender, one per seed


def suspects_of_run(run: RunDir, settings: Settings) -> Json:
    """The content of suspects.json: in `val` by the models of the headline, in `tune` by those before the refit.

    >>> suspects_of_run(RunDir(Path("runs/pets")), Settings())["num_images"]  # doctest: +SKIP
    {'val': 270, 'tune': 220}
    """
    headline = run.refit if settings.refits else run.seed
    folders = {"val": headline, "tune": run.seed}  # a refit is trained on `tune`
    splits = {
        split: {name: [load_predictions(of(name, s).predictions(split)) for s in settings.seeds] for name in PAIR}
        for split, of in folders.items()
    }
    return find_suspects(splits, settings.evaluation.confidence)


def find_suspects(splits: Mapping[str, Runs], confidence: float) -> Json:
    """Suspects in `splits`, least probable label first, and the scores on `val` without those of `val`.

    A suspect is an image to which both CNN and probe, by their mean probabilities over the seeds, give another class
    than its label; `agree` tells whether it is the same class. No model may have been trained on the images of
    `splits`. They are in the order of the label's probability, the mean of both models (the self-confidence of
    Northcutt et al. 2021, "Confident Learning"). Setting them aside raises both scores by construction, since both
    models are wrong on them: it is the most that wrong labels can take from the scores.

    >>> y = np.array([0, 0, 1])
    >>> run = Predictions(np.array(["a", "b", "c"]), y, np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]]), ("cat", "dog"))
    >>> found = find_suspects({"val": {"cnn": [run], "probe": [run]}}, 0.95)
    >>> [(row["file"], row["label"], row["predicted"], row["agree"]) for row in found["suspects"]]
    [('b', 'cat', {'cnn': 'dog', 'probe': 'dog'}, True)]
    >>> found["set_aside"]["num_val"], found["set_aside"]["contenders"]["cnn"]["mean"]
    (2, 1.0)
    """
    suspects = [row for split, runs in splits.items() for row in _of_split(split, runs)]
    suspects.sort(key=lambda row: (row["label_probability"], row["file"]))
    return {
        "num_images": {split: len(runs[PAIR[0]][0].labels) for split, runs in splits.items()},
        "suspects": suspects,
        "set_aside": _set_aside(splits["val"], suspects, confidence),
    }


def _of_split(split: str, runs: Runs) -> list[Json]:
    same_images([runs[name] for name in PAIR])
    first = runs[PAIR[0]][0]
    mean = {
        name: np.asarray(np.mean([run.probabilities for run in runs[name]], axis=0, dtype=np.float64)) for name in PAIR
    }
    predicted = {name: mean[name].argmax(axis=1) for name in PAIR}
    rows = []
    for i in np.flatnonzero(np.all([predicted[name] != first.labels for name in PAIR], axis=0)):
        of_label = {name: float(mean[name][i, first.labels[i]]) for name in PAIR}
        rows.append(
            {
                "file": str(first.files[i]),
                "split": split,
                "label": first.classes[first.labels[i]],
                "label_probability": float(np.mean(list(of_label.values()))),
                "predicted": {name: first.classes[predicted[name][i]] for name in PAIR},
                "probability": {name: float(mean[name][i].max()) for name in PAIR},  # of the class predicted
                "of_label": of_label,
                "seeds_wrong": {name: int(sum(not run.right[i] for run in runs[name])) for name in PAIR},
                "agree": bool(predicted["cnn"][i] == predicted["probe"][i]),
            }
        )
    return rows


def _set_aside(val: Runs, suspects: list[Json], confidence: float) -> Json | None:
    """Accuracy of both models, and the paired difference, on `val` without its suspects; None if none is left."""
    aside = [row["file"] for row in suspects if row["split"] == "val"]
    kept = ~np.isin(val[PAIR[0]][0].files, np.array(aside, dtype=str))
    if not kept.any():
        return None
    cnn, probe = ([run.only(kept) for run in val[name]] for name in PAIR)
    rows = {name: scores(runs, confidence) for name, runs in zip(PAIR, (cnn, probe), strict=True)}
    return {
        "num_val": int(kept.sum()),
        "contenders": {name: row["accuracy"] for name, row in rows.items()},
        "difference": difference(cnn, probe, confidence)["accuracy"],
    }
