"""Run documented commands, each in a process of its own that has PyTorch and MONAI loaded already.

`multiprocessing` forks these processes from a server that has imported them once, so that a command takes the time of
its work alone.
"""

import multiprocessing
import os
import runpy
import sys
from pathlib import Path

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    ["monai.bundle", "medseg.bundle", "medseg.handlers", "medseg.transforms", "medseg.cli.main"]
)
_SECONDS = 300


def run_python(arguments: list[str], folder: Path, log: Path) -> int:
    """Run `python ARGUMENTS` in a folder; its output goes to `log`.

    Args:
        arguments: `-m MODULE ...` or `-c TEXT`.
        folder: the working directory.
        log: a file.

    Returns:
        The exit status.
    """
    process = _FORKS.Process(target=_run, args=(arguments, str(folder), str(log)))
    process.start()
    process.join(_SECONDS)
    if process.is_alive():
        process.kill()
        process.join()
    assert process.exitcode is not None
    return process.exitcode


def _run(arguments: list[str], folder: str, log: str) -> None:
    os.chdir(folder)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    kind, what, *rest = arguments
    sys.argv = [what if kind == "-m" else kind, *rest]
    sys.orig_argv = ["python", *arguments]
    sys.path.insert(0, folder)
    if kind == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        exec(compile(what, "<documentation>", "exec"), {"__name__": "__main__"})
