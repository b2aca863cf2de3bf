"""The bundle that a command works with."""

import argparse
import os
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def add_bundle_argument(parser: argparse.ArgumentParser) -> None:
    """Let a command take a bundle, for `open_bundle`."""
    what = "name of an installed bundle; or a bundle's folder or zip, as ./mine or mine.zip"
    parser.add_argument("bundle", metavar="BUNDLE", help=what)


@contextmanager
def open_bundle(name: str, trust_note: bool = False) -> Iterator[Path]:
    """The folder of a bundle while the block runs.

    Args:
        name: name of an installed bundle, in the folder that the environment variable `MEDSEG_BUNDLES` names or in
            `bundles` beside the package, where a checkout has it. Else a path: of a folder, with a separator as
            `./mine`, or of a zip, which is unpacked for the time of the block.
        trust_note: whether the standard error says of a bundle that is not installed that its configs can run code.

    Raises:
        InputError: there is none.
    """
    import medseg
    from medseg.errors import InputError

    shelves = [Path(medseg.__file__).parents[1] / "bundles"]
    if os.environ.get("MEDSEG_BUNDLES"):
        shelves.insert(0, Path(os.environ["MEDSEG_BUNDLES"]))
    installed = [path for shelf in shelves for path in sorted(shelf.glob("*")) if _is_bundle(path)]
    is_path = os.path.dirname(name) != "" or name in (os.curdir, os.pardir)
    found = Path(name) if is_path else next((path for path in installed if path.name == name), None)
    with tempfile.TemporaryDirectory() as temporary:
        if Path(name).is_file():
            found = _unpack(Path(name), Path(temporary))
        if found is None or not _is_bundle(found):
            hint = f" (its folder here is './{name}')" if not is_path and _is_bundle(Path(name)) else ""
            known = ", ".join(path.name for path in installed) or "none; MEDSEG_BUNDLES names their folder"
            raise InputError(
                f"'{name}' is not a bundle's folder with a configs/inference.yaml{hint}, its zip or the name of an "
                f"installed one ({known}): check the path or the name."
            )
        if trust_note and found.resolve() not in [path.resolve() for path in installed]:
            sys.stderr.write(
                f"'{name}' is not an installed bundle: its configs can run code, so use it only if you trust it.\n"
            )
        yield found


def _is_bundle(folder: Path) -> bool:
    return (folder / "configs" / "inference.yaml").is_file()


def _unpack(file: Path, target: Path) -> Path:
    """The bundle's folder in a zip, as `export` and MONAI's model zoo write it."""
    from medseg.errors import InputError

    try:
        with zipfile.ZipFile(file) as archive:
            archive.extractall(target)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise InputError(f"'{file}' is no readable zip of a bundle: give the bundle's folder or its zip.") from error
    return next((path for path in sorted(target.iterdir()) if _is_bundle(path)), target)
