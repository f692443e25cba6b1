"""Shards: read back unchanged, rejected when damaged, bounded, and safe with other processes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from headtohead.core.array_store import Store, discard, make_room

RNG = np.random.default_rng(0)
ARRAYS = {f"key-{n}": RNG.integers(0, 256, (5 + n, 7, 3), dtype=np.uint8) for n in range(6)}
NO_BOUND = 10**9


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "kind" / "one", NO_BOUND)


def shards(store: Store) -> list[Path]:
    return sorted(store.folder.parent.rglob("*.safetensors"))


def same(arrays: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> bool:
    return arrays.keys() == expected.keys() and all((arrays[key] == expected[key]).all() for key in arrays)


def test_stored_arrays_are_read_back_to_the_bit(store: Store) -> None:
    assert store.find(ARRAYS) == {}
    assert same(store.add(ARRAYS), ARRAYS)
    assert same(store.find(ARRAYS), ARRAYS)
    assert same(store.find(["key-3", "unknown"]), {"key-3": ARRAYS["key-3"]})
    assert same(load_file(shards(store)[0]), ARRAYS)  # the library's own reader
    assert Store(store.folder.with_name("other"), NO_BOUND).find(ARRAYS) == {}


def test_float_arrays_are_stored_too(store: Store) -> None:
    rows = {"a": RNG.normal(size=(3, 192)).astype(np.float32), "b": np.zeros((0, 4), np.float32)}
    store.add(rows)
    assert same(store.find(rows), rows)


def test_stored_arrays_are_read_only(store: Store) -> None:
    with pytest.raises(ValueError, match="read-only"):
        store.add(ARRAYS)["key-0"][0] = 1


def test_the_same_arrays_make_one_shard(store: Store) -> None:
    first = store.add(ARRAYS)
    assert same(store.add(ARRAYS), first)
    assert len(shards(store)) == 1


def damage(content: bytes) -> dict[str, bytes]:
    flip = lambda at: content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]  # noqa: E731
    header = int.from_bytes(content[:8], "little")
    return {
        "a bit of the first pixel": flip(8 + header),
        "a bit of the last pixel": flip(len(content) - 1),
        "a bit of the header": flip(12),
        "another header of valid JSON": content.replace(b"[5, 7, 3]", b"[7, 5, 3]"),
        "a header that is not an object": (2).to_bytes(8, "little") + b"12" + content,
        "a length of 2^63": (2**63).to_bytes(8, "little") + content[8:],
        "cut in the middle": content[: len(content) // 2],
        "cut by a byte": content[:-1],
        "zeros, as after a power failure": bytes(len(content)),
        "longer": content + b"0",
        "nothing": b"",
    }


@pytest.mark.parametrize("kind", list(damage(b"\x04" + bytes(20))))
def test_a_damaged_shard_is_rejected_and_rebuilt(store: Store, kind: str) -> None:
    store.add(ARRAYS)
    (path,) = shards(store)
    intact = path.read_bytes()
    broken = damage(intact)[kind]
    assert broken != intact
    path.write_bytes(broken)
    assert store.find(ARRAYS) == {}
    assert same(store.add(ARRAYS), ARRAYS)
    assert path.read_bytes() == intact
    assert same(store.find(ARRAYS), ARRAYS)


def array(key: str) -> dict[str, np.ndarray]:
    return {key: RNG.integers(0, 256, (10, 10, 10), dtype=np.uint8)}


def set_last_use(store: Store, key: str, seconds: int) -> None:
    for path in shards(store):
        if key in load_file(path):
            os.utime(path, (seconds, seconds))


def test_the_least_recently_used_is_evicted_first_and_the_bound_holds(tmp_path: Path) -> None:
    stores = [Store(tmp_path / "kind" / name, 3500) for name in ("a", "b")]  # one bound for both
    for number, key in enumerate(("old", "used", "new")):
        stores[number % 2].add(array(key))
        set_last_use(stores[0], key, number)
    assert stores[1].find(["used"])  # now the most recently used
    stores[0].add(array("more"))
    assert sum(path.stat().st_size for path in shards(stores[0])) <= 3500
    assert stores[0].find(["old", "new", "more"]).keys() == {"new", "more"}
    assert stores[1].find(["used"])


def test_shards_in_use_are_never_evicted(tmp_path: Path) -> None:
    store = Store(tmp_path / "kind" / "one", 2500)
    in_use = [store.add(array(key)) for key in ("a", "b")]
    assert store.add(array("c")) == {}  # no shard can be evicted for it
    assert store.find(["a", "b"]).keys() == {"a", "b"}
    del in_use[0]  # the oldest is no longer used
    assert store.add(array("c"))
    assert store.find(["a", "b", "c"]).keys() == {"b", "c"}


def test_arrays_larger_than_the_bound_evict_nothing(tmp_path: Path) -> None:
    Store(tmp_path / "kind" / "one", 2500).add(array("a"))
    assert Store(tmp_path / "kind" / "one", 500).add(array("b")) == {}
    assert len(list(tmp_path.rglob("*.safetensors"))) == 1


def test_leftovers_of_a_killed_writer_count_and_are_deleted(tmp_path: Path) -> None:
    store = Store(tmp_path / "kind" / "one", 2500)
    store.folder.mkdir(parents=True)
    leftover = store.folder / ".tmp-1-x.safetensors"
    leftover.write_bytes(bytes(2000))
    os.utime(leftover, (1, 1))
    assert store.find(["x"]) == {}
    assert store.add(array("a"))
    assert not leftover.exists()


def test_nothing_is_stored_in_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "kind").write_text("a file where a folder should be")
    assert Store(tmp_path / "kind" / "one", NO_BOUND).add(ARRAYS) == {}


def test_arrays_stay_valid_when_the_folder_is_cleared(store: Store) -> None:
    arrays = store.add(ARRAYS)
    for path in shards(store):
        path.unlink()
    store.folder.rmdir()
    assert same(arrays, ARRAYS)
    assert same(store.add(ARRAYS), ARRAYS)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows itself refuses to delete a mapped file")
def test_a_shard_is_protected_until_the_process_that_uses_it_ends(store: Store) -> None:
    store.add(ARRAYS)
    (path,) = shards(store)
    code = (
        "import sys; from pathlib import Path; from headtohead.core.array_store import Store; "
        f"used = Store(Path({str(store.folder)!r}), 1).find(['key-0']); print(len(used), flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "1\n"
    assert not discard(path)
    assert not make_room(store.folder.parent, 1, 10)
    assert path.exists()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert make_room(store.folder.parent, 1, 10)
    assert not path.exists()
