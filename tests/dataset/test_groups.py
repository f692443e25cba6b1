"""Groups by file name, sub-folder and table, and the errors of each."""

import json
from pathlib import Path

import pytest

from headtohead.audit.duplicates.candidates import Pair
from headtohead.audit.image_info import ImageInfo
from headtohead.audit.inspect import InspectedImage
from headtohead.core.errors import BadData, BadSettings, RunFolderMismatch
from headtohead.core.files import read_json, write_json
from headtohead.dataset.groups import group_images, group_names, split_warnings
from headtohead.dataset.index import Index, build_index, earlier_split, read_index
from headtohead.images.folder import ImagePath
from headtohead.settings.rules import validate
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Data, Settings

FILES = ["a/p1_x.png", "a/p1_y.png", "a/v/p2_x.png", "a/v/p3.png", "b/p2_z.png", "b/q.png"]
IMAGES = [InspectedImage(ImagePath(file, file[0], ""), f"{n}" * 64, ImageInfo()) for n, file in enumerate(FILES)]


def together(settings: Data, *pairs: Pair) -> set[frozenset[str]]:
    groups = group_images(IMAGES, pairs, settings).tolist()
    sets = {frozenset(f for f, g in zip(FILES, groups, strict=True) if g == group) for group in groups}
    return {s for s in sets if len(s) > 1}


def test_by_pattern_across_classes() -> None:
    assert together(Data(group_pattern=r"/(p\d+)_")) == {
        frozenset(("a/p1_x.png", "a/p1_y.png")), frozenset(("a/v/p2_x.png", "b/p2_z.png")),
    }  # fmt: skip


def test_by_folder_below_the_class() -> None:
    assert together(Data(group_by_folder=True)) == {frozenset(("a/v/p2_x.png", "a/v/p3.png"))}


def test_rules_and_pairs_are_joined() -> None:
    near = Pair(3, 5, "near", 1.0, "")
    assert together(Data(group_pattern=r"/(p\d+)_", group_by_folder=True), near) == {
        frozenset(("a/p1_x.png", "a/p1_y.png")),
        frozenset(("a/v/p2_x.png", "a/v/p3.png", "b/p2_z.png", "b/q.png")),
    }


def test_by_table_and_all_problems_of_a_table(tmp_path: Path) -> None:
    table = tmp_path / "groups.csv"
    table.write_text("file,group\n" + "".join(f"{f},{n // 2}\n" for n, f in enumerate(FILES)))
    assert together(Data(group_file=str(table))) == {frozenset(FILES[:2]), frozenset(FILES[2:4]), frozenset(FILES[4:])}
    table.write_text("file,group\na/p1_x.png,1\na/p1_x.png,2\na/p1_y.png,\nnowhere.png,3\n")
    with pytest.raises(BadData) as error:
        together(Data(group_file=str(table)))
    for line in (
        "a/p1_x.png: 2 times",
        "a/p1_y.png: no group",
        "nowhere.png: not in the data",
        "b/q.png: not in the group",
    ):
        assert line in str(error.value)
    table.write_text("name,set\n")
    with pytest.raises(BadData, match="columns"):
        together(Data(group_file=str(table)))
    with pytest.raises(BadData, match="cannot be read"):
        together(Data(group_file=str(tmp_path / "missing.csv")))


def test_invalid_patterns_are_refused() -> None:
    for pattern in ("(", "p", "(a)(b)"):
        with pytest.raises(BadSettings, match="group_pattern"):
            validate(Settings(data=Data(group_pattern=pattern)))
    with pytest.raises(BadData, match="matches no file name"):
        together(Data(group_pattern="(zzz)"))


def test_names_and_warnings() -> None:
    assert group_names(IMAGES[:3], [0, 0, 1]) == {FILES[0]: "0" * 12, FILES[1]: "0" * 12, FILES[2]: ""}
    splits = {"train": IMAGES[:4], "tune": IMAGES[1:2], "val": IMAGES[4:]}
    warnings = split_warnings(IMAGES, [0, 1, 2, 3, 4, 5], splits, ["a", "b"])
    assert any("in tune" in w and w.endswith("b") for w in warnings)
    assert any("in val" in w and w.endswith("a") for w in warnings)
    given = [IMAGES[0], InspectedImage(ImagePath("val/a/x", "a", "val"), "9", ImageInfo())]
    assert any("as given: 1" in w for w in split_warnings(given, [0, 0], {"tune": [], "val": []}, []))


def test_warnings_about_the_split_are_kept_with_the_index(images: Path) -> None:
    index = build_index(images, "x", Data(group_pattern="(class-0)/"))
    assert any("in val" in warning and warning.endswith("class-0") for warning in index.split_warnings)
    assert Index.from_json(json.loads(json.dumps(index.to_json()))).split_warnings == index.split_warnings


def test_an_unreadable_earlier_split_is_refused(tmp_path: Path, images: Path) -> None:
    (tmp_path / "x.json").write_text("[]")
    for file in (tmp_path / "x.json", tmp_path / "missing.json"):
        with pytest.raises(BadData, match="earlier split"):
            build_index(images, "x", Data(keep_split=str(file)))
    assert earlier_split("") == {}


def test_data_json_of_another_version_is_refused(images: Path, tmp_path: Path) -> None:
    run, index = RunDir(tmp_path / "run"), build_index(images, "x", Data())
    write_json(run.data, index.to_json())
    assert read_index(run) == index
    content = read_json(run.data)
    sample = content["samples"][0]
    for invalid in (
        {key: value for key, value in content.items() if key != "layout"},
        content | {"of_a_later_version": 1},
        content | {"samples": [sample | {"of_a_later_version": 1}]},
        content | {"samples": [{"file": "a"}]},
    ):
        write_json(run.data, invalid)
        with pytest.raises(RunFolderMismatch, match="cannot be read") as error:
            read_index(run)
        assert "--out" in error.value.fix
    for other in ({}, {"format": 1}, ["not a table"]):
        write_json(run.data, other)
        with pytest.raises(RunFolderMismatch, match="Another version of headtohead made this run") as error:
            run.adopt(Settings())
        assert "--out" in error.value.fix
    run.data.write_text("{")
    with pytest.raises(RunFolderMismatch, match="list of checksums is lost"):
        run.adopt(Settings())
