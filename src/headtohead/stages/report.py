"""The report stage: the report in both languages."""

from headtohead.contenders.base import Job
from headtohead.report.render import write_reports


def report(job: Job) -> None:
    """Write `report.md` and, last, `report.ru.md`."""
    write_reports(job.run)
