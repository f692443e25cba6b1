"""Broken files of all formats: nothing crashes, hangs or takes all memory; each file is decoded or reported."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

from bad_folders import mutants, seeds, small

NUM, SECONDS, BYTES = 600, 120, 3 << 30


def test_every_broken_file_is_decoded_or_reported(tmp_path: Path) -> None:
    folder = small(tmp_path / "broken")
    files = {f"class-{number % 2}/{name}": content for number, (name, content) in enumerate(mutants(NUM, seed=5))}
    files |= {f"class-1/intact-{name}": content for name, content in seeds().items()}
    for name, content in files.items():
        (folder / name).write_bytes(content)

    # In a separate process, so that a decoder that crashes or takes all memory does not end the tests.
    command = ["data", "audit", str(folder), "--out", str(tmp_path / "out"), "--data.on-bad", "leave-out"]
    result = subprocess.run(
        [sys.executable, "-m", "headtohead", *command],
        timeout=SECONDS,
        capture_output=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES)),
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        check=False,
    )
    assert result.returncode == 0, result.stderr.decode(errors="replace")[-2000:]
    assert b"Traceback" not in result.stderr
    assert b"Warning" not in result.stderr.replace(b"Warning, ", b"")  # Python's; libtiff prints its own

    content = json.loads((tmp_path / "out" / "audit.json").read_text(encoding="utf-8"))
    by_file = {row["file"]: row for row in content["files"]}
    assert set(files) <= set(by_file)
    left_out = {row["file"]: row for row in content["left_out"]}
    for file, row in by_file.items():
        if "bad" in row:
            assert row["reason"]
            assert left_out[file]["finding"] == row["bad"]
        else:
            assert row["width"] > 0
            assert row["height"] > 0
            assert file not in left_out
    kinds = [row.get("bad", "decoded") for row in by_file.values()]
    assert min(map(kinds.count, ("decoded", "truncated", "damaged", "not-an-image", "huge"))) > 0
    assert all("bad" not in by_file[file] for file in files if "intact-" in file)
