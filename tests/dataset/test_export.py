"""A split written as folders is read back as the same split."""

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


def test_a_folder_that_is_already_split_is_refused(
    tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["data", "split", str(images), str(tmp_path / "out")])
    with pytest.raises(SystemExit) as stop:
        main(["data", "split", str(tmp_path / "out"), str(tmp_path / "again")])
    assert stop.value.code == 2
    assert "already split" in capsys.readouterr().err


def test_copies_where_requested_or_where_links_are_impossible(
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


def test_an_interrupted_split_leaves_nothing(tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(export, "manifest", stop)
    with pytest.raises(KeyboardInterrupt):
        main(["data", "split", str(images), str(tmp_path / "out")])
    assert [p.name for p in tmp_path.iterdir()] == ["pictures"]


def test_names_that_are_not_utf8_are_kept(tmp_path: Path, images: Path) -> None:
    (images / "class-0" / "000.png").rename(images / "class-0" / "caf\udce9.png")
    main(["data", "split", str(images), str(tmp_path / "out")])
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert "class-0/caf\udce9.png" in {s["source"] for s in manifest["samples"]}
    assert all((tmp_path / "out" / s["file"]).is_file() for s in manifest["samples"])


def test_invalid_targets_are_refused(tmp_path: Path, images: Path) -> None:
    index = build_index(images, "x", Data())
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    with pytest.raises(BadData, match="not empty"):
        export.write_split(images, index, Data(), tmp_path / "full", copy=False)
    with pytest.raises(BadData, match="within the folder of its images"):
        export.write_split(images, index, Data(), images / "out", copy=False)


def add_images(folder: Path) -> None:
    """Add 9 images to each of 3 classes."""
    paint(folder / "more", per_class=9, seed=5)
    for cls in range(3):
        for path in (folder / "more" / f"class-{cls}").iterdir():
            path.rename(folder / f"class-{cls}" / f"more-{path.name}")
        (folder / "more" / f"class-{cls}").rmdir()
    (folder / "more").rmdir()


def sides(out: Path) -> dict[str, str]:
    """SHA-256 -> train or val, from the manifest, after checking it against the files."""
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
    moved = 0  # images on another side in a split that does not know the earlier one
    for seed, out in outs.items():
        main(["data", "split", str(images), str(out), "--split-seed", str(seed)])
        output = " ".join(capsys.readouterr().err.split())
        assert "its images stay where they are" in output
        assert "in tune" not in output
        assert "changed sides" not in output
        main(["data", "split", str(images), str(tmp_path / "fresh"), "--split-seed", str(seed)])
        capsys.readouterr()
        after, fresh = sides(out), sides(tmp_path / "fresh")
        shutil.rmtree(tmp_path / "fresh")
        assert {digest: after[digest] for digest in before[seed]} == before[seed]
        assert after.keys() == fresh.keys()
        moved += sum(fresh[digest] != side for digest, side in before[seed].items())
    assert moved  # else the test could not fail
    assert sorted(p.name for p in tmp_path.iterdir()) == [*(out.name for out in outs.values()), "pictures"]


def test_the_same_folders_are_recognised_from_any_working_directory(
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
        main(["data", "split", "pictures", "../out", "--copy"])  # another folder with the same name
    assert stop.value.code == 2
    assert "split of other images" in capsys.readouterr().err
    assert sides(tmp_path / "out") == before


@pytest.mark.parametrize("command", [["data", "split", "../pictures", "."], ["data", "demo", "."]])
def test_the_working_directory_is_refused_as_target(
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
    assert "current folder cannot be replaced" in capsys.readouterr().err


def test_a_link_to_an_earlier_split_is_followed(tmp_path: Path, images: Path) -> None:
    main(["data", "split", str(images), str(tmp_path / "real")])
    (tmp_path / "link").symlink_to(tmp_path / "real")
    before = sides(tmp_path / "real")
    add_images(images)
    for _ in range(2):
        main(["data", "split", str(images), str(tmp_path / "link")])
    assert (tmp_path / "link").is_symlink()
    assert {digest: sides(tmp_path / "real")[digest] for digest in before} == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "pictures", "real"]


def test_old_images_that_must_change_sides_are_named(
    tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    main(["data", "split", str(images), str(out)])
    samples = json.loads((out / "manifest.json").read_text())["samples"]
    val_image = next(s["source"] for s in samples if s["split"] == "val")
    train_image = next(s["source"] for s in samples if s["split"] == "train")
    rows = [f"{s['source']},{'tied' if s['source'] in (val_image, train_image) else s['source']}" for s in samples]
    (tmp_path / "groups.csv").write_text("file,group\n" + "\n".join(rows) + "\n")
    main(["data", "split", str(images), str(out), "--group-file", str(tmp_path / "groups.csv")])
    output = " ".join(capsys.readouterr().err.split())
    assert f"changed sides, because groups or a given val/ tie them: 1 ({val_image})" in output


def test_files_that_a_new_split_would_delete_are_kept(
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


def test_last_copies_are_kept_and_edited_hard_links_are_replaced(
    tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    main(["data", "split", str(images), str(out)])
    removed = images / "class-1" / "000.png"
    content = removed.read_bytes()
    removed.unlink()
    with pytest.raises(SystemExit) as stop:
        main(["data", "split", str(images), str(out)])
    assert stop.value.code == 2
    assert "may be their last copies" in " ".join(capsys.readouterr().err.split())
    assert len(files(out)) == 37
    main(["data", "split", str(images), str(tmp_path / "new"), "--keep-split", str(out / "manifest.json")])
    assert sides(tmp_path / "new").items() <= sides(out).items()
    removed.write_bytes(content)
    (out / "train" / ".DS_Store").write_bytes(b"")
    edited = images / "class-0" / "000.png"  # in place, so that the hard link in the split changes too
    edited.write_bytes((images / "class-0" / "001.png").read_bytes())
    (images / "class-2" / "000.png").write_bytes(b"")  # left out from now on; also a hard link
    main(["data", "split", str(images), str(out), "--on-bad", "leave-out"])
    assert len(sides(out)) == 34  # two are now equal, and one is left out
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


def test_killed_between_the_two_renames_the_earlier_split_is_still_found(tmp_path: Path, images: Path) -> None:
    out = tmp_path / "out"
    main(["data", "split", str(images), str(out)])
    before = sides(out)
    out.replace(tmp_path / ".headtohead-old-out")
    out.mkdir()  # as a user might who finds the folder missing
    add_images(images)
    main(["data", "split", str(images), str(out)])
    after = sides(out)
    assert {digest: after[digest] for digest in before} == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "pictures"]
