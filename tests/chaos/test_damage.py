"""Every file of a run folder and of the cache, damaged in six ways after every stage: never silently wrong."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from chaos.tools import DAMAGES, STAGES, Lane, Untouched, damage, files_of, results

from headtohead.core.checksums import LIST, unsound
from headtohead.settings.repair import is_ours, made_with

pytestmark = pytest.mark.slow


def is_made_on_demand(name: Path) -> bool:
    """Whether a file may be missing: what needs it makes it again, and in a finished run nothing does."""
    return name.name != "settings.toml" and made_with(name.as_posix()) is None


def noticed(folder: Path) -> list[Path]:
    return [p for p in unsound(folder, is_ours) if p.exists() or not is_made_on_demand(p.relative_to(folder))]


def test_every_damage_of_every_file_after_every_stage_is_noticed(
    untouched: Untouched, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = 0
    for stage, folder in untouched.after.items():
        assert noticed(folder) == [], stage
        copy = tmp_path / stage
        shutil.copytree(folder, copy)
        for path in files_of(copy):
            intact = path.read_bytes()
            for number, kind in enumerate(DAMAGES):
                damage(path, kind, number)
                expected = [] if kind == "lost" and is_made_on_demand(path.relative_to(copy)) else [path]
                assert noticed(copy) == expected, (stage, path, kind)
                path.write_bytes(intact)
                cases += 1
        shutil.rmtree(copy)
    with capsys.disabled():
        print(f"\n{cases} damages of single files, all noticed")


def attack(lane: Lane, untouched: Untouched, stage: str, part: int) -> tuple[int, int]:
    """Damage a third of the files after a stage and half of the cache; the same command must make all of it again."""
    lane.take(untouched.after[stage], untouched.cache)
    chosen = files_of(lane.run.path)[part % 3 :: 3]
    cached = files_of(lane.cache)[part % 2 :: 2]
    for number, path in enumerate([*chosen, *cached]):
        damage(path, DAMAGES[(number + part) % 6], number)
    status = lane.do()
    where = (stage, part, lane.printed())
    assert status == 0, where
    assert "Traceback" not in lane.printed(), where
    assert results(lane.run, untouched.results) == untouched.results, where
    assert noticed(lane.run.path) == [], where
    return len(chosen), len(cached)


@pytest.mark.timeout(1200)
def test_the_same_command_ends_with_the_bits_of_an_untouched_run(
    untouched: Untouched, lanes: tuple[Lane, Lane], capsys: pytest.CaptureFixture[str]
) -> None:
    rounds = [(stage, number) for number, stage in enumerate(STAGES)]
    with ThreadPoolExecutor(2) as pool:
        halves = [pool.submit(lambda k=k: [attack(lanes[k], untouched, *r) for r in rounds[k::2]]) for k in (0, 1)]
        counts = [count for half in halves for count in half.result()]
    with capsys.disabled():
        files, cached = (sum(column) for column in zip(*counts, strict=True))
        print(f"\n{files} damaged files of run folders, {cached} of caches, {len(rounds)} runs: the same bits")


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
