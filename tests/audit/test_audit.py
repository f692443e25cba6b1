"""The policy, the written files and pages, and that no file of the data is changed."""

import hashlib
import json
import re
import shutil
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from bad_folders import PLANTS, complaining_jpeg, fill, in_class, rotated_jpeg, small
from PIL import Image

from headtohead.audit.audit import Audit, audit_folder
from headtohead.audit.image_info import collect_warnings, inspect_bytes
from headtohead.cli.app import main
from headtohead.core.errors import BadData
from headtohead.core.files import read_json, write_json
from headtohead.dataset.index import Index, build_index, index_of
from headtohead.report.audit_page import THUMBS, write_audit
from headtohead.report.evidence import evidence
from headtohead.report.language import language
from headtohead.settings.rules import problems
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Data, Settings

STRUCTURE = ("absent-in-val", "numeric-class-names")  # these rename the classes that the others need


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    """A folder with nearly all findings at once."""
    folder = small(tmp_path / "bad")
    for name, plant in PLANTS.items():
        if name not in (*STRUCTURE, "empty-class"):  # `linked-folder` takes the same name as `empty-class`
            plant(folder)
    return folder


def tree(folder: Path) -> dict[str, tuple[float, str]]:
    """Modification time and content of everything in a folder."""

    def content(path: Path) -> str:
        if path.is_symlink():
            return str(path.readlink())
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""

    return {str(path): (path.lstat().st_mtime, content(path)) for path in folder.rglob("*")}


def command(capsys: pytest.CaptureFixture[str], folder: Path, out: Path, *flags: str) -> tuple[int, str, str]:
    """Exit code, standard output and error of `data audit`."""
    code = 0
    try:
        main(["data", "audit", str(folder), "--out", str(out), *flags])
    except SystemExit as stop:
        code = int(str(stop.code))
    output = capsys.readouterr()
    return code, output.out, output.err


def test_the_data_are_not_changed(bad: Path, tmp_path: Path) -> None:
    before = tree(bad)
    write_audit(RunDir(tmp_path / "out"), audit_folder(bad, "x", Data(on_bad="leave-out")))
    assert tree(bad) == before


