"""A run continues with the images that it started with, wherever they are by now."""

import os
import shutil
from pathlib import Path

import pytest
from conftest import paint

from headtohead.cli.arguments import opened, prepare
from headtohead.cli.data import data_app
from headtohead.core.errors import BadData, BadSettings
from headtohead.core.files import write_json
from headtohead.dataset.changes import find_changes, require_same_images
from headtohead.dataset.index import build_index
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Data, Settings


def begun(folder: Path, images: Path) -> RunDir:
    """A run folder whose data stage is done."""
    settings, run = prepare(images, folder, Settings())
    run.adopt(settings)
    write_json(run.data, build_index(images, images.name, settings.data).to_json())
    return run


def continue_from(data: Path | None, out: Path | None, run: RunDir) -> None:
    """As a command line does it: what it does not give is taken from the run folder."""
    own = run.own_settings()
    assert own
    settings, given = prepare(data, out, own)
    assert given.path.resolve() == run.path.resolve()
    with opened(settings, given):
        pass


def test_modified_missing_and_added_images_are_told_apart(images: Path, tmp_path: Path) -> None:
    run = begun(tmp_path / "run", images)
    assert str(find_changes(run, images)) == ""
    modified = images / "class-0" / "001.png"
    content, status = modified.read_bytes(), modified.stat()
    modified.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(modified, ns=(status.st_atime_ns, status.st_mtime_ns))  # the time and the size tell nothing
    (images / "class-1" / "002.png").rename(images / "class-1" / "renamed.png")
    changes = find_changes(run, images)
    assert changes.modified == ("class-0/001.png",)
    assert changes.missing == ("class-1/002.png",)
    assert changes.added == ("class-1/renamed.png",)
    with pytest.raises(BadData, match=r"1 missing: class-1/002\.png; 1 modified: class-0/001\.png") as error:
        require_same_images(run, images)
    assert f"--data.keep-split {run.data}" in error.value.fix


def test_a_modified_image_stops_a_continued_run_before_anything_is_written(images: Path, tmp_path: Path) -> None:
    run = begun(tmp_path / "run", images)
    continue_from(None, run.path, run)
    before = run.settings.read_bytes()
    shutil.copy(images / "class-0" / "001.png", images / "class-0" / "002.png")
    with pytest.raises(BadData, match="1 modified"):
        continue_from(None, run.path, run)
    with pytest.raises(BadData, match="34 missing"):
        continue_from(paint(tmp_path / "others", classes=2, per_class=1), run.path, run)
    assert run.settings.read_bytes() == before


def test_added_images_only_warn(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = begun(tmp_path / "run", images)
    (images / "class-0" / "more.png").write_bytes(b"")
    continue_from(None, run.path, run)
    assert "1 added: class-0/more.png" in " ".join(capsys.readouterr().err.split())


def test_a_run_goes_on_from_any_directory_and_with_a_renamed_folder(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = begun(Path("run"), Path(images.name))  # relative, both
    own = run.own_settings()
    assert own
    assert own.data.folder == str(images.resolve())
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    run = RunDir(tmp_path / "run")
    continue_from(run.path, None, run)
    images.rename(tmp_path / "renamed")
    with pytest.raises(BadData, match="no such folder") as error:
        continue_from(run.path, None, run)
    assert "`headtohead run FOLDER --out RUN` continues it" in error.value.fix
    continue_from(Path("..") / "renamed", run.path, run)
    continue_from(run.path, None, run)  # it remembers the new name
    own = run.own_settings()
    assert own
    assert own.data.folder == str((tmp_path / "renamed").resolve())


def test_all_paths_are_saved_in_full_but_a_name_below_the_environment_variable_stays_a_name(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setenv("HEADTOHEAD_DATA", str(tmp_path))
    data = Data(group_file="g.csv", keep_split="../old/data.json")
    given = Settings(data=data, weights="w", backbone=("./net.safetensors", "resnet18"))
    chosen, _ = prepare(Path(images.name), tmp_path / "run", given)
    assert chosen.data.folder == images.name
    assert chosen.data.group_file == str(tmp_path / "cwd" / "g.csv")
    assert chosen.data.keep_split == str(tmp_path / "old" / "data.json")
    assert chosen.weights == str(tmp_path / "cwd" / "w")
    assert chosen.backbone == (str(tmp_path / "cwd" / "net.safetensors"), "resnet18")
    assert prepare(None, tmp_path / "run", Settings())[0] == Settings()


@pytest.mark.parametrize("inside", ["", "class-0", "runs/new", "../link/runs"])
def test_a_run_folder_within_the_images_is_refused(inside: str, images: Path) -> None:
    (images.parent / "link").symlink_to(images)
    settings, run = prepare(images, images / inside, Settings())
    before = sorted(images.rglob("*"))
    with pytest.raises(BadSettings, match="within the folder of the images"), opened(settings, run):
        pass
    with pytest.raises(BadSettings, match="within the folder of the images"):
        data_app(["audit", str(images), "--out", str(images / inside)], exit_on_error=False)
    assert sorted(images.rglob("*")) == before


def test_a_run_folder_beside_or_around_the_images_is_allowed(images: Path, tmp_path: Path) -> None:
    for out in (tmp_path, images.with_name(f"{images.name}-run")):
        settings, run = prepare(images, out, Settings())
        with opened(settings, run):
            assert run.settings.exists()
