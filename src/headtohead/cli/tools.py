"""The commands around a run: the cost of a mistake, weights, the cache, a settings file."""

import dataclasses
import difflib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from headtohead.cli.arguments import DEFAULTS, DataOrRun, File, Flags, Out, explain_folder, opened, prepare
from headtohead.core.errors import BadSettings
from headtohead.core.progress import say
from headtohead.settings.toml import commented_toml

if TYPE_CHECKING:
    from headtohead.models.weights import WeightsFile

explain_app = App(name="explain", help="What a common bug is, how it is caught, and what it costs on your own images.")
weights_app = App(name="weights", help="The pretrained weights of the backbone.")
cache_app = App(name="cache", help="Results kept for later runs in the user's cache folder.")

Bug = Annotated[str, Parameter("BUG", show_default=False, help="Name of a bug; without it, all are listed.")]
Backbone = Annotated[str, Parameter(help="Any timm or torchvision model name, a path, or `builtin`.")]
Weights = Annotated[str, Parameter(help="File or folder to look in first.")]
Fallback = Annotated[bool, Parameter(help="Whether the built-in backbone may be used if the weights are not found.")]


@explain_app.default
def explain(
    bug: Bug = "", data: DataOrRun = None, /, *, out: Out = None, settings: File = None, flags: Flags = DEFAULTS
) -> None:
    """A bug: what it is, the check that catches it, and what it would cost on your images. Without a name: all bugs."""
    from headtohead.checks.mutants import BY_NAME, MUTANTS

    if not bug:
        for mutant in MUTANTS:
            sys.stdout.write(f"{mutant.code}  {mutant.name:<22} {mutant.title}\n")
        say("`headtohead explain NAME` shows one on the built-in set, `headtohead explain NAME FOLDER` on your images.")
        return
    if bug not in BY_NAME:
        close = difflib.get_close_matches(bug, BY_NAME, n=1)
        fix = f"did you mean {close[0]}?" if close else "`headtohead explain` lists them"
        raise BadSettings(f"There is no bug `{bug}`.", fix=fix)
    chosen, run = prepare(data, out, flags)
    run = explain_folder(run, str(out or ""))
    chosen = dataclasses.replace(chosen, backbone=chosen.backbone[:1])
    with opened(chosen, run):
        from headtohead.core.executor import limit_threads
        from headtohead.pipeline import start_job
        from headtohead.report.explain import write_bug, write_normalisation
        from headtohead.stages import bugs
        from headtohead.stages.explain import explain_normalisation

        job = start_job(chosen, run)
        limit_threads(chosen.threads)
        say("Running the check without the bug and with it, then short trainings.")
        bugs.explain(job, BY_NAME[bug])
        sys.stdout.write(write_bug(run, bug) + "\n")
        say(f"{run.explained_page(bug, 'en')}, {run.explained_page(bug, 'ru')}")
        if bug == "normalisation":  # which of the usual wrong ones costs how much
            explain_normalisation(job)
            sys.stdout.write(write_normalisation(run) + "\n")
            say(f"{run.normalisation_page('en')}, {run.normalisation_page('ru')}")


def locate_weights(backbone: str, weights: str, fallback: bool) -> "WeightsFile":
    """The weights that a run would use; WeightsNotFound if there are none."""
    from headtohead.models.weights import announced, find_weights

    return announced(find_weights(backbone, weights, fallback=fallback))


@weights_app.command
def path(*, backbone: Backbone = DEFAULTS.backbone[0], weights: Weights = "", fallback: Fallback = True) -> None:
    """Print the file that the weights of the backbone would be read from."""
    sys.stdout.write(f"{locate_weights(backbone, weights, fallback).path}\n")


@weights_app.command
def verify(*, backbone: Backbone = DEFAULTS.backbone[0], weights: Weights = "", fallback: Fallback = True) -> None:
    """Load the weights, every key of them, and print their fingerprint and preprocessing."""
    from headtohead.models.backbones import load_backbone

    content = load_backbone(locate_weights(backbone, weights, fallback)).to_json()
    sys.stdout.write("".join(f"{key}: {value}\n" for key, value in content.items()))


@cache_app.command
def info() -> None:
    """Print each kind of cached content: number of files, size, bound and folder."""
    from headtohead.core.cache import cache_root, kinds

    existing = kinds()
    if not existing:
        say(f"The cache is empty: {cache_root()}")
    for kind in existing:
        bound = "no bound" if kind.bound is None else f"of at most {kind.bound / 1e6:.1f} MB"
        sys.stdout.write(f"{kind.name}: {kind.files} files, {kind.bytes / 1e6:.1f} MB, {bound}, {kind.path}\n")


@cache_app.command
def clear(kind: Annotated[str, Parameter(help="Delete only this kind, by its name in `info`.")] = "", /) -> None:
    """Delete the cached content; runs that are using it continue."""
    from headtohead.core import cache

    freed, left = cache.clear(kind)
    in_use = f" {left} files could not be deleted; they may be in use." if left else ""
    say(f"Deleted {freed / 1e6:.1f} MB.{in_use}")


def init(file: Annotated[Path, Parameter(help="New file.")] = Path("headtohead.toml"), /) -> None:
    """Write a settings file with every key explained."""
    if file.exists():
        raise BadSettings("File already exists.", where=str(file), fix="choose a new file name")
    try:
        file.write_text(commented_toml(), encoding="utf-8")
    except OSError as error:
        what = f"The file cannot be written: {error.strerror}"
        raise BadSettings(what, where=str(file), fix="choose another file name") from error
    say(f"Wrote {file}; use it with `headtohead run --settings {file}`.")
