"""The help pages: commands in groups, and the flags that most runs do without folded until `--help-all`."""

from dataclasses import dataclass
from typing import Any

from cyclopts import Group
from cyclopts.help import DefaultFormatter, HelpEntry, HelpPanel
from rich.console import Console, ConsoleOptions

from headtohead.settings.schema import Settings
from headtohead.settings.toml import flatten

ALL = "--help-all"
START, STAGES, USE, DATA, TOOLS = (
    Group.create_ordered(name) for name in ("Start", "Stages", "Use what was trained", "Data", "Tools")
)
COMMON = (
    "--quick", "--seeds", "--backbone", "--contenders", "--weights", "--device", "--splits", "--data.on-bad",
    "--data.leave-out", "--on-failed-check",
)  # fmt: skip
FOLDED = {f"--{key}".replace("_", "-") for key in flatten(Settings())} - {*COMMON}
EXAMPLE = """\
Example:

    headtohead run                            the built-in images
    headtohead run path/to/images --quick     yours, first answer in minutes
    headtohead run path/to/images             all of it
"""


@dataclass
class Formatter:
    """Prints the panels of a help page; with `everything`, all flags, a panel for each section of the settings."""

    everything: bool = False

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        """Print one panel."""
        draw = DefaultFormatter()
        entries = [entry for entry in panel.entries if _flag(entry) not in FOLDED]
        draw(console, options, panel.copy(entries=entries))
        rest = [entry for entry in panel.entries if _flag(entry) in FOLDED]
        if self.everything:
            for section in dict.fromkeys(map(_section, rest)):
                title = f"More parameters: {section}" if section else "More parameters"
                draw(console, options, panel.copy(title=title, entries=[e for e in rest if _section(e) == section]))
        elif rest:
            console.print(
                f"{len(rest)} more parameters: {ALL}; they also stand in the file that `init` writes.", style="dim"
            )

    def render_usage(self, console: Console, options: ConsoleOptions, usage: Any) -> None:
        """Print the usage line."""
        DefaultFormatter().render_usage(console, options, usage)

    def render_description(self, console: Console, options: ConsoleOptions, description: Any) -> None:
        """Print what a command does."""
        DefaultFormatter().render_description(console, options, description)


def _flag(entry: HelpEntry) -> str:
    """The first name of a parameter; "" for an argument without one."""
    return entry.names[0] if entry.names else ""


def _section(entry: HelpEntry) -> str:
    """`cnn` for `--cnn.sides`; "" for settings outside the sections."""
    return _flag(entry).removeprefix("--").rpartition(".")[0]
