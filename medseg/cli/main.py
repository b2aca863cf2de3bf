"""The command line, `python -m medseg` or `medseg`."""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

from medseg import __version__
from medseg.cli.audit import add_audit
from medseg.cli.compare import add_compare
from medseg.cli.convert import add_convert
from medseg.cli.export import add_export
from medseg.cli.inspect import add_inspect
from medseg.cli.report import add_report
from medseg.cli.run import add_run
from medseg.cli.serve import add_serve
from medseg.errors import user_error

_COMMANDS: tuple[Callable[[Any], None], ...] = (
    *(add_run, add_convert, add_inspect, add_export, add_report, add_compare, add_audit, add_serve),
)
_EPILOG = """examples:
  python -m medseg run ssformer_polyp_segmentation images masks
  python -m medseg run --help
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the command line without the program; that of this process if None.

    Returns:
        The exit status: 0; 1 after an `InputError` or a file that is missing or in the way, whose sentence goes to
        the standard error; 130 after Ctrl-C. Any other exception is a bug and keeps its traceback.
    """
    parser = argparse.ArgumentParser(
        prog="medseg",
        description="SSFormer and MS-Former for medical image segmentation.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"medseg {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for add in _COMMANDS:
        add(commands)
    args = parser.parse_args(arguments)
    try:
        args.run(args)
    except Exception as error:
        told = user_error(error)
        if told is None:
            raise
        sys.stderr.write(f"Error: {told}\n")
        return 1
    except KeyboardInterrupt as interrupt:
        sys.stderr.write(f"\n{str(interrupt) or 'Interrupted.'}\n")
        # when Ctrl-C has come out of an `eval` of text, as in MONAI's configs, Python would end the process by SIGINT,
        # whatever the status, unless another `eval` followed
        eval("None")
        return 130
    return 0
