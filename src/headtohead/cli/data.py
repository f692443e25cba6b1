"""The commands below `headtohead data`; what they need is imported when they are called."""

import dataclasses
import re
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console

from headtohead.cli.arguments import DEFAULTS, DataOrRun, File, Flags, Out, prepare
from headtohead.core.errors import BadData, BadSettings
from headtohead.core.progress import say
from headtohead.settings.rules import validate
from headtohead.settings.schema import Data

# Which of the settings under `[data]` a split into train and val depends on.
OF_A_SPLIT = re.compile("^(flags|val_share|split_seed|group_.*|keep_split|on_bad|leave_out|stop_at)$")

data_app = App(name="data", help="Images: what is in a folder of them, public data sets, and the built-in ones.")


@data_app.command
def audit(data: DataOrRun = None, /, *, out: Out = None, settings: File = None, flags: Flags = DEFAULTS) -> None:
    """Open every image and report all that is found, here and as audit.json and audit.html in the run folder."""
    chosen, folder = prepare(data, out, flags)
    from headtohead.audit.audit import audit_folder
    from headtohead.images.folder import locate
    from headtohead.report.audit_page import write_audit
    from headtohead.report.audit_text import audit_text

    root, name = locate(chosen.data.folder)
    folder.adopt(chosen)
    found = audit_folder(root, name, chosen.data)
    write_audit(folder, found)
    Console(highlight=False).print(*audit_text(found), sep="\n")
    say(f"{folder.audit}, {folder.audit_page('en')}, {folder.audit_page('ru')}")
    found.require_usable()


@data_app.command
def demo(folder: Path, /) -> None:
    """Write the built-in set as a folder of images that can be opened.

    Parameters
    ----------
    folder
        New folder, to hold train/ and val/.
    """
    from headtohead.images.builtin import write_builtin

    try:
        write_builtin(folder)
    except OSError as error:
        raise BadData(
            f"The folder cannot be written: {error.strerror}", where=str(folder), fix="name another"
        ) from error
    say(f"Wrote the built-in set to {folder}; use it with `headtohead run {folder}`.")


@data_app.command
def fetch(name: str = "", folder: Path | None = None, /, *, downloads: Path | None = None) -> None:
    """Write a public data set of torchvision as a folder of images. Without NAME: list the sets.

    Parameters
    ----------
    name
        Data set. Left out: a table of all.
    folder
        New folder, to hold train/ and val/, or the classes.
    downloads
        Folder of torchvision's own files; what is missing is downloaded into it. Left out: the cache.
    """
    from headtohead.images import public

    if not name:
        Console(highlight=False).print(public.table())
        return
    if folder is None:
        raise BadSettings("No folder is named.", fix=f"`headtohead data fetch {name} DIR`")
    public.fetch(name, folder, downloads)
    say(f"Wrote {name} to {folder}; licence: {public.named(name).licence}. Use it with `headtohead run {folder}`.")


@data_app.command(name="split")
def split_folder(
    data: Path,
    out: Path,
    /,
    *,
    copy: bool = False,
    flags: Annotated[Data, Parameter(name="*", parse=OF_A_SPLIT)] = DEFAULTS.data,
) -> None:
    """Write a flat folder as train/ and val/: stratified, near duplicates and groups on one side, with a manifest.

    Again with more images: those of the earlier split keep their places.

    Parameters
    ----------
    data
        Folder with one sub-folder a class.
    out
        New folder, or one that this command wrote from the same images.
    copy
        Copy the files; else they are hard links where the disk allows.
    """
    from headtohead.dataset.export import earlier_manifest, write_split
    from headtohead.dataset.index import build_index
    from headtohead.images.folder import locate

    chosen = validate(dataclasses.replace(DEFAULTS, data=dataclasses.replace(flags, folder=str(data)))).data
    root, name = locate(chosen.folder)
    earlier = earlier_manifest(root, out)
    if earlier and not chosen.keep_split:
        say(f"{out} is an earlier split of {root}: its images keep their places.")
        chosen = dataclasses.replace(chosen, keep_split=str(earlier))
    index = build_index(root, name, chosen)
    if index.layout == "split":
        raise BadData(
            "The folder is split already: it has train/ and val/.",
            where=str(root),
            fix="use it as it is, or give a folder with one sub-folder a class",
        )
    for warning in (*index.warnings, *index.split_warnings):
        say(f"  warning: {warning}")
    try:
        write_split(root, index, chosen, out, copy=copy, earlier=earlier)
    except OSError as error:
        raise BadData(f"The split cannot be written: {error}", where=str(out), fix="name another folder") from error
    say(f"Wrote {out}; use it with `headtohead run {out}`.")
