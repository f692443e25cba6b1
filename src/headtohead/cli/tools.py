"""The commands around a run: what a mistake costs, weights, the cache, a settings file."""

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App

from headtohead.cli.arguments import DEFAULTS, DataOrRun, File, Flags, Out, prepare
from headtohead.core.errors import BadSettings
from headtohead.core.progress import say
from headtohead.settings.rundir import RunDir
from headtohead.settings.toml import commented_toml

if TYPE_CHECKING:
    from headtohead.models.weights import WeightsFile

explain_app = App(name="explain", help="What a usual mistake costs, measured on your own images.")
weights_app = App(name="weights", help="The backbone's pretrained weights.")
cache_app = App(name="cache", help="What is kept for later runs in the user's cache folder.")


@explain_app.command
def normalisation(
    data: DataOrRun = None, /, *, out: Out = None, settings: File = None, flags: Flags = DEFAULTS
) -> None:
    """The probe with the right and the usual wrong mean and std: accuracy of each, and its cost with an interval."""
    chosen, run = prepare(data, out, flags)
    run = run if out else RunDir(Path(f"{run.path}-normalisation"))  # beside the run of the same data
    chosen = dataclasses.replace(chosen, backbone=chosen.backbone[:1])
    run.adopt(chosen)
    from headtohead.pipeline import opened
    from headtohead.report.explain import write_normalisation
    from headtohead.stages.explain import explain_normalisation

    explain_normalisation(opened(chosen, run))
    sys.stdout.write(write_normalisation(run) + "\n")
    say(f"{run.normalisation_page('en')}, {run.normalisation_page('ru')}")


def found_weights(backbone: str, weights: str, fallback: bool) -> "WeightsFile":
    """The weights that a run would use."""
    from headtohead.models.weights import announced, find_weights

    return announced(find_weights(backbone, weights, fallback=fallback))


@weights_app.command
def path(*, backbone: str = DEFAULTS.backbone[0], weights: str = "", fallback: bool = True) -> None:
    """Print the file that the backbone's weights would be read from.

    Parameters
    ----------
    backbone
        Any timm or torchvision model name, a path, or `builtin`.
    weights
        File or folder to look at first.
    fallback
        Whether the built-in backbone may stand in.
    """
    sys.stdout.write(f"{found_weights(backbone, weights, fallback).path}\n")


@weights_app.command
def verify(*, backbone: str = DEFAULTS.backbone[0], weights: str = "", fallback: bool = True) -> None:
    """Load the weights, every key of them, and print their fingerprint and preprocessing.

    Parameters
    ----------
    backbone
        Any timm or torchvision model name, a path, or `builtin`.
    weights
        File or folder to look at first.
    fallback
        Whether the built-in backbone may stand in.
    """
    from headtohead.models.backbones import load_backbone

    about = load_backbone(found_weights(backbone, weights, fallback)).to_json()
    sys.stdout.write("".join(f"{key}: {value}\n" for key, value in about.items()))


@cache_app.command
def info() -> None:
    """Print every kind of thing that is kept: number of files, size, bound and folder."""
    from headtohead.core.cache import cache_root, kinds

    present = kinds()
    if not present:
        say(f"The cache is empty: {cache_root()}")
    for kind in present:
        bound = "no bound" if kind.bound is None else f"of at most {kind.bound / 1e6:.1f} MB"
        sys.stdout.write(f"{kind.name}: {kind.files} files, {kind.bytes / 1e6:.1f} MB, {bound}, {kind.path}\n")


@cache_app.command
def clear(kind: str = "", /) -> None:
    """Delete what is kept; runs that use it at the moment go on.

    Parameters
    ----------
    kind
        Only this kind, as `info` names it.
    """
    from headtohead.core import cache

    freed, left = cache.clear(kind)
    in_use = f" {left} files could not be deleted; perhaps they are in use." if left else ""
    say(f"Deleted {freed / 1e6:.1f} MB.{in_use}")


def init(file: Path = Path("headtohead.toml"), /) -> None:
    """Write a settings file with every key explained.

    Parameters
    ----------
    file
        New file.
    """
    if file.exists():
        raise BadSettings("File already exists.", where=str(file), fix="name a new file")
    try:
        file.write_text(commented_toml(), encoding="utf-8")
    except OSError as error:
        raise BadSettings(
            f"The file cannot be written: {error.strerror}", where=str(file), fix="name another"
        ) from error
    say(f"Wrote {file}; use it with `headtohead run --settings {file}`.")
