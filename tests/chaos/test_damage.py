"""Files of a run folder and of the cache, damaged in six ways after every stage: never silently wrong."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from chaos.tools import DAMAGES, STAGES, Lane, Untouched, damage, files_of, results

from headtohead.core.checksums import LIST, unsound
from headtohead.core.progress import console
from headtohead.settings.repair import is_ours, kind_of, made_with, repair

pytestmark = pytest.mark.slow


def is_made_on_demand(name: Path) -> bool:
    """Whether a file may be missing: what needs it makes it again, and in a finished run nothing does."""
    return name.name != "settings.toml" and made_with(name.as_posix()) is None


def noticed(folder: Path) -> list[Path]:
    return [p for p in unsound(folder, is_ours) if p.exists() or not is_made_on_demand(p.relative_to(folder))]


def test_every_damage_of_every_file_is_noticed_and_repaired_as_its_loss(
    untouched: Untouched, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each file alone, after the stages that wrote it; so the next test need not restore it from each damage."""
    seen: set[tuple[str, bytes]] = set()
    cases = 0
    for stage, folder in untouched.after.items():
        assert noticed(folder) == [], stage
        copy = tmp_path / stage
        shutil.copytree(folder, copy)
        intact = {path: path.read_bytes() for path in [*files_of(copy), copy / LIST]}
        for path in files_of(copy):
            name = path.relative_to(copy).as_posix()
            if (name, intact[path]) in seen:
                continue
            seen.add((name, intact[path]))
            left = {}
            for number, kind in enumerate(DAMAGES):
                damage(path, kind, number)
                expected = [] if kind == "lost" and is_made_on_demand(Path(name)) else [path]
                assert noticed(copy) == expected, (stage, path, kind)
                with console.capture():
                    repair(copy)
                left[kind] = [file for file in files_of(copy) if file != path or name != "settings.toml"]
                for file in intact:
                    if not file.exists() or file in (path, copy / LIST):
                        file.write_bytes(intact[file])
                cases += 1
            assert all(files == left["lost"] for files in left.values()), (stage, path)
        shutil.rmtree(copy)
    with capsys.disabled():
        print(f"\n{cases} damages of {len(seen)} single files, all noticed, each repaired as the loss of the file")


def ends_as_untouched(lane: Lane, untouched: Untouched, where: object) -> None:
    """The same command must make all of it again."""
    status = lane.do()
    assert status == 0, (where, lane.printed())
    assert "Traceback" not in lane.printed(), (where, lane.printed())
    assert results(lane.run, untouched.results) == untouched.results, (where, lane.printed())
    assert noticed(lane.run.path) == [], (where, lane.printed())


def lose(lane: Lane, untouched: Untouched, part: int) -> int:
    """Lose a file of each kind of the finished run alone: of every second kind, beginning with `part`."""
    folder = untouched.after["run"]
    kinds = {kind_of(path.relative_to(folder).as_posix()): path for path in files_of(folder)}
    lost = [*kinds.values()][part::2]
    for path in lost:
        lane.take(folder, untouched.cache)
        (lane.run.path / path.relative_to(folder)).unlink()
        ends_as_untouched(lane, untouched, path)
    return len(lost)


def attack(lane: Lane, untouched: Untouched, stage: str, part: int) -> tuple[int, int]:
    """Damage a third of the files after a stage and half of the cache."""
    lane.take(untouched.after[stage], untouched.cache)
    chosen = files_of(lane.run.path)[part % 3 :: 3]
    cached = files_of(lane.cache)[part % 2 :: 2]
    for number, path in enumerate([*chosen, *cached]):
        damage(path, DAMAGES[(number + part) % 6], number)
    ends_as_untouched(lane, untouched, (stage, part))
    return len(chosen), len(cached)


@pytest.mark.timeout(1200)
def test_the_same_command_ends_with_the_bits_of_an_untouched_run(
    untouched: Untouched, lanes: tuple[Lane, Lane], capsys: pytest.CaptureFixture[str]
) -> None:
    rounds = [(stage, number) for number, stage in enumerate(STAGES)]

    def work(k: int) -> tuple[int, list[tuple[int, int]]]:
        return lose(lanes[k], untouched, k), [attack(lanes[k], untouched, *r) for r in rounds[k::2]]

    with ThreadPoolExecutor(2) as pool:
        halves = [*pool.map(work, (0, 1))]
    with capsys.disabled():
        files, cached = (sum(column) for column in zip(*(count for _, half in halves for count in half), strict=True))
        print(f"\n{sum(lost for lost, _ in halves)} kinds of files of a finished run, one of each lost: the same bits")
        print(f"{files} damaged files of run folders, {cached} of caches, {len(rounds)} runs: the same bits")


@pytest.mark.parametrize("kind", DAMAGES)
def test_the_list_of_checksums_itself(untouched: Untouched, lanes: tuple[Lane, Lane], kind: str) -> None:
    """Where nothing is known of the files any more the run is refused, and nothing is deleted."""
    lane = lanes[0]
    lane.take(untouched.after["check"], untouched.cache)
    before = {path: path.read_bytes() for path in files_of(lane.run.path)}
    damage(lane.run.path / LIST, kind, 0)
    status = lane.do(lane.command("check"))
    assert status == (0 if kind in ("cut", "bit flipped") else 2), lane.printed()
    assert "Traceback" not in lane.printed()
    if status == 2:
        assert LIST in lane.printed()
        assert {path: path.read_bytes() for path in files_of(lane.run.path)} == before
