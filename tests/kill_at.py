"""`headtohead`, killed at an exact moment: right after the NUMBERth file that matches PATTERN was written.

    python kill_at.py PATTERN NUMBER ARGUMENTS...

Whichever process writes the file, it is the main process that gets SIGKILL. A worker process runs this file too, since
its parent's main module is imported there under another name; after the kill it goes no further.
"""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path

if __name__ in ("__main__", "__mp_main__"):
    from headtohead.core import files  # before every module that imports a function of it

    pattern, number = sys.argv[1], int(sys.argv[2])
    write_atomically = files.write_atomically
    written: list[Path] = []

    def write_then_kill(path: Path, write: Callable[[Path], object]) -> None:
        write_atomically(path, write)
        if not fnmatch(str(path), pattern):
            return
        written.append(path)
        if len(written) == number:
            parent = multiprocessing.parent_process()
            main_process = os.getpid() if parent is None else parent.pid
            assert main_process
            with suppress(ProcessLookupError):  # another worker was faster
                os.kill(main_process, signal.SIGKILL)
            time.sleep(600)

    files.write_atomically = write_then_kill

if __name__ == "__main__":
    from brief import be_brief

    from headtohead.cli.app import main

    be_brief()
    main(sys.argv[3:])
