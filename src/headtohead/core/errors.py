"""Errors that the user can fix: the command line prints them without a traceback and exits with code 2.

Any other exception is a bug of ours and keeps its traceback.
"""

from headtohead.core.printable import printable


class UserError(Exception):
    """A mistake that the user can fix: `what` is wrong (one problem a line), `where` it is, and how to `fix` it."""

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what, self.where, self.fix = what, where, fix

    def __str__(self) -> str:
        where = f"\n  where: {printable(self.where)}" if self.where else ""
        fix = f"\n  fix:   {self.fix}" if self.fix else ""
        return f"{self.what}{where}{fix}"


class BadSettings(UserError):
    """A value, a key or a combination of settings is invalid."""


class BadData(UserError):
    """The image folder cannot be used: its layout, unreadable files, too few classes."""


class DownloadFailed(UserError):
    """A data set cannot be downloaded, or its files are not the published ones."""


class WeightsNotFound(UserError):
    """Pretrained weights are missing, unreachable, or do not fit the model."""


class RunFolderMismatch(UserError):
    """The run folder was made with other settings, an earlier stage is missing, or a file is lost or damaged."""


class DiskFailed(UserError):
    """A disk is full, read-only or failing."""


class RunFolderBusy(UserError):
    """Another process is working in the run folder."""


class CheckFailed(UserError):
    """A sanity check failed and the settings say to stop then."""


class TrainingDiverged(UserError):
    """The loss became infinite or not a number."""


class WorkerKilled(UserError):
    """The system killed a worker process, usually for want of memory."""


class ClusterLost(UserError):
    """The scheduler of a cluster, or the connection to it, was lost."""
