"""Commands: help, settings, errors."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from headtohead.api import compare
from headtohead.cli.app import STAGE_COMMANDS, app, main
from headtohead.core.errors import RunFolderMismatch
from headtohead.settings.rules import problems
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Budget, Settings
from headtohead.settings.toml import flatten


def error_message(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    assert stop.value.code == 2
    return capsys.readouterr().err


def test_help_imports_no_torch() -> None:
    code = "import sys; from headtohead.cli.app import main; main(['--help']); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_every_setting_is_documented() -> None:
    table = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
    for key in flatten(Settings()):
        assert f"| `{key}` |" in table, key


def test_all_commands_of_the_app_are_the_documented_ones() -> None:
    names = {name for name in app if not name.startswith("-")}
    stages = {"check", "search", "train", "profile", "evaluate", "budget", "report"}
    assert names == stages | {"run", "features", "compare", "data", "weights", "cache", "init", "explain", "hand-in"}
    from headtohead.pipeline import STAGES

    # An error names the command of a stage that is missing; stages without one run along with later commands.
    assert {stage.name for stage in STAGES if stage.has_command} == stages
    assert STAGE_COMMANDS["run"][0] == STAGES[-1].name


def test_a_missing_folder_is_named_and_no_run_folder_is_made(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    message = error_message(capsys, "run", "nowhere")
    assert "no such folder" in message
    assert "nowhere" in message
    assert list(tmp_path.iterdir()) == []


def test_invalid_values_and_unknown_flags_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "cnn.epochs: Input should be a valid integer" in error_message(capsys, "run", "--cnn.epochs", "many")
    assert "--cnn.depth" in error_message(capsys, "run", "--cnn.depth", "3")


@pytest.mark.parametrize(
    ("flags", "wrong"),
    [
        (["--cnn.sides", "32", "8"], "cnn.sides: Input should be greater than or equal to 16 (given: 8)"),
        (["--cnn.sides", "32", "32"], "cnn.sides: duplicates in 32, 32"),
        (["--cnn.poolings", "0"], "cnn.poolings: Input should be greater than or equal to 1 (given: 0)"),
        (["--cnn.poolings", "9"], "cnn.poolings: Input should be less than or equal to 8 (given: 9)"),
        (["--cnn.poolings", ""], "cnn.poolings: at least one is needed"),
        (["--cnn.learning-rates", "0"], "cnn.learning_rates: Input should be greater than 0 (given: 0)"),
        (["--cnn.learning-rates", "0.1", "1e-1"], "cnn.learning_rates: duplicates in 0.1, 0.1"),
        (["--cnn.weight-decays", "-1"], "cnn.weight_decays: Input should be greater than or equal to 0 (given: -1)"),
        (["--cnn.min-crops", "1.5"], "cnn.min_crops: Input should be less than or equal to 1 (given: 1.5)"),
        (["--cnn.smoothings", "1"], "cnn.smoothings: Input should be less than 1 (given: 1)"),
        (["--cnn.search", "grid"], "cnn.search: Input should be 'halving' or 'none' (given: grid)"),
        (["--cnn.trials", "0"], "cnn.trials: Input should be greater than or equal to 1 (given: 0)"),
        (["--processes", "-1"], "processes: Input should be greater than or equal to 0 (given: -1)"),
        (["--threads", "0"], "threads: Input should be greater than or equal to 1 (given: 0)"),
        (["--splits", "1"], "splits: one split has no spread; 2 or more, or 0 for none"),
        (["--splits", "2", "--quick"], "splits: a quick run has no repeated splits"),
        (["--splits", "-2"], "splits: Input should be greater than or equal to 0 (given: -2)"),
        (["--budget.sizes", "1"], "budget.sizes: Input should be greater than or equal to 2 (given: 1)"),
    ],
)
def test_a_wrong_value_is_named_with_its_bound(
    flags: list[str], wrong: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    message = error_message(capsys, "run", *flags, "--out", str(tmp_path / "r"))
    assert wrong in message
    assert message.count("\n  ") == 2  # this line, and how to fix it
    assert not (tmp_path / "r").exists()


def test_flags_of_one_value_each_and_of_on_and_off_are_saved(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, images: Path
) -> None:
    flags = ["--data.no-flip", "--training.no-refit", "--training.class-weights", "--cnn.search", "none"]
    flags += ["--cnn.sides", "32", "--cnn.smoothings", "0.1", "--splits", "3", "--threads", "2", "--processes", "3"]
    # The unknown backbone stops the run right after the settings were saved.
    error_message(capsys, "run", str(images), *flags, "--out", str(tmp_path / "out"), "--backbone", "x")
    written = tomllib.loads((tmp_path / "out" / "settings.toml").read_text())
    assert written["data"]["flip"] is False
    assert written["training"]["refit"] is False
    assert written["training"]["class_weights"] is True
    assert (written["cnn"]["search"], written["cnn"]["sides"], written["cnn"]["smoothings"]) == ("none", [32], [0.1])
    assert (written["splits"], written["threads"], written["processes"]) == (3, 2, 3)


def test_all_problems_of_settings_are_reported_at_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    message = error_message(capsys, "run", "--profile.steps", "3", "--seeds", "1", "1", "--out", str(tmp_path / "r"))
    assert "profile.steps" in message
    assert "seeds" in message


def test_a_folder_whose_name_is_not_utf8_is_one_problem(capsys: pytest.CaptureFixture[str]) -> None:
    message = error_message(capsys, "run", "caf\udce9")
    assert r"caf\xe9 is not UTF-8" in message
    assert message.count("\n  ") == 2


def test_a_typo_in_a_file_is_answered_with_the_most_similar_key(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "s.toml"
    file.write_text("[cnn]\nsiedes = [32]\nsides = [8]\n[prob]\nviews = 2\n")
    message = error_message(capsys, "run", "--settings", str(file))
    assert "cnn.siedes: unknown key; did you mean cnn.sides?" in message
    assert "prob: unknown key; did you mean probe?" in message
    assert "cnn.sides: Input should be greater than or equal to 16" in message


def test_broken_rules_are_reported_together_with_invalid_values(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    flags = ("--cnn.epochs", "many", "--probe.views", "-1", "--contenders", "cnn,prob", "--seeds", "1", "1")
    message = error_message(capsys, "run", *flags, "--out", str(tmp_path / "r"))
    for wrong in ("cnn.epochs", "probe.views", "prob is none of cnn, probe, finetune", "seeds: duplicates in 1, 1"):
        assert wrong in message


def test_an_impossible_label_budget_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    flags = ("--budget.sizes", "5", "1", "--budget.draws", "0", "--budget.passes", "0")
    message = error_message(capsys, "run", *flags, "--out", str(tmp_path / "r"))
    for wrong in ("budget.sizes: Input should be greater", "budget.draws", "budget.passes"):
        assert wrong in message
    assert "budget.sizes: at least one" in problems(Settings(budget=Budget(sizes=())))[0]


def test_quick_refuses_the_label_budget(capsys: pytest.CaptureFixture[str], tmp_path: Path, images: Path) -> None:
    message = error_message(capsys, "budget", str(images), "--quick", "--out", str(tmp_path / "r"))
    assert "A quick run has no stage `budget`" in message


def test_a_settings_file_is_read_strictly(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text('[cnn]\nsides = "large"\ndepth = 3\n[nonsense]\n')
    message = error_message(capsys, "run", "--settings", str(file))
    for key in ("cnn.sides: Input should be a valid", "cnn.depth", "nonsense"):
        assert key in message
    for text in ("a = = 1", f"seeds = [{'9' * 5000}]", f"seeds = {'[' * 20_000}"):
        file.write_text(text)
        assert "not valid TOML" in error_message(capsys, "run", "--settings", str(file))
    assert "cannot be read" in error_message(capsys, "run", "--settings", str(tmp_path / "missing.toml"))


def test_flags_override_the_file_and_the_file_overrides_defaults(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, images: Path
) -> None:
    file = tmp_path / "s.toml"
    file.write_text("[cnn]\nsides = [32, 24]\ndropout = 0.3\n[data]\ntune_share = 0.3\n[profile]\nsteps = 70\n")
    out = tmp_path / "out"
    # The unknown backbone stops the run right after the settings were saved.
    error_message(
        capsys, "run", str(images), "--settings", str(file), "--cnn.sides", "48", "--out", str(out), "--backbone", "x"
    )
    written = tomllib.loads((out / "settings.toml").read_text())
    assert written["cnn"]["sides"] == [48]
    assert written["cnn"]["dropout"] == 0.3
    assert written["data"]["tune_share"] == 0.3
    assert written["data"]["folder"] == str(images)
    assert written["profile"]["steps"] == 70


def test_a_stage_names_the_missing_earlier_stage(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, images: Path
) -> None:
    for stage, needed in (("search", "check"), ("train", "check"), ("profile", "check"), ("report", "evaluate")):
        message = error_message(capsys, stage, str(images), "--out", str(tmp_path / stage))
        assert f"run `headtohead {needed}` first" in message


def test_every_command_names_the_first_stage_that_it_lacks(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, images: Path
) -> None:
    """In the order of a run; the last files of the stages are made up."""
    from headtohead.core.files import write_json
    from headtohead.settings.rundir import RunDir

    run = RunDir(tmp_path / "run")
    command = (str(images), "--backbone", "builtin", "--out", str(run.path))
    done = {
        "check": [run.checks], "search": [run.search("cnn"), run.search("probe")],
        "train": [run.scores("cnn"), run.scores("probe")], "profile": [run.cost], "evaluate": [run.comparison],
        "report": [run.report("ru")],
    }  # fmt: skip
    for needed, files in done.items():
        message = error_message(capsys, "budget", *command)
        assert f"`budget` needs the results of `{needed}`." in message
        assert f"run `headtohead {needed}` first" in message
        for file in files:
            write_json(file, {})
    run.scores("probe").unlink()
    assert "run `headtohead train` first" in error_message(capsys, "evaluate", *command)


def test_init_writes_all_keys_and_refuses_to_overwrite(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "h.toml"
    main(["init", str(file)])
    from headtohead.settings.toml import parse, read_toml

    assert parse(read_toml(file), where="") == Settings()
    assert "already exists" in error_message(capsys, "init", str(file))


def test_unwritable_paths_and_unknown_cnns_are_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, images: Path
) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be written" in error_message(capsys, "init", str(tmp_path / "no" / "x.toml"))
    assert "cannot be written" in error_message(capsys, "run", str(images), "--out", str(tmp_path / "file" / "x"))
    assert "cannot be written" in error_message(capsys, "data", "demo", str(tmp_path / "file" / "x"))
    assert "Unknown CNN `deep`" in error_message(
        capsys, "run", str(images), "--cnn.name", "deep", "--out", str(tmp_path / "o")
    )


def test_data_demo_writes_an_image_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    main(["data", "demo", str(tmp_path / "demo")])
    assert len(list((tmp_path / "demo" / "train").rglob("*.png"))) == 3000
    assert len(list((tmp_path / "demo" / "val").rglob("*.png"))) == 1000
    assert "not empty" in error_message(capsys, "data", "demo", str(tmp_path / "demo"))


def test_weights_path_and_verify(capsys: pytest.CaptureFixture[str], tiny_weights: Path) -> None:
    from conftest import BACKBONE

    main(["weights", "path", "--backbone", BACKBONE, "--weights", str(tiny_weights)])
    assert capsys.readouterr().out.strip() == str(tiny_weights / f"{BACKBONE}.safetensors")
    main(["weights", "verify", "--backbone", BACKBONE, "--weights", str(tiny_weights)])
    assert "fingerprint: " in capsys.readouterr().out


def test_explain_keeps_to_the_settings_of_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of the same data gives its settings only as long as `explain` has none."""

    class Opened(Exception):
        pass

    def opened(settings: Settings, run: RunDir) -> None:
        raise Opened(settings.seeds, run.path.name)

    monkeypatch.setattr("headtohead.cli.tools.opened", opened)
    run, own = (RunDir(tmp_path / name) for name in ("run", "run-explain"))
    run.adopt(Settings(seeds=(5,)))
    for seeds in ((5,), (7,)):
        with pytest.raises(Opened) as called:
            main(["explain", "bgr", str(run.path)])
        assert called.value.args == (seeds, "run-explain")
        own.adopt(Settings(seeds=(7,)))


def test_the_scheduler_of_a_run_folder_is_not_connected_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder may come from a stranger, and a scheduler can run code here: the command line alone names one."""
    seen: list[Settings] = []

    def stages(data: Path, out: Path, flags: Settings, upto: str, *, only: bool) -> None:
        seen.append(flags)

    monkeypatch.setattr("headtohead.cli.app.stages", stages)
    monkeypatch.setattr("headtohead.api.stages", stages)
    run = RunDir(tmp_path / "run")
    run.adopt(Settings(seeds=(5,), engine="dask", scheduler="tcp://stranger:1"))
    main(["run", str(run.path)])
    main(["run", str(run.path), "--engine", "dask", "--scheduler", "tcp://mine:1"])
    with pytest.raises(RunFolderMismatch):  # no results yet
        compare(run.path)
    assert [(flags.engine, flags.scheduler, flags.seeds) for flags in seen] == [
        ("processes", "", (5,)),
        ("dask", "tcp://mine:1", (5,)),
        ("processes", "", (5,)),
    ]
