"""Data sets, from small archives of their layouts on a server on this machine to folders of images."""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from local_server import Site, serving
from PIL import Image
from scipy.io import savemat
from test_archive import special, tar, zipped

from headtohead.cli.app import main
from headtohead.core.errors import BadData, BadSettings, DownloadFailed
from headtohead.images.fetch.catalogue import SETS, DataSet, named
from headtohead.images.fetch.fetch import fetch
from headtohead.images.fetch.layouts import CIFAR10
from headtohead.images.folder import scan

BATCHES = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")


def jpeg(seed: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(out, "JPEG")
    return out.getvalue()


def mat(**arrays: list[int]) -> bytes:
    out = io.BytesIO()
    savemat(out, {name: np.array([values], dtype=np.uint16) for name, values in arrays.items()})
    return out.getvalue()


def imagenette(folder: Path) -> dict[str, int]:
    names = [f"imagenette2-160/{split}/{wnid}/ILSVRC_{i}.JPEG" for split, count in (("train", 3), ("val", 2))
             for wnid in ("n01440764", "n03888257") for i in range(count)]  # fmt: skip
    extra = [("imagenette2-160/noisy.csv", b"1"), ("imagenette2-160/train/n01440764/._ILSVRC_0.JPEG", b"no image")]
    entries = [(name, jpeg(i)) for i, name in enumerate(names)]
    tar(folder / "imagenette2-160.tgz", special(b"5", "imagenette2-160"), *extra, *entries)
    return {"train": 6, "val": 4}


def cifar_rows(batch: int) -> np.ndarray:
    rows = np.random.default_rng(batch).integers(0, 256, (4, 3073), dtype=np.uint8)
    rows[:, 0] = [2 * batch % 10, (2 * batch + 1) % 10, 9, 0]
    return rows


def cifar10(folder: Path) -> dict[str, int]:
    entries = [(f"cifar-10-batches-bin/{name}.bin", cifar_rows(i).tobytes()) for i, name in enumerate(BATCHES)]
    tar(folder / "cifar-10-binary.tar.gz", ("cifar-10-batches-bin/readme.html", b"<p>"), *entries)
    return {"train": 20, "val": 4}


def eurosat(folder: Path) -> dict[str, int]:
    names = [f"2750/{cls}/{cls}_{i}.jpg" for cls in ("AnnualCrop", "SeaLake") for i in range(1, 4)]
    ballast = ("2750/notes.bin", np.random.default_rng(0).bytes(200_000))
    zipped(folder / "EuroSAT.zip", ("2750/", b""), ballast, *((name, jpeg(i)) for i, name in enumerate(names)))
    return {"": 6}


def flowers102(folder: Path) -> dict[str, int]:
    entries = [(f"jpg/image_{i:05d}.jpg", jpeg(i)) for i in range(1, 9)]
    tar(folder / "102flowers.tgz", *entries, mode="w")  # named .tgz, but a plain tar
    (folder / "imagelabels.mat").write_bytes(mat(labels=[77, 77, 2, 2, 77, 2, 77, 2]))
    (folder / "setid.mat").write_bytes(mat(trnid=[1, 3], valid=[2, 4], tstid=[8, 7, 6, 5]))
    return {"train": 4, "val": 4}


def pets(folder: Path) -> dict[str, int]:
    stems = ["Abyssinian_1", "Abyssinian_2", "basset_hound_1", "basset_hound_2", "basset_hound_20"]
    entries = [(f"images/{stem}.jpg", jpeg(i)) for i, stem in enumerate([*stems, "Abyssinian_99"])]
    tar(folder / "images.tar.gz", *entries, ("images/Abyssinian_100.mat", b"MATLAB"))
    lists = {
        "trainval": "Abyssinian_1 1 1 1\nbasset_hound_1 2 2 1\nbasset_hound_20 2 2 1\n",
        "test": "# a comment\nAbyssinian_2 1 1 1\nbasset_hound_2 2 2 1\n",
        "list": "Abyssinian_99 1 1 1\n",
    }
    tar(folder / "annotations.tar.gz", *((f"annotations/{name}.txt", text.encode()) for name, text in lists.items()))
    return {"train": 3, "val": 2}


def beans(folder: Path) -> dict[str, int]:
    for number, (part, count) in enumerate((("train", 3), ("validation", 1), ("test", 2))):
        names = [f"{part}/{cls}/{cls}_{part}.{i}.jpg" for cls in ("bean_rust", "healthy") for i in range(count)]
        apple = ("__MACOSX/train/healthy/._x.jpg", b"no image")
        zipped(folder / f"{part}.zip", apple, *((name, jpeg(10 * number + i)) for i, name in enumerate(names)))
    return {"train": 8, "val": 4}


SMALL = {"imagenette-160": imagenette, "cifar-10": cifar10, "eurosat-rgb": eurosat, "flowers-102": flowers102,
         "oxford-iiit-pet": pets, "beans": beans}  # fmt: skip
CLASSES = {"imagenette-160": {"tench", "parachute"}, "cifar-10": set(CIFAR10), "beans": {"bean_rust", "healthy"},
           "eurosat-rgb": {"AnnualCrop", "SeaLake"}, "flowers-102": {"class-002", "class-077"},
           "oxford-iiit-pet": {"Abyssinian", "basset_hound"}}  # fmt: skip


def resealed(data_set: DataSet, folder: Path) -> DataSet:
    """The entry with sizes and sums of the files that lie in `folder`."""
    contents = {file.name: (folder / file.name).read_bytes() for file in data_set.files}
    files = tuple(
        replace(file, size=len(contents[file.name]), sha256=hashlib.sha256(contents[file.name]).hexdigest())
        for file in data_set.files
    )
    return replace(data_set, files=files)


def small(name: str, folder: Path) -> DataSet:
    """The entry of `name` with small archives, written to `folder`, in place of the published ones."""
    folder.mkdir(exist_ok=True)
    images = SMALL[name](folder)
    return resealed(replace(named(name), images=images, classes=len(CLASSES[name])), folder)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headtohead.images.fetch.download.PAUSE_S", 0.0)
    for variable in ("HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as one:
        yield one


def publish(site: Site, folder: Path) -> None:
    site.files = {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("name", SMALL)
def test_every_layout_becomes_a_folder_of_images(name: str, site: Site, tmp_path: Path) -> None:
    data_set = small(name, tmp_path / "published")
    publish(site, tmp_path / "published")
    target = tmp_path / "new" / "images"
    assert fetch(data_set, target, mirror=site.address + "/") == target
    folder = scan(target)
    assert set(folder.classes) == CLASSES[name]
    assert folder.layout == ("flat" if name == "eurosat-rgb" else "split")
    assert folder.ignored == ("manifest.json",)
    found = {split: sum(file.split == split for file in folder.files) for split in data_set.images}
    assert found == data_set.images
    for file in folder.files:
        with Image.open(target / file.file) as image:
            image.load()
    manifest = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
    assert {split or "all": count for split, count in data_set.images.items()} == {
        split: sum(of_class.values()) for split, of_class in manifest["images"].items()
    }
    assert [entry["source"] for entry in manifest["files"]] == [f"{site.address}/{f.name}" for f in data_set.files]
    assert [entry["sha256"] for entry in manifest["files"]] == [f.sha256 for f in data_set.files]
    assert {"licence", "citation", "homepage", "val", "fetched", "sums_published_by"} < set(manifest)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["images"]


def test_every_entry_of_the_catalogue_is_tried_above_and_is_whole() -> None:
    assert {entry.name for entry in SETS} == set(SMALL)
    for entry in SETS:
        for file in entry.files:
            assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
            assert file.size > 0
            assert all(url.startswith("https://") and url.endswith(f"/{file.name}") for url in file.urls)


def written(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg")}


def test_labels_splits_and_pixels_are_the_published_ones(tmp_path: Path) -> None:
    published = tmp_path / "published"
    fetch(small("flowers-102", published), tmp_path / "flowers", archives=published)
    assert written(tmp_path / "flowers") == {
        f"{part}/image_0000{i}.jpg"
        for part, numbers in (("train/class-077", (1, 2)), ("train/class-002", (3, 4)),
                              ("val/class-077", (5, 7)), ("val/class-002", (6, 8)))
        for i in numbers
    }  # fmt: skip
    assert (tmp_path / "flowers/val/class-002/image_00008.jpg").read_bytes() == jpeg(8)

    fetch(small("oxford-iiit-pet", published), tmp_path / "pets", archives=published)
    assert written(tmp_path / "pets") == {
        "train/Abyssinian/Abyssinian_1.jpg", "train/basset_hound/basset_hound_1.jpg",
        "train/basset_hound/basset_hound_20.jpg", "val/Abyssinian/Abyssinian_2.jpg",
        "val/basset_hound/basset_hound_2.jpg",
    }  # fmt: skip

    fetch(small("cifar-10", published), tmp_path / "cifar", archives=published)
    for number, batch in enumerate(BATCHES):
        for row_number, row in enumerate(cifar_rows(number)):
            split, cls = "val" if batch == "test_batch" else "train", CIFAR10[row[0]]
            with Image.open(tmp_path / "cifar" / split / cls / f"{batch}-{row_number:05d}.png") as image:
                red, green, blue = np.moveaxis(np.asarray(image), 2, 0)
            assert red.ravel().tolist() == row[1:1025].tolist()
            assert green.ravel().tolist() == row[1025:2049].tolist()
            assert blue.ravel().tolist() == row[2049:].tolist()


def test_addresses_are_tried_in_order_and_the_one_used_is_recorded_without_its_key(site: Site, tmp_path: Path) -> None:
    data_set = small("eurosat-rgb", tmp_path / "published")
    publish(site, tmp_path / "published")
    addresses = (f"{site.address}/gone.zip", f"http://me:secret@{site.address[7:]}/EuroSAT.zip?key=secret")
    fetch(replace(data_set, files=(replace(data_set.files[0], urls=addresses),)), tmp_path / "images")
    text = (tmp_path / "images" / "manifest.json").read_text(encoding="utf-8")
    assert json.loads(text)["files"][0]["source"] == f"{site.address}/EuroSAT.zip"
    assert "secret" not in text


def test_wrong_bytes_are_refused_with_both_sums(site: Site, tmp_path: Path) -> None:
    data_set = small("eurosat-rgb", tmp_path / "published")
    right = (tmp_path / "published" / "EuroSAT.zip").read_bytes()
    wrong = right[:-1] + bytes([right[-1] ^ 1])
    site.files["EuroSAT.zip"] = wrong
    with pytest.raises(DownloadFailed) as error:
        fetch(data_set, tmp_path / "images", url=f"{site.address}/EuroSAT.zip")
    for sum_ in (hashlib.sha256(wrong).hexdigest(), data_set.files[0].sha256, "--archives", "--mirror", "was deleted"):
        assert sum_ in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["published"]
    assert len(site.asked) == 1
    site.files["EuroSAT.zip"] = right
    fetch(data_set, tmp_path / "images", url=f"{site.address}/EuroSAT.zip")
    assert len(scan(tmp_path / "images").files) == 6


def test_a_part_of_another_version_is_found_out_and_fetched_anew(site: Site, tmp_path: Path) -> None:
    data_set = small("eurosat-rgb", tmp_path / "published")
    publish(site, tmp_path / "published")
    site.heeds_if_range = False  # continues what is another version, as a careless server does
    part = tmp_path / ".tmp-images-eurosat-rgb" / "files" / "EuroSAT.zip.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(bytes(500))
    fetch(data_set, tmp_path / "images", mirror=site.address)
    assert [wanted for _, wanted in site.asked] == ["bytes=500-", ""]
    assert len(scan(tmp_path / "images").files) == 6


def test_no_network_names_host_and_ways_out(tmp_path: Path) -> None:
    data_set = small("beans", tmp_path / "published")
    files = tuple(replace(file, urls=("http://127.0.0.1:9/train.zip",)) for file in data_set.files)
    with pytest.raises(DownloadFailed, match=r"127\.0\.0\.1 cannot be reached") as error:
        fetch(replace(data_set, files=files), tmp_path / "images")
    assert "--mirror" in error.value.mend
    assert [path.name for path in tmp_path.iterdir()] == ["published"]  # nothing came, nothing stays


KILLED = """
import dataclasses, sys
from pathlib import Path
sys.path[:0] = [{tests!r}]
from test_fetch import resealed, named
from headtohead.images.fetch.fetch import fetch
published = Path({published!r})
entry = dataclasses.replace(named("eurosat-rgb"), images={{"": 6}}, classes=2)
fetch(resealed(entry, published), Path({target!r}), mirror={mirror!r})
"""


def test_killed_in_the_download_the_same_command_continues(site: Site, tmp_path: Path) -> None:
    data_set = small("eurosat-rgb", tmp_path / "published")
    publish(site, tmp_path / "published")
    site.cuts, site.stalls = [100_000], True
    target = tmp_path / "images"
    code = KILLED.format(
        tests=str(Path(__file__).parent), published=str(tmp_path / "published"), target=str(target), mirror=site.address
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "NO_PROXY": "127.0.0.1"}
    part = tmp_path / ".tmp-images-eurosat-rgb" / "files" / "EuroSAT.zip.part"
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline and not (part.exists() and part.stat().st_size):
            time.sleep(0.02)
        process.kill()
    assert not target.exists()
    came = part.stat().st_size
    assert 0 < came <= 100_000
    site.stalls = False
    fetch(data_set, target, mirror=site.address)
    assert site.asked[-1][1] == f"bytes={came}-"
    assert len(scan(target).files) == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "published"]


def test_killed_in_the_writing_the_same_command_needs_no_server(site: Site, tmp_path: Path) -> None:
    data_set = small("beans", tmp_path / "published")
    publish(site, tmp_path / "published")

    def killed(folder: Path) -> Iterator[object]:
        pictures = data_set.layout(folder)
        yield next(pictures)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(replace(data_set, layout=killed), tmp_path / "images", mirror=site.address)
    assert not (tmp_path / "images").exists()
    site.files, asked = {}, len(site.asked)
    fetch(data_set, tmp_path / "images", mirror=site.address)
    assert len(site.asked) == asked
    assert len(scan(tmp_path / "images").files) == 12


def test_two_calls_at_once_do_not_write_one_file(site: Site, tmp_path: Path) -> None:
    data_set = small("beans", tmp_path / "published")
    publish(site, tmp_path / "published")
    unfinished = tmp_path / ".tmp-images-beans"
    unfinished.mkdir()
    with FileLock(unfinished / "lock"):
        for other in ({"mirror": site.address}, {"archives": tmp_path / "published"}):
            with pytest.raises(BadData, match="Another call") as error:
                fetch(data_set, tmp_path / "images", **other)  # type: ignore[arg-type]
            assert error.value.where == str(unfinished)
    assert site.asked == []
    fetch(data_set, tmp_path / "images", mirror=site.address)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "published"]


def test_killed_between_the_last_name_and_the_cleaning_the_next_call_cleans(site: Site, tmp_path: Path) -> None:
    data_set = small("beans", tmp_path / "published")
    fetch(data_set, tmp_path / "images", archives=tmp_path / "published")
    (tmp_path / ".tmp-images-beans" / "files").mkdir(parents=True)
    with pytest.raises(BadData, match="not empty"):
        fetch(data_set, tmp_path / "images", mirror=site.address)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "published"]


def test_files_brought_from_elsewhere(tmp_path: Path) -> None:
    data_set = small("beans", tmp_path / "published")
    fetch(data_set, tmp_path / "images", archives=tmp_path / "published")
    assert len(list((tmp_path / "published").iterdir())) == 3
    (tmp_path / "published" / "train.zip").unlink()
    (tmp_path / "published" / "test.zip").write_bytes(b"x" * data_set.files[2].size)
    with pytest.raises(DownloadFailed) as error:
        fetch(data_set, tmp_path / "more", archives=tmp_path / "published")
    assert "train.zip: it is not there" in str(error.value)
    assert f"test.zip: its SHA-256 is {hashlib.sha256(b'x' * data_set.files[2].size).hexdigest()}" in str(error.value)
    assert "validation.zip:" not in str(error.value)


HOSTILE = {
    "climbs": ([("../../outside/a.jpg", jpeg(0))], "leads outside"),
    "absolute": ([("/tmp/headtohead-outside.jpg", jpeg(0))], "leads outside"),
    "drive": ([("C:\\outside.jpg", jpeg(0))], "leads outside"),
    "symbolic link": ([special(b"2", "2750/A/link.jpg", "../../../outside")], "is a link"),
    "hard link": ([special(b"1", "2750/A/link.jpg", "/etc/hostname")], "is a link"),
    "device": ([special(b"3", "2750/A/null.jpg")], "neither a file"),
    "bomb": ([("2750/A/a.jpg", bytes(20 * 2**20))], "times its size"),
    "twice": ([("2750/A/a.jpg", jpeg(0)), ("2750/A/./a.jpg", jpeg(0))], "twice"),
    "device name": ([("2750/CON/a.jpg", jpeg(0))], "every system"),
    "stream": ([("2750/A/a.jpg:b.jpg", jpeg(0))], "every system"),
    "escape": ([("2750/A/\x1b[2Ja.jpg", jpeg(0))], "every system"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_archive_leaves_nothing(case: str, site: Site, tmp_path: Path) -> None:
    entries, message = HOSTILE[case]
    tar(tmp_path / "EuroSAT.zip", *entries)
    data_set = resealed(replace(named("eurosat-rgb"), images={"": 6}, classes=2), tmp_path)
    site.files["EuroSAT.zip"] = (tmp_path / "EuroSAT.zip").read_bytes()
    (tmp_path / "work").mkdir()
    with pytest.raises(DownloadFailed, match=re.escape(message)):
        fetch(data_set, tmp_path / "work" / "images", mirror=site.address)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["EuroSAT.zip", "work"]
    assert not Path("/tmp/headtohead-outside.jpg").exists()


def test_other_images_than_expected(tmp_path: Path) -> None:
    data_set = small("eurosat-rgb", tmp_path / "published")
    for wrong in (replace(data_set, images={"": 7}), replace(data_set, classes=3)):
        with pytest.raises(BadData, match=r"hold \{'': 6\} images of 2 classes"):
            fetch(wrong, tmp_path / "images", archives=tmp_path / "published")
        assert not (tmp_path / "images").exists()


def test_one_name_in_two_parts_of_a_set_is_not_overwritten(tmp_path: Path) -> None:
    published = tmp_path / "published"
    small("beans", published)
    for part in ("train", "validation"):
        zipped(published / f"{part}.zip", (f"{part}/healthy/a.jpg", jpeg(0)))
    with pytest.raises(DownloadFailed, match=r"'healthy/a\.jpg' is in it twice"):
        fetch(resealed(named("beans"), published), tmp_path / "images", archives=published)


def test_files_that_are_not_what_their_layout_says(tmp_path: Path) -> None:
    published = tmp_path / "published"
    published.mkdir()

    def fails(name: str, message: str) -> None:
        with pytest.raises(DownloadFailed, match=re.escape(message)):
            fetch(resealed(named(name), published), tmp_path / "images", archives=published)
        assert not (tmp_path / "images").exists()

    tar(published / "imagenette2-160.tgz", ("imagenette2-160/train/n00000001/a.JPEG", jpeg(0)))
    fails("imagenette-160", "no class `n00000001`")
    tar(published / "cifar-10-binary.tar.gz", ("cifar-10-batches-bin/test_batch.bin", bytes(3072)))
    fails("cifar-10", "`test_batch.bin` is not rows")
    tar(published / "cifar-10-binary.tar.gz", ("cifar-10-batches-bin/data_batch_1.bin", b"\x0a" + bytes(3072)))
    fails("cifar-10", "labels 0 to 9")
    flowers102(published)
    tar(published / "102flowers.tgz", ("jpg/image_00009.jpg", jpeg(0)))
    fails("flowers-102", "`image_00009.jpg` has no class or no split")


def test_folders_and_flags_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").write_text("mine")
    entry = named("EuroSAT-RGB")
    with pytest.raises(BadData, match="not empty"):
        fetch(entry, tmp_path / "full")
    with pytest.raises(BadData, match="not empty"):
        fetch(entry, tmp_path / "full" / "a.txt")
    with pytest.raises(BadData, match="cannot be read or written"):
        fetch(entry, tmp_path / "full" / "a.txt" / "x")
    with pytest.raises(BadSettings, match="exclude each other"):
        fetch(entry, tmp_path / "x", url="https://a.example/x", mirror="https://a.example")
    with pytest.raises(BadSettings, match="several files"):
        fetch(named("beans"), tmp_path / "x", url="https://a.example/x")
    for address in ("ftp://a.example/x", "a.example/x", "https://", "http://a.example:x", "/tmp/x"):
        with pytest.raises(BadSettings, match="--mirror is not an"):
            fetch(entry, tmp_path / "x", mirror=address)
    assert not (tmp_path / "x").exists()


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    data_set = small("eurosat-rgb", tmp_path / "published")
    (tmp_path / "images").mkdir()
    fetch(data_set, tmp_path / "images", archives=tmp_path / "published")
    assert len(scan(tmp_path / "images").files) == 6


def test_commands(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    main(["data", "fetch"])
    listed = capsys.readouterr().out
    assert all(entry.name in listed for entry in SETS)
    for arguments, message in (
        (["cifar10", "x"], "Did you mean `cifar-10`?"), (["qqqq", "x"], "choose one of imagenette-160, cifar-10"),
        (["beans"], "No folder is named"), (["beans", str(tmp_path / "x"), "--archives", str(tmp_path)], "not there"),
    ):  # fmt: skip
        with pytest.raises(SystemExit):
            main(["data", "fetch", *arguments])
        assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_a_set(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, site: Site, tmp_path: Path
) -> None:
    data_set = small("beans", tmp_path / "published")
    publish(site, tmp_path / "published")
    monkeypatch.setattr("headtohead.images.fetch.catalogue.SETS", (data_set,))
    main(["data", "fetch", "Beans", str(tmp_path / "images"), "--mirror", site.address])
    shown = capsys.readouterr().err
    assert "SHA-256, as published by TensorFlow Datasets; licence: MIT" in " ".join(shown.split())
    assert len(scan(tmp_path / "images").files) == 12


@pytest.mark.parametrize("readme", ["README.md", "README.ru.md"])
def test_every_set_is_in_the_readmes(readme: str) -> None:
    text = (Path(__file__).parents[3] / readme).read_text(encoding="utf-8")
    for entry in SETS:
        row = next(line for line in text.splitlines() if line.startswith(f"| `{entry.name}` |"))
        thousands = "," if readme == "README.md" else " "
        for number in (entry.classes, *entry.images.values(), round(entry.size / 1e6)):
            assert re.search(rf"(?<!\d){number:,}(?!\d)".replace(",", thousands), row), (number, row)
