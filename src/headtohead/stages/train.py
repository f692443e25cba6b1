"""The train stage: every contender, every seed."""

from headtohead.contenders import contenders_of
from headtohead.contenders.base import Job
from headtohead.settings.contenders import contender_names


def train(job: Job) -> None:
    """Leave each contender's trainings in its folder, `scores.json` last."""
    for name, contender in contenders_of(job.settings).items():
        contender.train(job, name)


def is_trained(job: Job) -> bool:
    """Whether every contender is."""
    return all(job.run.scores(name).exists() for name in contender_names(job.settings))
