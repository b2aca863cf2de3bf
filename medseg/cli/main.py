"""The command line, `python -m medseg` or `medseg`: one function per command, each a thin layer over the package."""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

from medseg.cli.convert import add_convert
from medseg.cli.export import add_export
from medseg.cli.inspect import add_inspect
from medseg.cli.report import add_report
from medseg.cli.run import add_run
from medseg.cli.serve import add_serve

__all__ = ["main"]

_COMMANDS: tuple[Callable[[Any], None], ...] = (add_run, add_convert, add_inspect, add_export, add_report, add_serve)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the command line without the program; that of this process if None.

    Returns:
        The exit status: 0, or 1 after an error, which is told in one sentence on the standard error, or 130 after
        Ctrl-C.
    """
    parser = argparse.ArgumentParser(prog="medseg", description="SSFormer and MS-Former for medical images.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for add in _COMMANDS:
        add(commands)
    given = parser.parse_args(arguments)
    try:
        given.run(given)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1
    except KeyboardInterrupt as interrupt:
        sys.stderr.write(f"\n{str(interrupt) or 'Interrupted.'}\n")
        # when Ctrl-C has come out of an `eval` of text, as in MONAI's configs, Python would end the process by SIGINT,
        # whatever the status, unless another `eval` followed
        eval("None")
        return 130
    return 0
