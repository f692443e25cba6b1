"""What is found on a line of the assignment, and ways of finding that several lines share."""

import re
from dataclasses import dataclass
from itertools import chain
from typing import Literal

from headtohead.core.files import Json
from headtohead.core.messages import Message
from headtohead.handin.evidence import Evidence

Status = Literal["valid", "unchecked", "invalid", "missing"]
NAMES = {"cnn": "CNN", "vit": "ViT", "accuracy": "accuracy", "macro_f1": "macro-F1"}


@dataclass(frozen=True)
class Finding:
    """What was found on a line. `unchecked`: it is there, but whether it is right could not be checked."""

    status: Status
    messages: tuple[Message, ...] = ()
    files: tuple[str, ...] = ()

    def to_json(self) -> Json:
        """The finding, its messages in English."""
        return {"status": self.status, "says": [*map(str, self.messages)], "files": [*self.files]}


def found(status: Status, *messages: Message, files: list[str] | tuple[str, ...] = ()) -> Finding:
    """A finding; of many files only the first are named."""
    return Finding(status, messages, tuple(files[:5]))


def in_code(e: Evidence, patterns: dict[str, str], note: Message | None = None) -> Finding:
    """Whether the code has all patterns. It is not run, so `note` says what that leaves open."""
    if is_by_headtohead(e) and not e.code:
        return found("valid", Message("a run of headtohead, which does this by itself"))
    files = {name: e.code_has(pattern) for name, pattern in patterns.items()}
    lacking = [name for name, where in files.items() if not where]
    if lacking:
        return found("missing", Message("not in the code: {names}", {"names": ", ".join(lacking)}))
    return found(
        "unchecked" if note else "valid", *([note] if note else []), files=[*dict.fromkeys(chain(*files.values()))]
    )


def by_check(e: Evidence, check: str) -> Finding:
    """What a sanity check of headtohead said."""
    if e.checks[check]:
        return found("valid", Message("headtohead's check {check} passed", {"check": check}))
    return found("invalid", Message("headtohead's check {check} failed", {"check": check}))


def is_by_headtohead(e: Evidence) -> bool:
    """Whether the hand-in holds a run folder of headtohead."""
    return bool(e.settings and e.checks)


def no_events(e: Evidence) -> Finding:
    """No event file: missing, unless one could not be read."""
    if unread := e.unread("tfevents"):
        return found("unchecked", *(why for _, why in unread[:3]), files=[name for name, _ in unread])
    if re.search(r"https?://\S{0,300}(tensorboard|wandb|comet|drive\.google|disk\.yandex)", e.text):
        return found("unchecked", Message("only a link; links are not opened"))
    return found("missing", Message("no event file"))
