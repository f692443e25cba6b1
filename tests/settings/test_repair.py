"""What a lost or damaged file takes with it; that every file of a run is known; and folders that are refused."""

import shutil
from pathlib import Path

import pytest

from headtohead.cli.app import main
from headtohead.core.checksums import LIST, read_list
from headtohead.core.errors import RunFolderMismatch
from headtohead.core.files import write_text
from headtohead.settings.repair import made_with, repair
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Settings

MORE = ("groups-name.csv", "explain/bgr.json")


def names(run: RunDir) -> set[str]:
    return {path.relative_to(run.path).as_posix() for path in run.path.rglob("*")}


@pytest.fixture
def run(small_run: RunDir, tmp_path: Path) -> RunDir:
    """A copy of a finished run, with files that some runs have as well."""
    copy = RunDir(Path(shutil.copytree(small_run.path, tmp_path / "out")))
    for name in MORE:
        write_text(copy.path / name, "content")
    return copy


def test_every_file_of_a_run_is_in_the_table_and_in_the_list(small_run: RunDir) -> None:
    paths = (path for path in small_run.path.rglob("*") if path.is_file() and "tfevents" not in path.name)
    names = {path.relative_to(small_run.path).as_posix() for path in paths} - {LIST, ".lock"}
    assert names <= read_list(small_run.checksums).keys()
    for name in names - {"settings.toml"}:
        made_with(name)


def test_a_sound_folder_stays_as_it_is_and_its_list_is_tidied(run: RunDir, small_run: RunDir) -> None:
    repair(run.path)
    for path in small_run.path.rglob("*"):
        copy = run.path / path.relative_to(small_run.path)
        assert path.is_dir() or path.name == LIST or copy.read_bytes() == path.read_bytes()
    lines = run.checksums.read_text().splitlines()
    assert len({line.split("  ")[1] for line in lines}) == len(lines)
    assert all((run.path / name).exists() for name in read_list(run.checksums))  # no trials, no parts


@pytest.mark.parametrize(
    ("name", "gone"),
    [
        ("audit.html", {"audit.html", "data.json", "finished.json"}),
        ("probe/sweep.json", {"probe/sweep.json", "probe/search.json", "comparison.json", "finished.json"}),
        (
            "cnn/seed-1/log.jsonl",
            {f"cnn/seed-1/{file}" for file in ("log.jsonl", "last.pt", "best.safetensors")}
            | {"cnn/scores.json", "comparison.json", "finished.json"},
        ),
        ("untrained/sweep.json", {"untrained/sweep.json", "untrained.json", "finished.json"}),
        ("figures/label-budget.png", {"figures/label-budget.png", "budget/budget.json", "finished.json"}),
        ("report.ru.md", {"report.ru.md", "finished.json"}),
        ("checks.json", {"checks.json", "profile/cost.json", "comparison.json", "finished.json"}),
        ("groups-name.csv", {"groups-name.csv", "shortcuts.json", "finished.json"}),
        ("explain/bgr.json", {"explain/bgr.json"}),
        ("cnn/seed-0/last.pt", {"cnn/seed-0/last.pt"}),
        ("probe/features-val.npy", {"probe/features-val.npy"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("damage", ["lost", "changed", "not in the list"])
def test_what_goes_with_a_file(
    run: RunDir, name: str, gone: set[str], damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path, before = run.path / name, names(run)
    if damage == "lost":
        path.unlink()
    elif damage == "changed":
        path.write_bytes(path.read_bytes() + b" ")
    else:
        kept = {other: known for other, known in read_list(run.checksums).items() if other != name}
        run.checksums.write_text("".join(f"{known.written}  {other}\n" for other, known in kept.items()))
    repair(run.path)
    assert before - names(run) == gone
    printed = capsys.readouterr().err.replace("\n", " ")
    is_said = f"{name} is {'lost' if damage == 'lost' else 'damaged'}" in printed
    assert is_said or (damage == "lost" and gone == {name})
    for other in gone - {name, "finished.json"}:  # what is deleted is named
        assert other in printed


def test_a_lost_folder_takes_with_it_what_its_files_do(run: RunDir) -> None:
    """`..` leads nowhere from a folder that is not there."""
    shutil.rmtree(run.path / "cnn" / "seed-0")
    shutil.rmtree(run.path / "profile")
    repair(run.path)
    assert not run.scores("cnn").exists()
    assert not run.comparison.exists()
    assert not run.is_finished
    assert run.scores("probe").exists()


def test_a_damaged_index_of_an_unfinished_run_is_made_again_or_refused(run: RunDir, small_settings: Settings) -> None:
    intact = run.data.read_bytes()
    run.finished.unlink()
    run.data.write_bytes(intact[: len(intact) // 2])
    main(["check", str(run.path)])
    assert run.data.read_bytes() == intact


def test_files_that_are_not_ours_are_left_alone(run: RunDir) -> None:
    for name in ("notes.txt", "cnn/mine.json", "report-notes.md", ".tmp-1-data.json"):
        (run.path / name).write_text("mine")
    repair(run.path)
    assert run.is_finished
    assert all((run.path / name).exists() for name in ("notes.txt", "cnn/mine.json", "report-notes.md"))


def test_damaged_settings_are_written_again_if_they_are_the_same(run: RunDir, small_settings: Settings) -> None:
    intact = run.settings.read_bytes()
    for damage in (lambda: run.settings.unlink(), lambda: run.settings.write_text("seeds = [7]\n")):
        damage()
        assert run.own_settings() is None
        with pytest.raises(RunFolderMismatch, match="cannot be made again") as error:
            run.adopt(Settings())
        assert "settings.toml" in error.value.where
        run.adopt(small_settings)
        assert run.settings.read_bytes() == intact
    assert run.is_finished


@pytest.mark.parametrize("content", [None, b"", b"\xff\x00nonsense"])
def test_a_folder_without_its_list_is_refused_and_kept(run: RunDir, small_settings: Settings, content: bytes) -> None:
    run.checksums.unlink() if content is None else run.checksums.write_bytes(content)
    before = set(run.path.rglob("*"))
    with pytest.raises(RunFolderMismatch, match="list of checksums is lost") as error:
        run.adopt(small_settings)
    assert "--out" in error.value.fix
    assert set(run.path.rglob("*")) == before


def test_lost_times_are_left_out(run: RunDir) -> None:
    run.timings.write_text("{")
    repair(run.path)
    assert run.read_timings() == {}
    assert run.is_finished


def test_nothing_outside_of_the_folder_is_deleted(run: RunDir, tmp_path: Path) -> None:
    """A run folder may come from a stranger: its list is only text."""
    others = [tmp_path / "mine" / "last.pt", tmp_path / "comparison.json"]
    for path in others:
        write_text(path, "mine")
    with run.checksums.open("a") as stream:
        for name in ("../mine/last.pt", "../comparison.json", str(others[0]), "..\\mine\\last.pt"):
            stream.write(f"{'1' * 64}  {name}\n")
    repair(run.path)
    assert run.is_finished
    assert all(path.exists() for path in others)


def test_a_folder_that_was_moved_and_linked_is_sound_and_damage_in_it_is_refused(run: RunDir, tmp_path: Path) -> None:
    elsewhere = Path(shutil.move(run.path / "cnn", tmp_path / "large disk"))
    (run.path / "cnn").symlink_to(elsewhere)
    before = {*elsewhere.rglob("*")}
    repair(run.path)
    assert run.is_finished
    run.scores("cnn").write_text("{}")
    with pytest.raises(RunFolderMismatch, match="nothing is deleted"):
        repair(run.path)
    assert {*elsewhere.rglob("*")} == before
