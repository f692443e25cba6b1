"""Memory of the audit."""

import subprocess
import sys
from pathlib import Path

import pytest
from bad_folders import encoded, picture


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak memory from Linux's /proc")
def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    content = encoded(picture(0, 600, 600), "JPEG", quality=30)
    # Not `ru_maxrss`, which a child inherits from its parent.
    code = (
        "import sys; from headtohead.cli.app import main; main(['data', 'audit', *sys.argv[1:]]);"
        "sys.stderr.write(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )
    peaks_mb = []
    for number in (100, 400):
        folder = tmp_path / f"of-{number}"
        for cls in ("a", "b"):
            (folder / cls).mkdir(parents=True)
            for i in range(number // 2):
                (folder / cls / f"{i}.jpg").write_bytes(content + f"{number}{cls}{i}".encode())  # all different
        command = [sys.executable, "-c", code, str(folder), "--out", str(tmp_path / "out" / str(number))]
        result = subprocess.run(command, capture_output=True, check=True)
        peaks_mb.append(int(result.stderr.split()[-1]) / 1024)
    decoded_mb = 300 * 600 * 600 * 3 / 2**20  # of the additional images
    assert peaks_mb[1] - peaks_mb[0] < decoded_mb / 10
