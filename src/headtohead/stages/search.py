"""The search stage: every contender's choices on `tune`, before the trainings that are compared."""

from headtohead.contenders import contenders_of
from headtohead.contenders.base import Job


def search(job: Job) -> None:
    """Write `search.json` of each contender: what was tried, at which cost, and the choice."""
    for name, contender in contenders_of(job.settings).items():
        if not job.run.search(name).exists():
            contender.search(job, name)
