"""A repository laid out from a run: complete but for what the student must write, and its list of checksums right."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from headtohead.cli.app import main
from headtohead.core import checksums
from headtohead.core.errors import BadData, RunFolderMismatch
from headtohead.handin.check import check_all
from headtohead.handin.new import lay_out
from headtohead.settings.repair import is_ours
from headtohead.settings.rundir import RunDir

CONCLUSIONS = "The probe converges faster and generalises better; the bottleneck is the backbone. " * 25


def test_a_new_hand_in_lacks_only_what_the_student_writes(small_run: RunDir, tmp_path: Path) -> None:
    lay_out(small_run.path, tmp_path / "mine", "ru")
    one = check_all([tmp_path / "mine"])[0]
    lacking = {name for name, finding in one.findings.items() if finding.status in ("missing", "invalid")}
    # The run of the tests has 2 classes of 8 images, traces of 5 steps and a net that is no ViT-Tiny.
    of_the_run = {"classes", "trace", "overfit", "frozen", "vit"}
    assert {"observations", "conclusions"} <= lacking <= {"observations", "conclusions"} | of_the_run
    assert one.contradictions == []
    with (tmp_path / "mine" / "README.md").open("a", encoding="utf-8") as readme:
        readme.write(CONCLUSIONS)
    one = check_all([tmp_path / "mine"])[0]
    assert one.findings["conclusions"].status == "valid"
    assert one.findings["observations"].status == "unchecked"


def test_the_list_of_checksums_is_that_of_the_files_there(small_run: RunDir, tmp_path: Path) -> None:
    lay_out(small_run.path, tmp_path / "mine")
    copy = RunDir(tmp_path / "mine" / "runs" / small_run.path.name)
    assert [*checksums.unsound(copy.path, is_ours)] == []
    assert copy.comparison.read_bytes() == small_run.comparison.read_bytes()
    left = {path.name for path in copy.path.rglob("*") if path.is_file()}
    assert not left & {"last.pt", ".lock"}
    copy.verify()  # deletes nothing
    assert {path.name for path in copy.path.rglob("*") if path.is_file()} == left


def test_its_code_runs(small_run: RunDir, tmp_path: Path) -> None:
    lay_out(small_run.path, tmp_path / "mine")
    source = {"PYTHONPATH": str(tmp_path / "mine" / "src")}
    code = "import headtohead; print(headtohead.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | source, capture_output=True, text=True, check=True
    )
    assert str(tmp_path / "mine") in done.stdout


def test_what_cannot_be_laid_out_is_refused(small_run: RunDir, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").touch()
    with pytest.raises(RunFolderMismatch, match="no run folder"):
        lay_out(tmp_path / "full", tmp_path / "new")
    with pytest.raises(BadData, match="not empty"):
        lay_out(small_run.path, tmp_path / "full")
    with pytest.raises(BadData, match="within the run"):
        lay_out(small_run.path, small_run.path / "new")
    shutil.copytree(small_run.path, tmp_path / "run")
    RunDir(tmp_path / "run").metrics.write_text("1\n")
    with pytest.raises(RunFolderMismatch, match="damaged"):
        lay_out(tmp_path / "run", tmp_path / "new")
    RunDir(tmp_path / "run").finished.unlink()
    with pytest.raises(RunFolderMismatch, match="no finished run"):
        lay_out(tmp_path / "run", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_commands(small_run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["hand-in", "new", str(small_run.path), str(tmp_path / "mine")])
    (tmp_path / "other <b>").mkdir()
    files = {kind: tmp_path / f"all.{kind}" for kind in ("json", "csv", "html")}
    flags = [part for kind, path in files.items() for part in (f"--{kind}", str(path))]
    with pytest.raises(SystemExit) as stop:
        main(["hand-in", "check", str(tmp_path / "mine"), str(tmp_path / "other <b>"), *flags])
    assert stop.value.code == 1
    assert "mine" in capsys.readouterr().out
    assert len(files["csv"].read_text(encoding="utf-8").splitlines()) == 3
    page = files["html"].read_text(encoding="utf-8")
    assert "other &lt;b&gt;" in page
    assert "<b>" not in page
    assert "матрица ошибок" in page
    for wrong in ([str(tmp_path / "none")], [str(tmp_path / "mine"), "--json", str(tmp_path)]):
        with pytest.raises(SystemExit) as stop:
            main(["hand-in", "check", *wrong])
        assert stop.value.code == 2
        assert "where:" in capsys.readouterr().err
