"""`python -m medseg run`: a bundle's inference config on a user's files."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medseg.cli.bundles import add_bundle_argument, open_bundle
from medseg.cli.options import add_command, add_set_option, parse_values


def add_run(commands: Any) -> None:
    """Add the command to the subparsers of the program."""
    parser = add_command(
        commands,
        "run",
        "segment a picture, a volume or a folder of them with a bundle",
        "run ssformer_polyp_segmentation images masks",
        "run ssformer_polyp_segmentation images masks --weights small.pt --set encoder=mit_b0",
        "run msformer_lung_ct_segmentation scan.nii.gz masks --device cuda",
    )
    add_bundle_argument(parser)
    parser.add_argument("input", type=Path, metavar="INPUT", help="picture, volume, or a folder of them")
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="folder for the results; made when missing")
    parser.add_argument("--overwrite", action="store_true", help="do every case again, also those that are done")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="weights, if not models/model.pt of the bundle")
    parser.add_argument("--device", metavar="D", help="cpu, cuda or cuda:1, say; the GPU if there is one")
    add_set_option(parser, "another value of the bundle's inference config")
    parser.set_defaults(run=_run)


def _run(given: argparse.Namespace) -> None:
    with open_bundle(given.bundle, trust_note=True) as bundle:
        _run_bundle(given, bundle)
    sys.stdout.write(f"results: {given.output}\n")


def _run_bundle(given: argparse.Namespace, bundle: Path) -> None:
    from monai.bundle import ConfigWorkflow

    files = choose_configs(bundle, given.input)
    values = _values(given, bundle, files)
    try:
        with _plain_logging():
            workflow = ConfigWorkflow(
                config_file=files,
                meta_file=str(bundle / "configs" / "metadata.json"),
                logging_file=False,  # the bundle's own logs every step with its time
                workflow_type="infer",
                **values,
            )
            workflow.initialize()
            try:
                workflow.run()
            except Exception:
                sys.stderr.write("\n")  # the line of the progress bar is open
                raise
            workflow.finalize()
    except KeyboardInterrupt:
        raise KeyboardInterrupt("Interrupted: run it again, without --overwrite, to do what is left.") from None


def choose_configs(bundle: Path, source: Path) -> list[str]:
    """The config files of a bundle that take a kind of input.

    `inference.yaml` says in `input_kind` what it takes; a bundle that takes another kind too has an override file,
    as `inference_volumes.yaml`, with another `input_kind`.

    Args:
        bundle: folder of the bundle.
        source: the user's file or folder.

    Raises:
        InputError: the bundle takes both kinds, and both are there.
    """
    from monai.bundle import ConfigParser

    from medseg.data.input_types import detect_input_type
    from medseg.errors import InputError

    base = bundle / "configs" / "inference.yaml"
    kinds = {ConfigParser.load_config_file(base).get("input_kind"): [str(base)]}
    for path in sorted(base.parent.glob("inference_*.yaml")):
        kinds.setdefault(ConfigParser.load_config_file(path).get("input_kind"), [str(base), str(path)])
    certain = detect_input_type(source, certain=True) & kinds.keys()
    if len(certain) > 1:
        raise InputError(f"The input '{source}' holds {' and '.join(sorted(certain))}: give a folder of one kind.")
    possible = certain or (detect_input_type(source) & kinds.keys())
    return kinds[possible.pop()] if possible else [str(base)]


def _values(given: argparse.Namespace, bundle: Path, files: list[str]) -> dict[str, Any]:
    """What the command line says, as ids of the config; text is never an expression."""
    from monai.bundle import ConfigParser

    from medseg.bundle.overrides import check_override
    from medseg.bundle.settings import check_settings

    config = ConfigParser(ConfigParser.load_config_files(files))
    values: dict[str, Any] = parse_values(given.set)
    for name in values:
        check_override(name, config, option="--set ")
    values |= {"bundle_root": str(bundle), "dataset_dir": str(given.input), "output_dir": str(given.output)}
    values["overwrite"] = given.overwrite
    if given.device is not None:
        values["device"] = given.device
    if given.weights is not None:  # a network that is fitted to each case uses weights only when it is told to
        values |= {"checkpoint": str(given.weights), **({"warm_start": True} if "warm_start" in config else {})}
    check_settings(bundle, {**config.get(), **values})
    return {name: _literal(value) for name, value in values.items()}


def _literal(value: Any) -> Any:
    """A value whose texts, at any depth, are no expressions; it may describe a component by its `_target_`."""
    from medseg.bundle.overrides import literal

    if isinstance(value, dict):
        return {key: _literal(item) for key, item in value.items()}
    return [_literal(item) for item in value] if isinstance(value, list) else literal(value)


@contextmanager
def _plain_logging() -> Iterator[None]:
    """How many cases are done already goes to the standard error without times; of the rest, only warnings."""
    import logging
    import warnings

    levels = {
        "medseg": logging.INFO,
        "monai.bundle.workflows": logging.ERROR,  # warns that no logging file is used
        "ignite": logging.CRITICAL,  # logs errors that are raised anyway
        "monai.data.nvimgcodec_pydicom_plugin": logging.ERROR,  # a decoder for GPUs that MONAI looks for at each image
    }
    before = {name: logging.getLogger(name).level for name in levels}
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="NvImgCodecPydicomReader")
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
