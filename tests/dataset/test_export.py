"""A split written as folders comes back as the same split."""

import json
import shutil
from pathlib import Path

import pytest
from conftest import paint

from headtohead.cli.app import main
from headtohead.core.errors import BadData
from headtohead.dataset import export
from headtohead.dataset.index import build_index
from headtohead.images.decode import digest
from headtohead.settings.schema import Data


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_round_trip_with_links_manifest_and_names_that_collide(tmp_path: Path, images: Path) -> None:
    for sub in ("one", "two"):
        paint(images / "class-0" / sub, classes=1, per_class=3, seed=7 if sub == "one" else 8)
    index = build_index(images, "x", Data())
    out = tmp_path / "out"
    main(["data", "split", str(images), str(out)])
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert len(files(out)) == 42 + 1
    assert len(manifest["samples"]) == 42
    assert manifest["counts"] == {"train": sum(index.counts()["train"]) + sum(index.counts()["tune"]),
                                  "val": sum(index.counts()["val"])}  # fmt: skip
    for sample in manifest["samples"]:
        assert (out / sample["file"]).samefile(images / sample["source"])
    again = build_index(out, "y", Data())
    place = {s.digest: s.split for s in index.samples}
    assert {s.digest: s.split for s in again.samples} == place


def test_only_flags_that_a_split_depends_on_are_taken(
    tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for flag, value in (("--folder", "x"), ("--workers", "2"), ("--tune-share", "0.3"), ("--min-crop", "0.3")):
        with pytest.raises(SystemExit):
            main(["data", "split", str(images), str(tmp_path / "out"), flag, value])
        assert f"Unknown option: {flag}" in capsys.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "out").exists()
    (images / "class-0" / "empty.png").write_bytes(b"")
    flags = ["--split-seed", "3", "--group-pattern", r"(class-0/00)", "--on-bad", "leave-out"]
    main(["data", "split", str(images), str(tmp_path / "out"), *flags])
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["settings"]["split_seed"] == 3
    assert len({s["split"] for s in manifest["samples"] if s["source"].startswith("class-0/00")}) == 1
    assert manifest["left_out"] == ["class-0/empty.png: zero-byte: empty file"]


def test_a_folder_that_is_split_already_is_refused(
    tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["data", "split", str(images), str(tmp_path / "out")])
    with pytest.raises(SystemExit) as stop:
        main(["data", "split", str(tmp_path / "out"), str(tmp_path / "again")])
    assert stop.value.code == 2
    assert "split already" in capsys.readouterr().err


