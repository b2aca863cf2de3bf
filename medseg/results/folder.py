"""Going on where an earlier run stopped: which cases have a result already, and whether new ones may join it."""

import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai.config import PathLike

from medseg.errors import InputError
from medseg.files import atomic_write, case_name
from medseg.results.provenance import file_sha256, read_metadata

__all__ = ["ResultsFolder", "remaining"]

logger = logging.getLogger(__name__)

_SCHEMA = "medseg-settings-1"
_RESULTS = ("mask", "dicom_seg")  # kinds of a record's outputs
_REMEDY = "choose another folder for the results, or pass --overwrite to make them again"


class ResultsFolder:
    """The folder that an inference run writes into, and what earlier runs left there.

    A case is done when ``records/NAME.json``, which is written last, exists together with the mask (NIfTI, PNG or
    DICOM SEG) that it names, and its file has not been changed since. ``settings.json`` says what all results of the
    folder were made with; results of other weights, of another version of the bundle or of other settings are never
    mixed with them. Nothing is read or written before a method is called.

    Args:
        path: the folder; :meth:`start` makes it.
        bundle_root: folder of the bundle, whose ``configs/metadata.json`` knows name and version.
        weights: weight file that the network uses; None or False if it uses none.
        settings: name -> value of what else decides about results.
        overwrite: whether to do every case again.
    """

    def __init__(
        self,
        path: PathLike,
        bundle_root: PathLike,
        weights: PathLike | bool | None = None,
        settings: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> None:
        self.path = Path(path)
        self.bundle_root = Path(bundle_root)
        self.weights = None if isinstance(weights, bool) or weights is None else Path(weights)
        self.settings = dict(settings or {})
        self.overwrite = overwrite

    def start(self, items: Sequence[dict[str, str]]) -> None:
        """Check that new results may join those of the folder, tell how many there are, and make it ready for more.

        With ``overwrite`` the records of ``items`` are deleted, so that a run that is killed goes on by itself
        when it is started again without.

        Args:
            items: ``{"image": path}`` per case of this run, done or not.

        Raises:
            InputError: the folder holds results of other weights, another version of the bundle or other settings, or
                of other files of the same names.
        """
        facts = self._facts()
        if self.overwrite:
            for item in items:
                self._record_path(item).unlink(missing_ok=True)
        else:
            self._check_settings(facts)
            for item in items:
                self._check_record(item, facts)
        (self.path / "problems.json").unlink(missing_ok=True)
        self.path.mkdir(parents=True, exist_ok=True)
        _write_json(self.path / "settings.json", facts)
        done = len(items) - len(remaining(items, self))
        if done == len(items):
            logger.info("nothing to do: %d cases are done", done)
        elif done:
            logger.info("%d of %d cases are done already, %d to do", done, len(items), len(items) - done)

    def done(self, items: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
        """``{"image": path, "pred": path of the mask}`` of the cases that are done, in their order."""
        if self.overwrite:
            return []
        masks = [(item["image"], self._masks(item)) for item in items]
        return [{"image": image, "pred": str(found[0])} for image, found in masks if found]

    def is_done(self, item: Mapping[str, str]) -> bool:
        """Whether a case needs nothing more."""
        return not self.overwrite and bool(self._masks(item))

    def _masks(self, item: Mapping[str, str]) -> list[Path]:
        """The result files of a case that is done, at least one; else none."""
        outputs = self._record(item).get("outputs") or {}
        masks = [self.path / outputs[kind] for kind in _RESULTS if kind in outputs]
        if not masks or not all(mask.is_file() for mask in masks):
            return []
        image = Path(item["image"])  # a DICOM series is no file
        written = self._record_path(item).stat().st_mtime
        return [] if image.is_file() and image.stat().st_mtime > written else masks

    def _record_path(self, item: Mapping[str, str]) -> Path:
        return self.path / "records" / f"{case_name(item['image'])}.json"

    def _record(self, item: Mapping[str, str]) -> dict[str, Any]:
        """The record of a case; empty if there is none or it is no record."""
        return _read_json(self._record_path(item))

    def _facts(self) -> dict[str, Any]:
        metadata = read_metadata(self.bundle_root)
        facts = {
            "schema": _SCHEMA,
            "bundle": metadata["name"],
            "bundle_version": metadata["version"],
            "weights_sha256": None if self.weights is None else file_sha256(self.weights),
            **{f"setting {name}": value for name, value in self.settings.items()},
        }
        return json.loads(json.dumps(facts, default=str))  # as it will be read back: tuples become lists

    def _check_settings(self, facts: Mapping[str, Any]) -> None:
        earlier = _read_json(self.path / "settings.json")
        if earlier.get("schema") != _SCHEMA:
            return
        for name in sorted(earlier.keys() | facts.keys()):
            if earlier.get(name) != facts.get(name):
                self._refuse(name, earlier.get(name), facts.get(name))

    def _check_record(self, item: Mapping[str, str], facts: Mapping[str, Any]) -> None:
        record = self._record(item)
        if not record:
            return
        provenance = record.get("provenance") or {}
        for name in ("bundle_version", "weights_sha256"):
            if None not in (provenance.get(name), facts[name]) and provenance[name] != facts[name]:
                self._refuse(name, provenance[name], facts[name])
        if not _same_file(str(record.get("source", item["image"])), str(item["image"])):
            raise InputError(
                f"The results folder '{self.path}' holds '{case_name(item['image'])}', made of {record['source']}, "
                f"not of {item['image']}: {_REMEDY}."
            )

    def _refuse(self, name: str, earlier: Any, now: Any) -> None:
        if name == "weights_sha256":
            difference = f"other weights than '{self.weights}'" if self.weights else "a network with trained weights"
        else:
            difference = f"another {name.replace('_', ' ')} ({earlier}, not {now})"
        raise InputError(f"The results folder '{self.path}' holds results of {difference}: {_REMEDY}.")


def remaining(items: Sequence[dict[str, str]], results: ResultsFolder) -> list[dict[str, str]]:
    """The cases that still have to be done, in their order; all of them if results are to be overwritten.

    Args:
        items: ``{"image": path}`` per case.
        results: where the results are.
    """
    return [item for item in items if not results.is_done(item)]


def _same_file(recorded: str, given: str) -> bool:
    if Path(recorded).is_absolute():
        return os.path.realpath(recorded) == os.path.realpath(given)
    # relative to a folder that may not be today's
    parts = [part for part in Path(recorded).parts if part != os.pardir]
    return list(Path(given).resolve().parts[-len(parts) :]) == parts


def _read_json(path: Path) -> dict[str, Any]:
    """The object that a file holds; empty if there is no file, or no object in it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write_json(path: Path, content: Any) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
