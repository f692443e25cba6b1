"""The commands of `headtohead data`. Slow imports happen inside the commands."""

import dataclasses
import re
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console

from headtohead.cli.arguments import DEFAULTS, DataOrRun, File, Flags, Out, opened, prepare
from headtohead.core.errors import BadData, BadSettings
from headtohead.core.progress import say
from headtohead.settings.rules import validate
from headtohead.settings.schema import Data

# The settings under `[data]` that a split into train and val depends on; `flags` is their common parameter.
SPLIT_SETTINGS = re.compile("^(flags|val_share|split_seed|group_.*|keep_split|on_bad|leave_out|stop_at)$")

data_app = App(name="data", help="Images: audit or split a folder, download a public data set, write the built-in one.")


@data_app.command
def audit(data: DataOrRun = None, /, *, out: Out = None, settings: File = None, flags: Flags = DEFAULTS) -> None:
    """Open every image and report all findings, here and as audit.json and audit.html in the run folder."""
    chosen, run = prepare(data, out, flags)
    from headtohead.audit.audit import audit_folder
    from headtohead.images.folder import locate, require_classes
    from headtohead.report.audit_page import write_audit
    from headtohead.report.audit_text import audit_text

    root, name = locate(chosen.data.folder)
    require_classes(root)
    with opened(chosen, run, reads_images=False):  # these may be others by now
        result = audit_folder(root, name, chosen.data)
        write_audit(run, result, pictures=chosen.report.thumbnails)
    Console(highlight=False).print(*audit_text(result), sep="\n")
    say(f"{run.audit}, {run.audit_page}")
    result.require_usable()


@data_app.command
def demo(folder: Annotated[Path, Parameter(help="New folder for train/ and val/.")], /) -> None:
    """Write the built-in set as a folder of image files."""
    from headtohead.images.builtin import write_builtin

    try:
        write_builtin(folder)
    except OSError as error:
        what = f"The folder cannot be written: {error.strerror}"
        raise BadData(what, where=str(folder), fix="choose another folder") from error
    say(f"Wrote the built-in set to {folder}; use it with `headtohead run {folder}`.")


@data_app.command
def fetch(
    name: Annotated[str, Parameter(help="Data set. Without it: a table of all.")] = "",
    folder: Annotated[Path | None, Parameter(help="New folder for train/ and val/, or for the classes.")] = None,
    /,
    *,
    downloads: Annotated[
        Path | None,
        Parameter(help="Folder of torchvision's own files; missing ones are downloaded into it. Default: the cache."),
    ] = None,
) -> None:
    """Write a public data set of torchvision as a folder of images. Without NAME: list the sets."""
    from headtohead.images import public

    if not name:
        Console(highlight=False).print(public.table())
        return
    licence = public.find_set(name).licence
    if folder is None:
        raise BadSettings("The folder is missing.", fix=f"`headtohead data fetch {name} DIR`")
    public.fetch(name, folder, downloads)
    say(f"Wrote {name} to {folder}; licence: {licence}. Use it with `headtohead run {folder}`.")


@data_app.command(name="split")
def split_folder(
    data: Annotated[Path, Parameter(help="Folder with one sub-folder per class.")],
    out: Annotated[Path, Parameter(help="New folder, or one that this command wrote from the same images.")],
    /,
    *,
    copy: Annotated[
        bool, Parameter(help="Copy the files; otherwise they are hard links where the disk allows.")
    ] = False,
    flags: Annotated[Data, Parameter(name="*", parse=SPLIT_SETTINGS)] = DEFAULTS.data,
) -> None:
    """Write a flat folder as train/ and val/: stratified, near duplicates and groups on one side, with a manifest.

    Repeated after images were added, it keeps the images of the earlier split where they are.
    """
    from headtohead.dataset.export import earlier_manifest, write_split
    from headtohead.dataset.index import build_index
    from headtohead.images.folder import locate

    chosen = validate(dataclasses.replace(DEFAULTS, data=dataclasses.replace(flags, folder=str(data)))).data
    root, name = locate(chosen.folder)
    earlier = earlier_manifest(root, out)
    if earlier and not chosen.keep_split:
        say(f"{out} is an earlier split of {root}: its images stay where they are.")
        chosen = dataclasses.replace(chosen, keep_split=str(earlier))
    index = build_index(root, name, chosen)
    if index.layout == "split":
        raise BadData(
            "The folder is already split: it has train/ and val/.",
            where=str(root),
            fix="use it as it is, or choose a folder with one sub-folder per class",
        )
    for warning in (*index.warnings, *index.split_warnings):
        say(f"  warning: {warning}")
    try:
        write_split(root, index, chosen, out, copy=copy, earlier=earlier)
    except OSError as error:
        raise BadData(f"The split cannot be written: {error}", where=str(out), fix="choose another folder") from error
    say(f"Wrote {out}; use it with `headtohead run {out}`.")
