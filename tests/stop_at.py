"""`headtohead`, stopped by a signal at an exact moment.

    python stop_at.py SIGNAL MOMENT ARGUMENTS...

MOMENT is `import:MODULE`, when the import of a module begins, or `write:PATTERN`, right after the first file that
matches was written, by whichever process. SIGINT reaches the whole process group, as from a terminal; SIGTERM the main
process.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path


def send(number: int) -> None:
    parent = multiprocessing.parent_process()
    main_process = os.getpid() if parent is None else parent.pid
    assert main_process
    if number == signal.SIGINT:
        os.killpg(os.getpgid(main_process), number)
    else:
        os.kill(main_process, number)


class SendAtImport:
    """A finder of modules that finds none."""

    def __init__(self, module: str, number: int) -> None:
        self.module, self.number = module, number

    def find_spec(self, name: str, *_: object) -> None:
        if name == self.module:
            sys.meta_path.remove(self)  # type: ignore[arg-type]
            send(self.number)


if __name__ in ("__main__", "__mp_main__"):
    if __name__ == "__main__":
        os.environ["STOP_AT"] = " ".join(sys.argv[1:3])  # for the worker processes, which run this file too
        del sys.argv[1:3]
    name, moment = os.environ["STOP_AT"].split(" ")
    number = signal.Signals[name]
    kind, _, what = moment.partition(":")
    if kind == "import" and __name__ == "__main__":
        sys.meta_path.insert(0, SendAtImport(what, number))  # type: ignore[arg-type]
    elif kind == "write":
        from headtohead.core import files  # before every module that imports a function of it

        write_atomically = files.write_atomically

        def write_then_send(path: Path, write: Callable[[Path], object]) -> None:
            write_atomically(path, write)
            if fnmatch(str(path), what):
                send(number)

        files.write_atomically = write_then_send

        if __name__ == "__main__":
            from brief import be_brief

            be_brief()

if __name__ == "__main__":
    from headtohead.__main__ import main

    main()
