"""The commands below `headtohead data`; what they need is imported when they are called."""

import dataclasses
import re
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console

from headtohead.arguments import DEFAULTS, DataOrRun, File, Flags, Out, prepare
from headtohead.errors import BadData, BadSettings
from headtohead.progress import say
from headtohead.settings import Data
from headtohead.settings_rules import validate

# Which of the settings under `[data]` a split into train and val depends on.
OF_A_SPLIT = re.compile("^(flags|val_share|split_seed|group_.*|keep_split|on_bad|leave_out|stop_at)$")

data_app = App(name="data", help="Images: what is in a folder of them, public data sets, and the built-in ones.")


@data_app.command
def audit(data: DataOrRun = None, /, *, out: Out = None, settings: File = None, flags: Flags = DEFAULTS) -> None:
    """Open every image and report all that is found, here and as audit.json and audit.html in the run folder."""
    chosen, folder = prepare(data, out, flags)
    from headtohead.data.audit.audit import audit_folder
    from headtohead.data.folder import locate
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
    from headtohead.data.sets import write_builtin

    try:
        write_builtin(folder)
    except OSError as error:
        raise BadData(
            f"The folder cannot be written: {error.strerror}", where=str(folder), mend="name another"
        ) from error
    say(f"Wrote the built-in set to {folder}; use it with `headtohead run {folder}`.")


@data_app.command
def fetch(
    name: str = "",
    folder: Path | None = None,
    /,
    *,
    url: str = "",
    mirror: str = "",
    archives: Path | None = None,
) -> None:
    """Download a public data set, verify it and write it as a folder of images. Without NAME: list the sets.

    Parameters
    ----------
    name
        Data set. Left out: a table of all.
    folder
        New folder, to hold train/ and val/, or the classes.
    url
        Where to download a set of one file from; its checksum stays the published one.
    mirror
        Address of a folder with the set's files under their published names.
    archives
        Folder with the set's files, downloaded elsewhere.
    """
    from headtohead.data.fetch.catalogue import named, print_sets
    from headtohead.data.fetch.fetch import fetch as fetch_set

    if not name:
        print_sets()
        return
    data_set = named(name)
    if folder is None:
        raise BadSettings("No folder is named.", mend=f"`headtohead data fetch {data_set.name} DIR`")
    written = fetch_set(data_set, folder, url=url, mirror=mirror, archives=archives)
    say(f"Verified by size and SHA-256, as published by {data_set.sums}; licence: {data_set.licence}.")
    say(f"Wrote {data_set.name} to {written}; use it with `headtohead run {folder}`.")


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
    from headtohead.data.export import earlier_manifest, write_split
    from headtohead.data.folder import locate
    from headtohead.data.index import build_index

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
            mend="use it as it is, or give a folder with one sub-folder a class",
        )
    for warning in (*index.warnings, *index.split_warnings):
        say(f"  warning: {warning}")
    try:
        write_split(root, index, chosen, out, copy=copy, earlier=earlier)
    except OSError as error:
        raise BadData(f"The split cannot be written: {error}", where=str(out), mend="name another folder") from error
    say(f"Wrote {out}; use it with `headtohead run {out}`.")
