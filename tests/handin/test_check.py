"""Invented hand-ins: the sound one is found sound, and each defect is found on its line and nowhere else."""

import gzip
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import invented_handins as invented
import pytest

from headtohead.core.errors import BadData
from headtohead.handin.check import Checked, check_all
from headtohead.handin.lines import LINES

Defect = Callable[[Path, Path], object]


@pytest.fixture(scope="session")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Traces of torch.profiler."""
    folder = tmp_path_factory.mktemp("traces")
    invented.record(folder / "training.json", 50)
    invented.record(folder / "inference.json", 50, training=False)
    invented.record(folder / "short.json", 10)
    return folder


def checked(folder: Path) -> Checked:
    return check_all([folder])[0]


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def cut(path: Path, share: float = 0.6) -> None:
    os.truncate(path, int(path.stat().st_size * share))


def pack(path: Path) -> None:
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


def sparse(path: Path, size: int) -> None:
    path.touch()
    os.truncate(path, size)


def events(folder: Path) -> Path:
    return next(folder.rglob("*tfevents*"))


def test_a_sound_hand_in(tmp_path: Path, traces: Path) -> None:
    one = checked(invented.sound(tmp_path / "anna", traces))
    statuses = {name: finding.status for name, finding in one.findings.items()}
    unchecked = {"classes", "split", "frozen", "profile", "confusion", "observations"}
    assert {name for name, status in statuses.items() if status == "unchecked"} == unchecked
    assert {*statuses.values()} == {"valid", "unchecked"}
    assert one.contradictions == []
    assert one.unread == {}
    assert one.is_complete
    # 15 lines of completeness, 9 of them valid and 6 unchecked, for 3 points; 6 of presentation for 2.
    assert one.points("completeness") == (1.8, 3.0)
    assert one.points("presentation") == (2.0, 2.0)
    assert one.evidence["code_files"] == 1
    assert one.evidence["functions_and_classes"] == 1


def test_committed_images_are_counted_and_are_litter(tmp_path: Path, traces: Path) -> None:
    folder = invented.sound(tmp_path / "anna", traces)
    invented.images(folder)
    one = checked(folder)
    assert {one.findings[name].status for name in ("classes", "split", "confusion")} == {"valid"}
    assert str(one.findings["clean"].messages[0]) == "the data set: 600 images or archives"
    assert one.contradictions == []


# What honest hand-ins have too, in which nothing may be found.
VARIANTS: dict[str, Defect] = {
    "log of epochs": lambda f, t: (f / "metrics_cnn.csv").write_text(
        "epoch,loss,accuracy\n" + "".join(f"{epoch},1,0.{epoch}\n" for epoch in range(1, 9))
    ),
    "scores of each seed": lambda f, t: (f / "results.csv").write_text(
        "model,seed,accuracy,f1\ncnn,0,0.78,0.78\ncnn,1,0.82,0.82\nvit,0,0.9,0.9\n"
    ),
    "classification report": lambda f, t: (f / "cnn_report.csv").write_text(
        ",precision,recall,f1-score,support\ncat,.9,.8,.85,20\naccuracy,.8,.8,.8,.8\nmacro avg,.8,.8,.8,100\n"
        "weighted avg,.7,.7,.7,100\n"
    ),
    "curve of train accuracies as JSON": lambda f, t: (f / "vit_metrics.json").write_text(
        '{"history": {"train_accuracy": [0.5, 0.99], "val_accuracy": [0.7, 0.9]}}'
    ),
    "normalised matrix as well": lambda f, t: invented.table(
        f / "confusion_cnn_share.csv", [[cell / 20 for cell in row] for row in invented.CNN]
    ),
    "one matrix without names": lambda f, t: (f / "confusion_cnn.csv").write_text(
        "\n".join(",".join(f"{cell:.2e}" for cell in row) for row in invented.CNN)
    ),
    "README in Russian": lambda f, t: (f / "README.md").write_text(invented.RUSSIAN),
    "scores in sentences": lambda f, t: replace(
        f / "README.md", "| CNN | 0.80 | 0.80 |\n| ViT-Tiny, linear probe | 90 % | 90 % |",
        "\nThe CNN has an accuracy of 80 % and macro-F1 0.80. ViT-Tiny: accuracy 0.90, F1 90.0 %.",
    ),
    "names that say nothing": lambda f, t: [
        (f / "metrics.json").unlink(),
        *((f / f"confusion_{name}.csv").rename(f / f"confusion_{i}.csv") for i, name in enumerate(("cnn", "vit"))),
        *((f / "runs" / name).rename(f / "runs" / f"Nov25_{i}") for i, name in enumerate(("cnn", "vit"))),
    ],
    "key that is an example": lambda f, t: (f / ".env.example").write_text("HF_TOKEN=hf_your_token\n"),
    "few pictures": lambda f, t: [(f / f"{i}.jpg").write_bytes(b"x") for i in range(9)],
    "curves in per cent": lambda f, t: (shutil.rmtree(f / "runs" / "cnn"), invented.log(f / "runs" / "cnn", 80.0)),
}  # fmt: skip


@pytest.mark.parametrize("name", VARIANTS)
def test_nothing_is_found_in_a_sound_hand_in(name: str, tmp_path: Path, traces: Path) -> None:
    folder = invented.sound(tmp_path / "anna", traces)
    VARIANTS[name](folder, traces)
    one = checked(folder)
    assert one.is_complete, (one.to_json()["lines"], [*map(str, one.contradictions)])
    assert one.unread == {}


def test_train_val_and_test(tmp_path: Path, traces: Path) -> None:
    folder = invented.sound(tmp_path / "anna", traces)
    invented.images(folder)
    shutil.copytree(folder / "data" / "val", folder / "data" / "test", copy_function=lambda a, b: Path(b).write_text(a))
    one = checked(folder)
    assert {line for line, finding in one.findings.items() if finding.status not in ("valid", "unchecked")} == {"clean"}
    assert one.findings["confusion"].status == "valid"
    assert str(one.findings["split"].messages[0]) == "train: 500 images, val: 100, no file in both"
    (folder / "data" / "val").rename(folder / "data" / "more")
    assert "val: 100" in str(checked(folder).findings["split"].messages[0])


# What is done to a sound hand-in, lines that are then missing or invalid, and what the page must say of it.
DEFECTS: dict[str, tuple[Defect, set[str], str]] = {
    "trace of inference": (
        lambda f, t: shutil.copy(t / "inference.json", f / "trace.json"), {"trace"}, "not of training: 0 backward",
    ),
    "trace of ten steps": (lambda f, t: shutil.copy(t / "short.json", f / "trace.json"), {"trace"}, "10 steps instead"),
    "trace cut short": (lambda f, t: cut(f / "trace.json", 0.999), {"trace"}, "it ends before its end"),
    "packed trace cut short": (
        lambda f, t: (pack(f / "trace.json"), cut(f / "trace.json.gz")), {"trace"}, "it ends before its end",
    ),
    "rows do not add up": (
        lambda f, t: (invented.images(f), replace(f / "confusion_cnn.csv", "cat,16", "cat,26")),
        {"confusion", "clean"}, "the rows add up to 110 images, val has 100",
    ),
    "matrices of different images": (
        lambda f, t: replace(f / "confusion_cnn.csv", "cat,16", "cat,26"), {"confusion"}, "100, 110 in all",
    ),
    "accuracy that differs": (
        lambda f, t: replace(f / "README.md", "| CNN | 0.80", "| CNN | 0.93"), set(),
        "CNN, accuracy: 0.930 in the README, 0.800 in the matrix",
    ),
    "one class predicted": (
        lambda f, t: invented.table(f / "confusion_cnn.csv", [[20, 0, 0, 0, 0]] * 5), set(), "one class is predicted",
    ),
    "val in train": (
        lambda f, t: invented.images(f, leak=True), {"split", "clean"}, "3 images of val are in train too",
    ),
    "a class in train alone": (
        lambda f, t: invented.images(f, extra="val"), {"clean"}, "classes of train or val alone: val",
    ),
    "few images": (lambda f, t: invented.images(f, train=30), {"classes", "clean"}, "50 in the smallest"),
    "other class names": (
        lambda f, t: (invented.images(f), invented.table(f / "confusion_vit.csv", invented.VIT, tuple("abcde"))),
        {"clean"}, "classes that no folder has: a, b, c, d, e",
    ),
    "event file cut short": (lambda f, t: cut(events(f)), {"scalars"}, "1 event files cannot be read to their end"),
    "val curve is train's": (
        lambda f, t: invented.log(f / "runs" / "vit2", 0.9, val_is_train=True), set(), "are the same in every epoch",
    ),
    "no event files": (lambda f, t: shutil.rmtree(f / "runs"), {"scalars", "histograms", "logs"}, "no event file"),
    "large checkpoint": (lambda f, t: sparse(f / "best.pth", 200_000_000), {"clean"}, "files over 50 MB"),
    "secret": (lambda f, t: (f / ".env").write_text("TOKEN=1"), {"clean"}, "passwords or keys"),
    "key in the code": (
        lambda f, t: replace(f / "train.py", "import timm", f"import timm\nT = 'hf_{'a1' * 17}'"), {"clean"},
        "passwords",
    ),
    "link out": (lambda f, t: (f / "notes.txt").symlink_to("/etc/passwd"), {"clean"}, "none was followed"),
    "cache": (lambda f, t: (f / "__pycache__").mkdir(), {"clean"}, "caches, 1 in all"),
    "no README": (
        lambda f, t: (f / "README.md").unlink(), {"readme", "conclusions", "observations", "profile"}, "no README",
    ),
    "thin conclusions": (
        lambda f, t: replace(f / "README.md", "We looked", "<!-- ") , {"conclusions"}, "one to two pages",
    ),
    "broken link": (
        lambda f, t: replace(f / "README.md", "# Cats", "![](plots/curve.png)\n# Cats"), {"readme"}, "plots/curve.png",
    ),
    "no seed": (lambda f, t: replace(f / "train.py", "torch.manual_seed(0)", ""), {"seeds"}, "not in the code: seed"),
    "seed in a comment": (lambda f, t: replace(f / "train.py", "torch.man", "# torch.man"), {"seeds"}, "not in"),
    "not pretrained": (lambda f, t: replace(f / "train.py", "pretrained=True, ", ""), {"vit"}, "no pretrained weights"),
    "F1 is not told": (
        lambda f, t: ((f / "metrics.json").unlink(), replace(f / "README.md", "macro-F1", "time")), {"metrics"}, "lack",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_found_on_its_line_alone(name: str, tmp_path: Path, traces: Path) -> None:
    defect, lines, said = DEFECTS[name]
    folder = invented.sound(tmp_path / "boris", traces)
    defect(folder, traces)
    one = checked(folder)
    wrong = {line for line, finding in one.findings.items() if finding.status in ("invalid", "missing")}
    messages = [str(text) for finding in one.findings.values() for text in finding.messages]
    assert wrong == lines, messages
    assert not one.is_complete
    contradictions = [str(text) for text in one.contradictions]
    assert any(said in text for text in [*messages, *contradictions]), (messages, contradictions)
    also = ("rows do not add up", "matrices of different images")  # then the accuracy of the matrix differs too
    assert bool(contradictions) == any(said in text for text in contradictions) or name in also, contradictions


def test_two_with_the_same_event_files(tmp_path: Path, traces: Path) -> None:
    folders = [invented.sound(tmp_path / name, traces, seed) for seed, name in enumerate(("anna", "boris", "vera"))]
    shutil.copytree(folders[0] / "runs", folders[2] / "runs", dirs_exist_ok=True)
    for number, folder in enumerate(folders):  # the profiler's bytes are never the same twice
        (folder / "trace.json").write_bytes((traces / "training.json").read_bytes() + b"\n" * number)
    anna, boris, vera = check_all(folders)
    assert ["2 event files or traces are those of vera" in str(text) for text in anna.contradictions] == [True]
    assert boris.contradictions == []
    assert "are those of anna" in str(vera.contradictions[0])


def test_a_notebook_alone(tmp_path: Path) -> None:
    folder = tmp_path / "gleb"
    folder.mkdir()
    invented.notebook(folder / "lab.ipynb", invented.TRAIN + "\n%matplotlib inline\n", "The CNN converges faster.")
    one = checked(folder)
    valid = {name for name, finding in one.findings.items() if finding.status == "valid"}
    assert valid == {"augmentation", "seeds", "code", "clean"}
    assert str(one.findings["cnn"].messages[0]).startswith("CNN: in the code, but no event file")
    assert "generalisation, bottlenecks" in str(one.findings["observations"].messages[0])


def test_hostile_files_are_survived_and_named(tmp_path: Path, traces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headtohead.handin.repository.MAX_UNPACKED", 20_000_000)
    folder = invented.sound(tmp_path / "mallory", traces)
    (folder / "results.json").write_text('{"metrics": ' + "[" * 100_000 + "]" * 100_000 + "}")
    (folder / "deep.ipynb").write_text("[" * 100_000)
    sparse(folder / "events.out.tfevents.1.x", 3_000_000_000)
    (folder / "runs" / "events.out.tfevents.2.x").write_bytes(b"\xff" * 300)  # a record of 2^64 bytes
    (folder / "runs" / "events.out.tfevents.3.x").write_bytes(bytes(1000))
    (folder / "bomb.json.gz").write_bytes(gzip.compress(b'{"traceEvents": [' + b" " * 21_000_000))
    (folder / "metrics.csv").write_text("cnn,accuracy," + "9" * 5000 + "\n" + ";" * 100_000)
    (folder / "confusion.csv").write_text("a,b\n1,nan\n")
    os.mkfifo(folder / "pipe.py")
    (folder / "loop").symlink_to(folder)
    (folder / "bad.py").write_text("(" * 100_000)
    (folder / "\x1b[31m<script>.py").write_text("# x")
    (folder / "data.json").write_text('{"samples": [1, {"label": 10000000}], "classes": 3}')
    (folder / "checks.json").write_text('{"results": 1.5}')
    one = checked(folder)
    said = {name: str(why) for name, why in one.unread.items()}
    assert said == {
        "bomb.json.gz": "a trace that unpacks to more than is read",
        "deep.ipynb": "JSON that is nested too deep",
        "events.out.tfevents.1.x": "larger than the 64 MB that are read",
        "results.json": "JSON that is nested too deep",
    }
    assert one.findings["trace"].status == "valid"
    assert one.findings["scalars"].status == "invalid"  # event files without a whole record


def test_of_a_git_repository_only_what_is_in_its_index(tmp_path: Path, traces: Path) -> None:
    folder = invented.sound(tmp_path / "anna", traces)
    (folder / ".gitignore").write_text("__pycache__/\n.env\n")
    (folder / "__pycache__").mkdir()
    (folder / ".env").write_text("TOKEN=1")
    assert checked(folder).findings["clean"].status == "invalid"
    for arguments in (("init", "-q"), ("add", "-A"), ("update-index", "--index-version", "4")):
        subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)
        if arguments[0] != "init":
            one = checked(folder)
            assert one.findings["clean"].status == "valid"
            assert one.is_complete


def test_a_folder_that_is_not_there_or_given_twice(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="no such folder"):
        check_all([tmp_path, tmp_path / "none"])
    with pytest.raises(BadData, match="given twice"):
        check_all([tmp_path, tmp_path / "."])


def test_lines_have_different_names() -> None:
    assert len({line.name for line in LINES}) == len(LINES)
