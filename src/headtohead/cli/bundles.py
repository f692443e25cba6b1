"""The commands that use what was trained: bundle, predict, export. Slow imports happen inside the commands."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from headtohead.cli.help import USE
from headtohead.core.errors import BadData
from headtohead.core.printable import printable
from headtohead.core.progress import say
from headtohead.settings.rundir import RunDir

if TYPE_CHECKING:
    from headtohead.bundles.predict import Prediction

Run = Annotated[Path, Parameter(help="Folder of an evaluated run.")]
Contender = Annotated[str, Parameter(help="Which contender of a run: `cnn`, `probe`, `probe-2`, `finetune`.")]


def bundle(run: Run, out: Annotated[Path, Parameter(help="New folder, with a folder for each contender.")], /) -> None:
    """Write what was trained as folders that timm reads: weights, config, model card, and a page that classifies."""
    from headtohead.bundles.write import write_bundles

    for folder in write_bundles(RunDir(run), out):
        say(f"{folder}; use it with `headtohead predict {folder} IMAGES`.")


def predict(
    bundle: Annotated[Path, Parameter("BUNDLE", help="Folder of a bundle, or of an evaluated run.")],
    images: Annotated[list[Path], Parameter("IMAGES", help="Image files, or folders of them.")],
    /,
    *,
    csv: Annotated[Path | None, Parameter(help="Write all probabilities to this file.")] = None,
    contender: Contender = "probe",
) -> None:
    """Name the class of each image, with probabilities; images unlike those of the training are marked."""
    files = image_files(images)
    from headtohead.bundles.load import load_bundle
    from headtohead.bundles.predict import predict
    from headtohead.bundles.table import summary, write_table

    found = predict(load_bundle(bundle, contender), files)
    try:
        sys.stdout.write("".join(f"{line(one)}\n" for one in found))
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has seen enough; at its end Python would try again to write what is left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if csv:
        write_table(csv, found)
    say(summary(found))


def image_files(paths: Sequence[Path]) -> list[Path]:
    """The files among `paths`, and the images in the folders among them. BadData with all paths that do not exist."""
    from headtohead.images.folder import EXTENSIONS

    if missing := [path for path in paths if not path.exists()]:
        what = "\n".join(f"There is no such file or folder: {printable(path)}" for path in missing)
        raise BadData(what, fix="name image files, or folders of them")
    files: list[Path] = []
    for path in paths:
        inside = sorted(path.rglob("*")) if path.is_dir() else []
        files += [file for file in inside if file.name.lower().endswith(tuple(EXTENSIONS))] if path.is_dir() else [path]
    if not files:
        raise BadData("There are no images in these folders.", where=str(paths[0]), fix="name others")
    return files


def line(one: "Prediction", most: int = 3) -> str:
    """What the terminal shows of a prediction: the most probable classes."""
    if one.error is not None:
        return f"{printable(one.file)}: cannot be read: {one.error}"
    best = sorted(one.probabilities.items(), key=lambda pair: -pair[1])[:most]
    text = ", ".join(f"{printable(name)} {probability:.3f}" for name, probability in best)
    return f"{printable(one.file)}: {text}{' (unlike anything seen)' if one.unlike else ''}"


def export(
    run: Run,
    out: Annotated[Path, Parameter(help="New file, such as clothing.onnx.")],
    /,
    *,
    contender: Contender = "probe",
) -> None:
    """Write a contender as one ONNX graph: pixels of any size to probabilities, compared with the run's predictions."""
    from headtohead.bundles.export import export_onnx

    say(export_onnx(RunDir(run), out, contender))


def add_commands(app: App) -> None:
    """Add the commands to the program."""
    for command in (bundle, predict, export):
        app.command(command, group=USE)
