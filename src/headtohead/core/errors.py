"""Everything that can be the user's mistake, as one tree.

UserError                   what is wrong, where, how to fix it; exit code 2, no traceback
├── BadSettings             a value, a key or a combination that cannot be
├── BadData                 the image folder: layout, unreadable files, classes
├── DownloadFailed          a data set: not reachable, other bytes than the published ones, a hostile archive
├── WeightsNotFound         pretrained weights: not there, not reachable, not of this model
├── RunFolderMismatch       the run folder belongs to other settings, or lacks an earlier stage
├── CheckFailed             the sanity gate says no
└── TrainingDiverged        the loss is no longer a number

Any other exception is a bug of ours and keeps its traceback.
"""

from headtohead.core.printable import printable


class UserError(Exception):
    """A mistake that the user can fix.

    `what` is wrong (one line, or several problems, one a line), `where` it is, and how to `fix` it.
    """

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what, self.where, self.fix = what, where, fix

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {printable(self.where)}")
        if self.fix:
            lines.append(f"  fix:  {self.fix}")
        return "\n".join(lines)


class BadSettings(UserError):
    """A value, a key or a combination that cannot be."""


class BadData(UserError):
    """The image folder cannot be used as it is."""


class DownloadFailed(UserError):
    """A data set cannot be fetched, or is not what was published."""


class WeightsNotFound(UserError):
    """Pretrained weights are missing, unreachable, or do not fit the model."""


class RunFolderMismatch(UserError):
    """The run folder was made with other settings, or an earlier stage is missing."""


class CheckFailed(UserError):
    """A sanity check failed and the run was told to stop at that."""


class TrainingDiverged(UserError):
    """The loss became infinite or not a number."""