def test_copies_where_asked_or_where_links_cannot_be(
    tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    main(["data", "split", str(images), str(tmp_path / "copies"), "--copy", "--val-share", "0.5"])
    assert all(path.stat().st_nlink == 1 for path in files(tmp_path / "copies"))
    assert len(files(tmp_path / "copies" / "val")) == 18

    def refuse(*_: object) -> None:
        raise OSError("no links on this disk")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    main(["data", "split", str(images), str(tmp_path / "fallback")])
    assert len(files(tmp_path / "fallback")) == 37


def test_a_split_cut_off_leaves_nothing(tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(export, "manifest", stop)
    with pytest.raises(SystemExit):
        main(["data", "split", str(images), str(tmp_path / "out")])
    assert [p.name for p in tmp_path.iterdir()] == ["pictures"]


def test_names_that_are_not_text_are_kept(tmp_path: Path, images: Path) -> None:
    (images / "class-0" / "000.png").rename(images / "class-0" / "caf\udce9.png")
    main(["data", "split", str(images), str(tmp_path / "out")])
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert "class-0/caf\udce9.png" in {s["source"] for s in manifest["samples"]}
    assert all((tmp_path / "out" / s["file"]).is_file() for s in manifest["samples"])


def test_targets_that_cannot_be(tmp_path: Path, images: Path) -> None:
    index = build_index(images, "x", Data())
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    with pytest.raises(BadData, match="not empty"):
        export.write_split(images, index, Data(), tmp_path / "full", copy=False)
    with pytest.raises(BadData, match="within the images"):
        export.write_split(images, index, Data(), images / "out", copy=False)


def add_images(folder: Path) -> None:
    """9 more of each of 3 classes."""
    paint(folder / "more", per_class=9, seed=5)
    for cls in range(3):
        for path in (folder / "more" / f"class-{cls}").iterdir():
            path.rename(folder / f"class-{cls}" / f"more-{path.name}")
        (folder / "more" / f"class-{cls}").rmdir()
    (folder / "more").rmdir()


def sides(out: Path) -> dict[str, str]:
    """SHA-256 -> train or val, by the manifest, which is held against the files."""
    samples = json.loads((out / "manifest.json").read_text())["samples"]
    assert {s["file"] for s in samples} == {p.relative_to(out).as_posix() for p in files(out)} - {"manifest.json"}
    assert all(digest((out / s["file"]).read_bytes()) == s["digest"] for s in samples)
    return {s["digest"]: s["split"] for s in samples}


def test_kept_images_stay_when_others_come(tmp_path: Path, images: Path) -> None:
    main(["data", "split", str(images), str(tmp_path / "out")])
    before = sides(tmp_path / "out")
    add_images(images)
    index = build_index(images, "x", Data(keep_split=str(tmp_path / "out" / "manifest.json")))
    now = {s.digest: "val" if s.split == "val" else "train" for s in index.samples}
    assert {digest: now[digest] for digest in before} == before
    assert index.counts()["val"] == [4, 4, 4]  # of 21 images each


def test_the_same_command_with_more_images_moves_no_old_one(
    tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outs = {seed: tmp_path / f"out-{seed}" for seed in range(4)}
    for seed, out in outs.items():
        main(["data", "split", str(images), str(out), "--split-seed", str(seed)])
    before = {seed: sides(out) for seed, out in outs.items()}
    add_images(images)
    capsys.readouterr()
    moved = 0  # without memory
    for seed, out in outs.items():
        main(["data", "split", str(images), str(out), "--split-seed", str(seed)])
        said = " ".join(capsys.readouterr().err.split())
        assert "its images keep their places" in said
        assert "in tune" not in said
        assert "changed sides" not in said
        main(["data", "split", str(images), str(tmp_path / "anew"), "--split-seed", str(seed)])
        capsys.readouterr()
        after, anew = sides(out), sides(tmp_path / "anew")
        shutil.rmtree(tmp_path / "anew")
        assert {one: after[one] for one in before[seed]} == before[seed]
        assert after.keys() == anew.keys()
        moved += sum(anew[one] != side for one, side in before[seed].items())
    assert moved  # so that the test can fail
    assert sorted(p.name for p in tmp_path.iterdir()) == [*(out.name for out in outs.values()), "pictures"]


def test_where_data_and_out_lie_is_told_from_wherever_one_is(
    tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "b").mkdir()
    others = paint(tmp_path / "b" / "pictures", seed=9)
    monkeypatch.chdir(tmp_path)
    main(["data", "split", "pictures", "out", "--copy"])
    before = sides(tmp_path / "out")
    main(["data", "split", str(images), str(tmp_path / "out"), "--copy"])  # the same two
    monkeypatch.chdir(others.parent)
    with pytest.raises(SystemExit) as stop:
        main(["data", "split", "pictures", "../out", "--copy"])  # another folder of the same name
    assert stop.value.code == 2
    assert "split of other images" in capsys.readouterr().err
    assert sides(tmp_path / "out") == before


@pytest.mark.parametrize("command", [["data", "split", "../pictures", "."], ["data", "demo", "."]])
def test_the_folder_one_is_in_is_refused(
    tmp_path: Path,
    images: Path,
    command: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(SystemExit) as stop:
        main(command)
    assert stop.value.code == 2
    assert "that you are in" in capsys.readouterr().err


def test_a_link_to_an_earlier_split_is_followed(tmp_path: Path, images: Path) -> None:
    main(["data", "split", str(images), str(tmp_path / "real")])
    (tmp_path / "link").symlink_to(tmp_path / "real")
    before = sides(tmp_path / "real")
    add_images(images)
    for _ in range(2):
        main(["data", "split", str(images), str(tmp_path / "link")])
    assert (tmp_path / "link").is_symlink()
    assert {one: sides(tmp_path / "real")[one] for one in before} == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "pictures", "real"]


def test_old_images_that_must_change_sides_are_named(
    tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    main(["data", "split", str(images), str(out)])
    samples = json.loads((out / "manifest.json").read_text())["samples"]
    one = next(s["source"] for s in samples if s["split"] == "val")
    other = next(s["source"] for s in samples if s["split"] == "train")
    rows = [f"{s['source']},{'tied' if s['source'] in (one, other) else s['source']}" for s in samples]
    (tmp_path / "groups.csv").write_text("file,group\n" + "\n".join(rows) + "\n")
    main(["data", "split", str(images), str(out), "--group-file", str(tmp_path / "groups.csv")])
    said = " ".join(capsys.readouterr().err.split())
    assert f"changed sides, because groups or a given val/ tie them: 1 ({one})" in said


def test_what_a_new_split_would_delete_is_not_deleted(
    tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, others = tmp_path / "out", paint(tmp_path / "others", seed=9)
    main(["data", "split", str(images), str(out)])
    with pytest.raises(SystemExit) as stop:
        main(["data", "split", str(others), str(out)])
    assert stop.value.code == 2
    assert "split of other images" in capsys.readouterr().err
    (out / "train" / "notes.txt").write_text("mine")
    copies = tmp_path / "copies"
    main(["data", "split", str(images), str(copies), "--copy"])
    retouched = next(copies.glob("train/*/*.png"))
    retouched.write_bytes(b"changed")
    for folder, name in ((out, "train/notes.txt"), (copies, retouched.name)):
        with pytest.raises(SystemExit) as stop:
            main(["data", "split", str(images), str(folder)])
        assert stop.value.code == 2
        assert name in capsys.readouterr().err
    assert len(files(out)) == 36 + 2
    assert retouched.read_bytes() == b"changed"


def test_the_last_copies_are_not_deleted_nor_is_what_only_looks_changed(
    tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    main(["data", "split", str(images), str(out)])
    gone = images / "class-1" / "000.png"
    content = gone.read_bytes()
    gone.unlink()
    with pytest.raises(SystemExit) as stop:
        main(["data", "split", str(images), str(out)])
    assert stop.value.code == 2
    assert "may be their last copies" in " ".join(capsys.readouterr().err.split())
    assert len(files(out)) == 37
    main(["data", "split", str(images), str(tmp_path / "new"), "--keep-split", str(out / "manifest.json")])
    assert sides(tmp_path / "new").items() <= sides(out).items()
    gone.write_bytes(content)
    (out / "train" / ".DS_Store").write_bytes(b"")
    edited = images / "class-0" / "000.png"  # in place, and so in the split as well, where it is a link
    edited.write_bytes((images / "class-0" / "001.png").read_bytes())
    (images / "class-2" / "000.png").write_bytes(b"")  # left out now; a link as well
    main(["data", "split", str(images), str(out), "--on-bad", "leave-out"])
    assert len(sides(out)) == 34  # two are one, and one is left out
    assert len(files(out)) == 36


def test_an_earlier_split_stays_where_the_new_one_cannot_be_written(
    tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    main(["data", "split", str(images), str(out)])
    before, replace = sides(out), Path.replace

    def refuse(self: Path, target: Path) -> Path:
        if self.name.startswith(".tmp-") and target == out:
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(SystemExit) as stop:
        main(["data", "split", str(images), str(out)])
    assert stop.value.code == 2
    assert sides(out) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "pictures"]


def test_killed_between_the_two_renamings_the_earlier_split_is_still_known(tmp_path: Path, images: Path) -> None:
    out = tmp_path / "out"
    main(["data", "split", str(images), str(out)])
    before = sides(out)
    out.replace(tmp_path / ".headtohead-old-out")
    out.mkdir()  # as somebody would who finds it gone
    add_images(images)
    main(["data", "split", str(images), str(out)])
    after = sides(out)
    assert {one: after[one] for one in before} == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "pictures"]
