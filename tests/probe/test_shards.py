"""`headtohead features`: the features of a plain forward pass, whatever the source; changes and damage are noticed."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from conftest import BACKBONE, paint
from dask_cluster import dask_cluster
from safetensors.torch import save_file
from torch import nn

from headtohead.cli.app import main
from headtohead.core.cluster import connect
from headtohead.core.files import read_json, write_json
from headtohead.images.decode import decode
from headtohead.images.transforms import normalise, plain_views
from headtohead.models.backbones import load_backbone
from headtohead.models.weights import find_weights


@pytest.fixture
def line(tiny_weights: Path) -> list[str]:
    flags = ["--backbone", BACKBONE, "--weights", str(tiny_weights), "--precision", "fp32", "--device", "cpu"]
    return [*flags, "--processes", "1", "--shard-size", "10"]


def other(line: list[str], flag: str, value: str) -> list[str]:
    """The same command with another value of a flag."""
    return [value if before == flag else part for before, part in zip(["", *line], line, strict=False)]


def rows(out: Path) -> list[dict[str, str]]:
    """The lines of the index of all shards."""
    found = []
    for path in sorted(out.glob("features-*.csv")):
        with path.open(encoding="utf-8", newline="") as stream:
            found += [*csv.DictReader(stream)]
    return found


def values(out: Path) -> Any:
    return np.concatenate([np.load(path) for path in sorted(out.glob("features-*.npy"))])


def files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.glob("features-*.*") if path.suffix != ".json"}


def error(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as stop:
        main(["features", *arguments])
    assert stop.value.code == 2
    return capsys.readouterr().err


def test_features_are_those_of_a_plain_forward_pass_and_the_broken_are_listed(
    tmp_path: Path, line: list[str], tiny_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, out = paint(tmp_path / "data", classes=2, per_class=12), tmp_path / "out"
    (root / "class-0/005.png").write_bytes(b"no image")
    (root / "class-1/=1+1.png").write_bytes((root / "class-1/003.png").read_bytes()[:200])
    main(["features", str(root), str(out), *line])
    said = " ".join(capsys.readouterr().err.split())
    assert "23 images in 3 shards" in said
    assert "2 images cannot be read" in said

    index = rows(out)
    assert [row["file"] for row in index] == [
        *(f"class-0/{n:03d}.png" for n in range(12)), *(f"class-1/{n:03d}.png" for n in range(12)), "class-1/=1+1.png"
    ]  # fmt: skip
    assert {row["label"] for row in index} == {"class-0", "class-1"}
    good = [row for row in index if not row["problem"]]
    backbone = load_backbone(find_weights(BACKBONE, str(tiny_weights)))
    images = [decode((root / row["file"]).read_bytes())[0] for row in good]
    expected = backbone.net(normalise(plain_views(images, len(images), backbone.preprocess), backbone.preprocess))
    torch.testing.assert_close(torch.from_numpy(values(out)), expected, rtol=0, atol=1e-5)
    assert [int(row["row"]) for row in good] == [*range(9), *range(10), *range(4)]
    with (out / "broken.csv").open(newline="") as stream:
        lost = [(row["shard"], row["file"], row["problem"]) for row in csv.DictReader(stream)]
    assert [name for _, name, _ in lost] == ["class-0/005.png", "class-1/=1+1.png"]
    assert lost[0] == ("features-00000", "class-0/005.png", "not an image")
    about = read_json(out / "manifest.json")
    assert (about["pooling"], about["backbone"]["fingerprint"]) == (backbone.net.poolings[0], backbone.fingerprint)
    assert about["backbone"]["preprocess"] == read_json(out / "manifest.json")["backbone"]["preprocess"]
    assert read_json(out / "summary.json") == {"shards": 3, "images": 23, "broken": 2}


def test_every_source_and_every_engine_gives_the_same_bits(
    tmp_path: Path, line: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = paint(tmp_path / "data", classes=2, per_class=6)
    paths = sorted(root.rglob("*.png"))
    (tmp_path / "list.txt").write_text("".join(f"{path}\t{path.parent.name}\n" for path in paths))
    (tmp_path / "tars").mkdir()
    for number, start in enumerate(range(0, 12, 10)):
        with tarfile.open(tmp_path / "tars" / f"{number}.tar", "w") as tar:
            for path in paths[start : start + 10]:
                tar.add(path, path.relative_to(root))
    one = files_of(root, tmp_path / "folder", line)
    assert files_of(tmp_path / "list.txt", tmp_path / "list", line, ".npy") == only(one, ".npy")
    assert files_of(tmp_path / "tars", tmp_path / "tar", line, ".npy") == only(one, ".npy")
    assert files_of(root, tmp_path / "two", other(line, "--processes", "2")) == one
    assert len({row["sha256"] for row in rows(tmp_path / "tar")}) == 12


def files_of(data: Path, out: Path, line: list[str], ending: str = "") -> dict[str, bytes]:
    main(["features", str(data), str(out), *line])
    return only(files(out), ending)


def only(content: dict[str, bytes], ending: str) -> dict[str, bytes]:
    return {name: data for name, data in content.items() if name.endswith(ending)}


def test_only_what_changed_is_computed_again(
    tmp_path: Path, line: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, out = paint(tmp_path / "data", classes=3, per_class=10), tmp_path / "out"

    def computed(*more: str) -> int:
        main(["features", str(root), str(out), *line, *more])
        return int(capsys.readouterr().err.replace("\n", " ").split("computed now: ")[1].split()[0].strip(",;"))

    assert computed() == 30
    before = files(out)
    assert computed() == computed("--verify") == 0
    os.utime(root / "class-1/000.png", ns=(1, 1))  # another time, the same content
    assert computed() == 0
    (root / "class-1/000.png").write_bytes((root / "class-2/001.png").read_bytes())
    assert computed() == 10
    changed = {name for name, content in files(out).items() if before[name] != content}
    assert changed == {"features-00001.npy", "features-00001.csv"}
    # Of the same size, and its time set back: `--verify` alone can tell.
    path = root / "class-0/000.png"
    status, content = path.stat(), bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert computed() == 0
    assert computed("--verify") == 9
    assert read_json(out / "summary.json")["broken"] == 1
    # Damaged or lost files of a shard.
    (out / "features-00002.npy").write_bytes(b"damaged")
    (out / "features-00000.csv").unlink()
    assert computed() == 19
    # Fewer images: what is left over goes.
    shutil.rmtree(root / "class-2")
    assert computed() == 0
    assert {path.name[:14] for path in out.glob("features-*")} == {"features-00000", "features-00001"}


def test_a_record_with_other_numbers_is_as_good_as_none(tmp_path: Path, line: list[str], images: Path) -> None:
    out = tmp_path / "out"
    main(["features", str(images), str(out), *line])
    before = {path.name: path.read_bytes() for path in out.glob("[!.]*")}
    record = out / "features-00001.json"
    write_json(record, read_json(record) | {"images": 3})
    main(["features", str(images), str(out), *line])
    assert {path.name: path.read_bytes() for path in out.glob("[!.]*")} == before


def test_other_means_and_foreign_folders_are_refused(
    tmp_path: Path, line: list[str], capsys: pytest.CaptureFixture[str], images: Path
) -> None:
    out = tmp_path / "out"
    main(["features", str(images), str(out), *line])
    capsys.readouterr()
    kept = {path.name: path.read_bytes() for path in out.iterdir()}
    message = error(capsys, str(images), str(out), *other(line, "--shard-size", "5"))
    assert "other means: shard_size" in message

    torch.manual_seed(1)
    net: nn.Module = timm.create_model(BACKBONE.split(".")[0], num_classes=1000)
    save_file(net.state_dict(), tmp_path / f"{BACKBONE}.safetensors")
    message = error(capsys, str(images), str(out), *other(line, "--weights", str(tmp_path)))
    assert "backbone.file_sha256, backbone.fingerprint" in message
    assert {path.name: path.read_bytes() for path in out.iterdir()} == kept
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("")
    (tmp_path / "mine" / "files.txt").write_text("mine")
    assert "not empty" in error(capsys, str(images), str(tmp_path / "mine"), *line)
    assert (tmp_path / "mine" / "files.txt").read_text() == "mine"
    assert "within the folder" in error(capsys, str(images), str(images / "out"), *line)
    os.mkfifo(tmp_path / "pipe")  # which would be waited for
    for name in ("nowhere", "pipe"):
        assert "no such file" in error(capsys, str(tmp_path / name), str(out), *line)
    for damaged in ("", "[1]"):
        (out / "manifest.json").write_text(damaged)
        assert "is damaged" in error(capsys, str(images), str(out), *line)
    assert "one backbone" in error(capsys, str(images), str(out), *line, "--backbone", "a", "b")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "a.png").write_bytes(b"")
    assert "No image can be read" in error(capsys, str(broken), str(tmp_path / "none"), *line)


@pytest.mark.slow
def test_killed_at_any_shard_it_continues_to_the_same_bits(tmp_path: Path, line: list[str]) -> None:
    root = paint(tmp_path / "data", classes=4, per_class=20)
    expected = files_of(root, tmp_path / "alone", line)
    out, environment = tmp_path / "out", {**os.environ, "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "headtohead", "features", str(root), str(out), *other(line, "--processes", "2")]
    for count in (1, 4):
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        while len([*out.glob("features-*.json")]) < count:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = {path.name: path.stat().st_mtime_ns for path in out.glob("features-*.json")}
    subprocess.run(command, env=environment, check=True, stderr=subprocess.DEVNULL)
    assert files(out) == expected
    assert {name: (out / name).stat().st_mtime_ns for name in done} == done  # none was done twice
    assert not [*out.glob(".tmp-*")]


@pytest.mark.slow
def test_workers_of_a_cluster_give_the_same_bits_though_one_is_killed(tmp_path: Path, line: list[str]) -> None:
    pytest.importorskip("distributed")
    root, out = paint(tmp_path / "data", classes=4, per_class=30), tmp_path / "out"
    expected = files_of(root, tmp_path / "alone", line)
    with dask_cluster(tmp_path) as processes:

        def kill() -> None:
            while not [*out.glob("features-*.json")]:
                time.sleep(0.01)
            processes.workers[0].kill()

        threading.Thread(target=kill, daemon=True).start()
        assert files_of(root, out, [*line, "--engine", "dask", "--scheduler", processes.address]) == expected
        assert [worker.poll() for worker in processes.workers] == [-signal.SIGKILL, None]
    connect.cache_clear()
