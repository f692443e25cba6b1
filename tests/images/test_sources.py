"""Folders, lists and tar files give their images shard by shard; whatever is odd in them is named."""

import io
import os
import tarfile
from pathlib import Path

import pytest
from conftest import paint

from headtohead.core.errors import BadData
from headtohead.images.decode import Unreadable
from headtohead.images.sources import Shard, cut_list, find_shards, tar_items, write_list


def names(shards: list[Shard]) -> list[tuple[str, str]]:
    return [(item.file, item.label) for shard in shards for item in shard.items()]


def test_a_folder_is_read_in_order_at_any_depth_and_a_list_of_it_is_cut(tmp_path: Path) -> None:
    root = paint(tmp_path / "data", classes=2, per_class=3)
    (root / "notes.txt").write_text("")
    (root / ".hidden.png").write_bytes(b"")
    (root / "class-0" / "deeper").mkdir()
    odd = b"\xff \xd1\x8f.PNG"  # neither UTF-8 nor ASCII
    Path(os.fsdecode(bytes(root) + b"/class-0/deeper/" + odd)).write_bytes(b"x")
    assert write_list(root, tmp_path / "list") == (7, 2)
    expected = [(f"class-{c}/{n:03d}.png", f"class-{c}") for c in range(2) for n in range(3)]
    expected.insert(3, (os.fsdecode(b"class-0/deeper/" + odd), "deeper"))
    for size in (1, 2, 3, 7, 100):
        shards = cut_list(tmp_path / "list", root, size)
        assert [shard.count for shard in shards] == [size] * (7 // size) + [7 % size] * (7 % size > 0)
        assert names(shards) == expected
    item = next(iter(shards[0].items()))
    assert item.load() == (root / "class-0/000.png").read_bytes()


def test_a_list_names_files_beside_it_or_anywhere_with_labels_or_without(tmp_path: Path) -> None:
    root = paint(tmp_path / "data", classes=1, per_class=2)
    (root / "list.txt").write_text(f"class-0/000.png\ta cat\r\n{root}/class-0/001.png\nmissing.png")
    kind, shards = find_shards(root / "list.txt", tmp_path / "unused", 2)
    assert (kind, len(shards)) == ("list", 2)
    assert names(shards) == [("class-0/000.png", "a cat"), (f"{root}/class-0/001.png", ""), ("missing.png", "")]
    *items, missing = (item for shard in shards for item in shard.items())
    assert all(item.load().startswith(b"\x89PNG") for item in items)
    with pytest.raises(FileNotFoundError):
        missing.load()
    assert not (tmp_path / "unused").exists()


def test_a_name_that_a_list_cannot_hold_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a\nb.png").write_bytes(b"")
    with pytest.raises(BadData, match=r"line break: a\\nb.png"):
        write_list(tmp_path / "data", tmp_path / "list")
    assert not (tmp_path / "list").exists()


def test_a_file_that_is_no_text_is_no_list(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"a.png\nb\0.png\n")
    with pytest.raises(BadData, match="zero byte"):
        find_shards(tmp_path / "list", tmp_path / "unused", 1)


@pytest.mark.parametrize("empty", ["folder", "list"])
def test_nothing_in_it(tmp_path: Path, empty: str) -> None:
    source = tmp_path / "empty"
    source.mkdir() if empty == "folder" else source.write_text("")
    with pytest.raises(BadData, match="no images"):
        find_shards(source, tmp_path / "list", 2)


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def test_a_tar_file_has_samples_with_labels_and_nothing_is_unpacked(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "b.tar", "w") as tar:
        add(tar, "one.cls", b"3\n")
        add(tar, "one.jpg", b"first")
        add(tar, "x/two.seg.png", b"second")
        add(tar, "x/two.cls", b"dog")
        add(tar, "../../out.png", b"third")
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        add(tar, "only.png", b"only")
    kind, shards = find_shards(tmp_path, tmp_path / "unused", 2)
    assert (kind, [Path(shard.source).name for shard in shards]) == ("tar", ["a.tar", "b.tar"])
    found = [(item.file, item.label, item.load()) for shard in shards for item in shard.items()]
    expected = [("one.jpg", "3", b"first"), ("x/two.seg.png", "dog", b"second"), ("../../out.png", "", b"third")]
    assert found == [("only.png", "", b"only"), *expected]
    assert {path.name for path in tmp_path.iterdir()} == {"a.tar", "b.tar"}
    assert find_shards(tmp_path / "b.tar", tmp_path / "unused", 2)[1] == shards[1:]


def test_a_damaged_tar_file_gives_what_is_before_the_damage(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name in ("a.png", "b.png"):
            add(tar, name, b"x" * 3000)
    content = (tmp_path / "a.tar").read_bytes()
    for damaged in (content[:4500], content[: 512 + 3072] + b"\x01" * 600, content[:3584], b"no"):
        (tmp_path / "a.tar").write_bytes(damaged)
        problems = []
        for item in tar_items(tmp_path / "a.tar"):
            try:
                assert (item.file, item.load()) == ("a.png", b"x" * 3000)
            except Unreadable as error:
                problems.append(str(error))
        assert problems
        assert "damaged" in problems[-1]


def test_the_state_of_a_shard_follows_names_labels_sizes_and_times(tmp_path: Path) -> None:
    root = paint(tmp_path / "data", classes=1, per_class=2)
    (tmp_path / "list").write_text("class-0/000.png\tcat\nclass-0/001.png\tcat\n")
    (shard,) = cut_list(tmp_path / "list", root, 5)
    states = [shard.state()]
    assert shard.state() == states[0]
    os.utime(root / "class-0/001.png", ns=(1, 1))
    states.append(shard.state())
    (root / "class-0/001.png").unlink()
    states.append(shard.state())
    (tmp_path / "list").write_text("class-0/000.png\tdog\nclass-0/001.png\tcat\n")
    states.append(shard.state())
    assert len({*states}) == 4
