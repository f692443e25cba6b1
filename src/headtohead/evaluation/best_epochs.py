"""The best epoch of each training, and alarms: it lies in the warm-up, or it is the last one."""

from headtohead.core.files import Json
from headtohead.evaluation.agreement import alarm
from headtohead.settings.rundir import Log, best_epoch


def training_row(log: Log) -> Json:
    """The best epoch of a training (the lowest loss on `tune`), counted from 0; its accuracy; seconds of all epochs.

    >>> epoch = {"epoch": 0, "accuracy/tune": 0.8, "loss/tune": 0.5, "seconds/train": 2.0, "seconds/tune": 0.5}
    >>> training_row([epoch, epoch | {"epoch": 1, "accuracy/tune": 0.9, "loss/tune": 0.6}])
    {'best_epoch': 0, 'num_epochs': 2, 'tune_accuracy': 0.8, 'seconds': 5.0}
    """
    best = best_epoch(log)
    return {
        "best_epoch": best["epoch"],
        "num_epochs": len(log),
        "tune_accuracy": best["accuracy/tune"],
        "seconds": sum(entry["seconds/train"] + entry["seconds/tune"] for entry in log),
    }


def training_alarms(trainings: list[Json], warmup_share: float) -> list[Json]:
    """Alarms on the trainings of one contender, a `training_row` for each seed.

    `warm-up`: a best epoch lies in the warm-up, so that the schedule never acted on the weights that are kept.
    `too-short`: all best epochs are the last ones, so that a longer training may be better.

    >>> [fired["alarm"] for fired in training_alarms([{"best_epoch": 2, "num_epochs": 30}], warmup_share=0.1)]
    ['warm-up']
    >>> training_alarms([{"best_epoch": 3, "num_epochs": 30}], warmup_share=0.1)
    []
    """
    best, epochs = [row["best_epoch"] for row in trainings], trainings[0]["num_epochs"]
    evidence = {"best_epochs": best, "num_epochs": epochs, "warmup_epochs": warmup_share * epochs}
    alarms = []
    if min(best) + 1 <= warmup_share * epochs:
        alarms.append(alarm("warm-up", "early", evidence))
    if min(best) == epochs - 1:
        alarms.append(alarm("too-short", "last", evidence))
    return alarms
