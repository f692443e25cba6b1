"""The report: sentences and tables. Every number is read from a results file of the run folder."""

from headtohead.report.render import LANGUAGES, write_reports

__all__ = ["LANGUAGES", "write_reports"]
