"""A repository to hand in, laid out from a finished run."""

import re
import shutil
from importlib import metadata
from pathlib import Path

import headtohead
from headtohead.core import checksums
from headtohead.core.errors import BadData, RunFolderMismatch
from headtohead.core.files import atomic_folder, require_new
from headtohead.report.render import values, without_blank_lines
from headtohead.report.results import read_results
from headtohead.report.templates import render
from headtohead.settings.rundir import RunDir, in_language

# What only continues a run, or is made again where it is needed.
LEFT_OUT = ("last.pt", "features-*.npy", ".*", checksums.LIST)
LEFT_OUT_FOLDERS = ("untrained", "trials", "parts")
MAX_WEIGHTS = 10_000_000  # bytes: larger weights, of a fine-tuned net, would fill the repository
IGNORED = "__pycache__/\n.venv/\n.ipynb_checkpoints/\n/data/\nlast.pt\nfeatures-*.npy\n.lock*\n"


def lay_out(run_folder: Path, target: Path, language: str = "en") -> None:
    """Write README, code, requirements and the run to a new folder, and the list of the run's checksums anew.

    Raises RunFolderMismatch if the run is not finished or damaged, BadData if `target` is not empty or lies in it.
    """
    run = RunDir(run_folder)
    if not run.is_finished:
        what = "This is no finished run." if run.data.exists() else "This is no run folder."
        raise RunFolderMismatch(what, where=str(run_folder), fix="give the folder of a run that `headtohead run` ended")
    if target.resolve().is_relative_to(run_folder.resolve()):
        raise BadData("The new folder would lie within the run.", where=str(target), fix="choose a folder elsewhere")
    require_new(target)
    run.require_this_format()
    required = requirements()
    name = run_folder.resolve().name
    try:
        with atomic_folder(target) as folder:
            copy_run(run_folder, folder / "runs" / name)
            package = Path(headtohead.__file__).parent
            shutil.copytree(package, folder / "src" / package.name, ignore=shutil.ignore_patterns("__pycache__"))
            licence = metadata.distribution("headtohead").read_text("licenses/LICENSE")
            (folder / "LICENSE").write_text(licence or "", encoding="utf-8")
            (folder / "requirements.txt").write_text(required, encoding="utf-8")
            (folder / ".gitignore").write_text(IGNORED, encoding="utf-8")
            (folder / "README.md").write_text(readme(run, name, language), encoding="utf-8")
    except OSError as error:
        what = f"The repository cannot be written: {error.strerror}"
        raise BadData(what, where=str(target), fix="choose another folder") from error


def copy_run(source: Path, target: Path) -> None:
    """Copy a run without what only continues it, with a list of checksums of just the files that are there."""
    lines = []
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source)
        is_left_out = any(name.match(pattern) for pattern in LEFT_OUT) or {*name.parts} & {*LEFT_OUT_FOLDERS}
        if is_left_out or not path.is_file() or (path.suffix == ".safetensors" and path.stat().st_size > MAX_WEIGHTS):
            continue
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(checksums.checked(path), target / name)
        if "tensorboard" not in name.as_posix():  # its files are in no list
            lines.append(f"{checksums.sha256(target / name)}  {name.as_posix()}\n")
    (target / checksums.LIST).write_text("".join(lines), encoding="utf-8")


def requirements() -> str:
    """The libraries that headtohead needs, each in the version installed here. BadData if it is not installed."""
    try:
        needed = [line for line in metadata.requires("headtohead") or [] if "extra ==" not in line]
    except metadata.PackageNotFoundError as error:
        raise BadData(
            "headtohead is not installed here.", fix="`pip install` it; its libraries are listed there"
        ) from error
    names = sorted(re.match(r"[\w.-]+", line)[0] for line in needed)  # type: ignore[index]  # a name comes first
    return "".join(f"{name}=={metadata.version(name).partition('+')[0]}\n" for name in names)


def readme(run: RunDir, name: str, language: str) -> str:
    """The README: how to run, what was done, the scores, and what the student has to write."""
    results = read_results(run)
    figures = {
        stem: f"runs/{name}/figures/{in_language(f'{stem}.png', language)}"
        for stem in ("scores", "curves", "confusion-cnn", "confusion-probe", "cost")
        if (run.figures / in_language(f"{stem}.png", language)).exists()
    }
    report = f"runs/{name}/{run.report(language).name}"
    filled = {"run": name, "figures": figures, "report": report, "version": headtohead.__version__}
    text = render("hand_in.md", "markdown", (language,), **filled, **values(results))
    return without_blank_lines(text)
