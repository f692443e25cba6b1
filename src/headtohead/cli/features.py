"""The command `headtohead features`. Slow imports happen inside it."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from annotated_types import Interval
from cyclopts import Parameter

from headtohead.cli.arguments import DEFAULTS
from headtohead.core.errors import BadSettings
from headtohead.core.lock import held
from headtohead.core.progress import say
from headtohead.settings.rules import validate
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Settings

# The settings that features of images without a run depend on; `flags` is their common parameter.
SETTINGS = re.compile("^(flags|backbone|weights|fallback|device|precision|processes|engine|scheduler|workers)$")


def features(
    data: Annotated[Path, Parameter(help="Folder of images, list of their paths, tar file, or folder of these.")],
    out: Annotated[Path, Parameter(help="New folder, or one that this command wrote: it continues.")],
    /,
    *,
    shard_size: Annotated[
        Annotated[int, Interval(ge=1, le=1_000_000)], Parameter(help="Images in a file of features; a tar file is one.")
    ] = 4096,
    verify: Annotated[
        bool, Parameter(negative="", help="Compare the content of all images, not only sizes and times of change.")
    ] = False,
    flags: Annotated[Settings, Parameter(name="*", parse=SETTINGS)] = DEFAULTS,
) -> None:
    """Write the frozen backbone's features of any number of images, with or without classes, in shards."""
    chosen = validate(flags)
    if len(chosen.backbone) > 1:
        raise BadSettings("Features are those of one backbone.", fix="give one --backbone")
    data, out = data.expanduser().absolute(), out.expanduser().absolute()
    if data.is_dir() and out.resolve().is_relative_to(data.resolve()):
        what = "The features would lie within the folder of the images."
        raise BadSettings(what, where=str(out), fix="choose a folder elsewhere")
    if not data.is_dir() and not data.is_file():  # reading a pipe or a device may never end
        raise BadSettings(
            "There is no such file or folder.", where=str(data), fix="give a folder, a list or a tar file"
        )
    from headtohead.core.cluster import Cluster
    from headtohead.core.device import choose_bf16, choose_device, make_deterministic
    from headtohead.core.executor import choose_processes, limit_threads
    from headtohead.models.weights import announced, find_weights
    from headtohead.probe.shards import Net, write_features

    make_deterministic()
    limit_threads(1)  # as in the workers
    device = choose_device(chosen.device)
    weights = announced(find_weights(chosen.backbone[0], chosen.weights, fallback=chosen.fallback))
    net = Net(replace(weights, path=weights.path.absolute()), choose_bf16(chosen.precision, device), str(device))
    folders = (str(data), str(out), str(net.weights.path))
    cluster = Cluster(chosen.scheduler, chosen.workers, folders) if chosen.engine == "dask" else None
    processes = choose_processes(chosen.processes, device)
    with held(out):
        RunDir(out).clear_unfinished()
        done = write_features(
            data, out, net, shard_size=shard_size, verify=verify, processes=processes, cluster=cluster
        )
    rate = f", {done['computed'] / done['seconds']:.3g} a second" if done["computed"] else ""
    say(f"{done['images']} images in {done['shards']} shards: {out}; computed now: {done['computed']}{rate}")
    if done["broken"]:
        say(f"  {done['broken']} images cannot be read; {out / 'broken.csv'} lists them")