def test_an_unusable_folder_is_exit_code_2_with_all_problems_listed(
    bad: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = command(capsys, bad, tmp_path / "out")
    assert code == 2
    content = read_json(RunDir(tmp_path / "out").audit)
    undecodable = ("unreadable", "zero-byte", "not-an-image", "truncated", "damaged", "huge")
    assert len(content["problems"]) == len(undecodable)
    for name in undecodable:
        assert f": {name}: " in err.replace("\n", " ")
    for finding in content["findings"]:
        assert finding["name"] in out


def test_warnings_alone_are_exit_code_0(bad: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = command(capsys, bad, tmp_path / "out", "--data.on-bad", "leave-out")
    assert code == 0
    content = read_json(RunDir(tmp_path / "out").audit)
    assert {finding["name"] for finding in content["findings"]} == set(PLANTS) - {*STRUCTURE, "empty-class"}
    assert len(content["left_out"]) == 6
    for image in content["left_out"]:
        assert image["file"] in out


def test_images_of_a_finding_are_left_out_with_their_reason(bad: Path) -> None:
    settings = Data(on_bad="leave-out", leave_out=("animated", "tiny"))
    audit = audit_folder(bad, "x", settings)
    reasons = {image.file: image.finding for image in audit.left_out}
    assert reasons["class-0/moves.webp"] == "animated"
    assert reasons["class-0/tiny.png"] == "tiny"
    index = build_index(bad, "x", settings)
    assert {s.file for s in index.samples} == {image.path.file for image in audit.opened} - set(reasons)
    assert len(index.left_out) == len(reasons) == 8
    assert "class-0/tiny.png: tiny: 20x15 px" in index.left_out


@pytest.mark.parametrize("name", ["animated", "few-images", "symlink"])
def test_a_finding_can_stop(bad: Path, name: str) -> None:
    audit = audit_folder(bad, "x", Data(on_bad="leave-out", stop_at=(name,)))
    assert audit.problems
    assert all(f": {name}" in problem for problem in audit.problems)
    with pytest.raises(BadData, match=name):
        audit.require_usable()


def test_a_named_finding_overrides_on_bad(bad: Path) -> None:
    stopped = audit_folder(bad, "x", Data(leave_out=("truncated",)))
    assert "class-0/cut.jpg" in [image.file for image in stopped.left_out]
    assert not any("cut.jpg" in problem for problem in stopped.problems)
    lenient = audit_folder(bad, "x", Data(on_bad="leave-out", stop_at=("truncated",)))
    assert len(lenient.problems) == 1
    assert "cut.jpg" in lenient.problems[0]


def test_an_image_that_is_left_out_does_not_stop_for_another_finding(tmp_path: Path) -> None:
    folder = small(tmp_path / "x")
    (folder / "class-0" / "gone.jpg").symlink_to("nowhere")
    assert audit_folder(folder, "x", Data(on_bad="leave-out", stop_at=("symlink",))).problems == ()


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    for split, classes in (("train", ("a", "b")), ("val", ("b", "c"))):
        for cls in classes:
            (tmp_path / split / cls).mkdir(parents=True)
            (tmp_path / split / cls / "x.jpg").write_bytes(rotated_jpeg() if cls == "b" else b"")
    text = "\n".join(audit_folder(tmp_path, "x", Data()).problems)
    for part in ("train/a/x.jpg: zero-byte", "val/c/x.jpg: zero-byte", "train/ lacks: c", "no image is left of: a"):
        assert part in text


def test_a_policy_names_existing_findings_only_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = command(capsys, small(tmp_path / "x"), tmp_path / "out", "--data.leave-out", "ugly")
    assert code == 2
    assert "ugly" in err
    assert "wrong-extension" in err
    both = Settings(data=Data(leave_out=("tiny", "alpha"), stop_at=("tiny",)))
    assert problems(both) == ["data.leave_out and data.stop_at: both name tiny"]


def test_a_policy_in_a_settings_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    folder = small(tmp_path / "x")
    PLANTS["tiny"](folder)
    file.write_text('[data]\nleave_out = ["tiny"]\n')
    assert command(capsys, folder, tmp_path / "out", "--settings", str(file))[0] == 0
    assert [image["finding"] for image in read_json(tmp_path / "out" / "audit.json")["left_out"]] == ["tiny"]
    file.write_text('[data]\nleave_out = ["ugly"]\n')
    _, _, err = command(capsys, folder, tmp_path / "out2", "--settings", str(file))
    assert "data.leave_out" in err
    assert "wrong-extension" in err


def test_the_page_is_one_safe_file(bad: Path, tmp_path: Path) -> None:
    run = RunDir(tmp_path / "out")
    shutil.copy(bad / "class-0" / "000.jpg", bad / "class-1" / "<i>copy.jpg")
    audit = audit_folder(bad, "<i>name", Data())
    write_audit(run, audit)
    text = run.audit_page.read_text(encoding="utf-8")
    for title in (
        "Findings",
        "Находки",
        "&lt;i&gt;name",
        "&lt;script&gt;",
        "&lt;i&gt;copy.jpg",
        r"caf\xe9.jpg",
        r"-rf\n\u202e",
    ):
        assert title in text
    assert text.count("<script") == 1
    assert "<i>" not in text
    assert not re.search(r'(?:src|href)="(?!data:image/webp;base64,|#)', text)
    assert text.count("data:image/webp;base64,") > 10
    for name in PLANTS:
        assert (f'id="{name}"' in text) == (name in {finding.name for finding in audit.findings})
    write_audit(run, audit, pictures=False)
    assert "data:image/webp" not in run.audit_page.read_text(encoding="utf-8")
    assert not any("print" in row for row in read_json(run.audit)["files"])


def with_duplicates(folder: Path) -> Path:
    """Two classes with a copy in the other class and a copy in the same class in another format."""
    fill(folder, 2, 6)
    shutil.copy(folder / "class-0" / "000.jpg", folder / "class-1" / "copy.jpg")
    Image.open(folder / "class-1" / "001.jpg").save(folder / "class-1" / "again.png")
    return folder


def test_the_command_reports_duplicates_in_the_terminal_in_json_and_on_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunDir(tmp_path / "out")
    code, out, _ = command(capsys, with_duplicates(tmp_path / "x"), run.path)
    assert code == 0
    assert "pairs of duplicate images: 2, in 2 clusters" in out
    assert out.index("class-1/copy.jpg") < out.index("class-1/again.png")  # contradicting labels first
    pairs = read_json(run.audit)["pairs"]
    assert [(p["kind"], p["where"], p["b"]) for p in pairs] == [
        ("bytes", "across classes", "class-1/copy.jpg"), ("pixels", "within a class", "class-1/again.png"),
    ]  # fmt: skip
    text = run.audit_page.read_text(encoding="utf-8")
    assert "across classes" in text
    assert "в разных классах" in text
    for name in ("class-0/000.jpg", "class-1/copy.jpg", "class-1/001.jpg", "class-1/again.png"):
        assert re.search(rf'<img src="data:[^>]*>\s*<figcaption><bdi class="name">{name}', text)


def test_leaks_of_a_given_split_are_reported_even_if_the_folder_is_unusable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with_duplicates(tmp_path / "x" / "train")
    fill(tmp_path / "x" / "val", 2, 1)  # the same images as the first ones in train/
    (tmp_path / "x" / "val" / "class-0" / "empty.jpg").write_bytes(b"")
    code, out, _ = command(capsys, tmp_path / "x", tmp_path / "out")
    assert code == 2
    assert "val images leaked: 2" in out
    content = read_json(RunDir(tmp_path / "out").audit)
    assert content["leaked"] == ["val/class-0/000.jpg", "val/class-1/000.jpg"]
    assert [p["where"] for p in content["pairs"]] == 2 * ["across splits"] + ["across classes", "within a class"]
    assert "images with a copy in <code>train</code>: 2." in RunDir(tmp_path / "out").audit_page.read_text()


def test_a_folder_without_an_image_has_an_audit(tmp_path: Path) -> None:
    (tmp_path / "x" / "a").mkdir(parents=True)
    audit = audit_folder(tmp_path / "x", "x", Data())
    write_audit(RunDir(tmp_path / "out"), audit)
    assert audit.problems
    assert audit.pairs == ()


def test_our_own_split_separates_no_pair_so_that_audit_and_run_agree(tmp_path: Path) -> None:
    audit = audit_folder(with_duplicates(tmp_path / "x"), "x", Data())
    assert len(audit.pairs) == 2
    assert index_of(audit, Data()).duplicates == audit.duplicates()


def test_all_our_evidence_is_translated_to_russian(bad: Path, tmp_path: Path) -> None:
    untranslated = {"unreadable", "truncated", "damaged", "huge", "decoder-warning"}  # messages of system and decoders
    numbers = small(tmp_path / "numbers")
    PLANTS["numeric-class-names"](numbers)
    findings = [finding for folder in (bad, numbers) for finding in audit_folder(folder, "x", Data()).findings]
    for text in {text for f in findings if f.name not in untranslated for _, text in f.cases}:
        russian = evidence(text, language("ru"))
        assert re.search("[а-я]", russian) or re.fullmatch(r"(\d+x\d+ px|-> \S+)?", russian), text
    pairs = audit_folder(with_duplicates(tmp_path / "alike"), "x", Data()).pairs
    assert all(re.search("[а-я]", evidence(pair.evidence, language("ru"))) for pair in pairs)


def test_the_page_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    folder = small(tmp_path / "x")
    for number in range(400):
        in_class(f"{number:03d}-<b>.jpg", rotated_jpeg)(folder)
    run = RunDir(tmp_path / "out")
    write_audit(run, audit_folder(folder, "x", Data()))
    text = run.audit_page.read_text(encoding="utf-8")
    assert text.count("data:image/webp") < THUMBS
    assert len(text) < 400_000
    assert len(read_json(run.audit)["findings"][0]["cases"]) == 400


def test_names_that_are_not_utf8_survive_json(bad: Path, tmp_path: Path) -> None:
    name = PLANTS["non-utf8-name"](bad)
    assert "\udce9" in name
    index = build_index(bad, "x", Data(on_bad="leave-out"))
    write_json(tmp_path / "data.json", index.to_json())
    json.loads((tmp_path / "data.json").read_bytes().decode("utf-8"))  # valid UTF-8
    again = Index.from_json(read_json(tmp_path / "data.json"))
    assert again.samples == index.samples
    assert name in {sample.file for sample in again.samples}


def test_a_data_folder_whose_name_is_not_utf8(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = command(capsys, small(tmp_path / "caf\udce9"), tmp_path / "out")
    assert code == 2
    assert r"caf\xe9 is not UTF-8" in err.replace("\n", " ")


def test_decoder_warnings_are_stored_and_others_still_shown() -> None:
    shown: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, *_, **__: shown.append(str(message))  # type: ignore[assignment]
        with collect_warnings(), ThreadPoolExecutor(2) as pool:
            infos = [info for info, _ in pool.map(inspect_bytes, [complaining_jpeg(), rotated_jpeg()] * 20)]
            warnings.warn("something else", stacklevel=1)
    assert {len(info.warnings) for info in infos[::2]} == {1}
    assert {info.warnings for info in infos[1::2]} == {()}
    assert shown == ["something else"]


def test_counts_and_histograms(bad: Path) -> None:
    audit: Audit = audit_folder(bad, "x", Data(on_bad="leave-out"))
    decodable = [image for image in audit.opened if not image.info.bad]
    for histogram in audit.histograms().values():
        assert sum(histogram.values()) == len(decodable)
    assert audit.histograms()["mode"]["CMYK"] == 1
    assert audit.histograms()["short_side_px"]["1-15"] == 1
    assert sum(audit.class_counts()[""].values()) == len(audit.used) == len(decodable)
