"""The train stage: every contender, every seed."""

from headtohead.contenders import contenders_of
from headtohead.contenders.base import Job


def train(job: Job) -> None:
    """Train each contender that has no `scores.json`, the last file of its training."""
    for name, contender in contenders_of(job.settings).items():
        if not job.run.scores(name).exists():
            contender.train(job, name)
