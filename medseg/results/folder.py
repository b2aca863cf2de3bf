"""The folder of an inference run: which cases have a result already, and whether new results may join them."""

import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai.config import PathLike
from monai.transforms import SaveImaged

from medseg.errors import InputError
from medseg.files import atomic_write, case_name, file_sha256
from medseg.results.fingerprint import describe, differences
from medseg.results.pictures import SHEET_FILE
from medseg.results.provenance import read_metadata
from medseg.results.tables import RECORDS

logger = logging.getLogger("medseg")

FAILURES_FILE = "problems.json"
"""File of the cases without a result in an output folder."""
_SCHEMA = "medseg-settings-2"
_RESULTS = ("mask", "dicom_seg")  # kinds of a record's outputs
_REMEDY = "choose another folder for the results, or pass --overwrite to make them again"


class ResultsFolder:
    """The folder that an inference run writes into, and the results of earlier runs in it.

    A case is done when `records/NAME.json`, which is written last, exists together with the mask (NIfTI, PNG or
    DICOM SEG) that it names, and its file still has the recorded size and time. `settings.json` describes what all
    results of the folder were made with: weights, version of the bundle, network and transforms. Results that were
    made otherwise are refused. Nothing is read or written before a method is called.

    Args:
        path: the folder; `start` makes it.
        bundle_root: folder of the bundle; its `configs/metadata.json` has name and version.
        made_with: name -> what decides about results, as the network, the preprocessing, the inferer and the
            postprocessing; described by `medseg.results.fingerprint.describe`.
        weights: weight file that the network uses; None or False if it uses none.
        overwrite: whether to do every case again.
    """

    def __init__(
        self,
        path: PathLike,
        bundle_root: PathLike,
        made_with: Mapping[str, Any],
        weights: PathLike | bool | None = None,
        overwrite: bool = False,
    ) -> None:
        self.path = Path(path)
        self.bundle_root = Path(bundle_root)
        self.made_with = made_with
        self.weights = None if isinstance(weights, bool) or weights is None else Path(weights)
        self.overwrite = overwrite

    def start(self, cases: Sequence[Mapping[str, str]]) -> None:
        """Check that new results may join those of the folder, log how many there are, and prepare the folder.

        With `overwrite` the records of `cases` are deleted, so that a run that is killed can be continued without it.

        Args:
            cases: `{"image": path}` per case of this run, done or not.

        Raises:
            InputError: the folder holds results of other weights, of another version of the bundle, made with another
                network or other transforms, or of other files of the same names; its `settings.json` cannot be read;
                or two files of `cases` would write the same result.
        """
        self._check_names(cases)
        facts = self._facts()
        if self.overwrite:
            for case in cases:
                self._record_path(case).unlink(missing_ok=True)
        else:
            self._check_settings(facts)
            for case in cases:
                self._check_record(case, facts)
        (self.path / FAILURES_FILE).unlink(missing_ok=True)
        self.path.mkdir(parents=True, exist_ok=True)
        with atomic_write(self.path / "settings.json") as temporary:
            temporary.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        done = len(cases) - len(self.pending(cases))
        if done == len(cases):
            logger.info("nothing to do: %d cases are done", done)
        elif done:
            logger.info("%d of %d cases are done already, %d to do", done, len(cases), len(cases) - done)

    def pending(self, cases: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
        """The cases without a result, in their order; all of them if results are to be overwritten."""
        return [case for case in cases if self.overwrite or not self._masks(case)]

    def _masks(self, case: Mapping[str, str]) -> list[Path]:
        """The result files of a case that is done, at least one; else none."""
        record = self._record(case)
        outputs = record.get("outputs") or {}
        masks = [self.path / outputs[kind] for kind in _RESULTS if kind in outputs]
        if not masks or not all(mask.is_file() for mask in masks):
            return []
        now, then = file_state(case["image"]), record.get("source_state")
        if then is None and now is not None:  # a record of an earlier version
            return [] if now["modified_ns"] > self._record_path(case).stat().st_mtime_ns else masks
        return masks if now == then else []

    def _record_path(self, case: Mapping[str, str]) -> Path:
        return self.path / RECORDS / f"{case_name(case['image'])}.json"

    def _record(self, case: Mapping[str, str]) -> dict[str, Any]:
        """The record of a case; empty if there is none or it is no record."""
        return _read_json(self._record_path(case))

    def _facts(self) -> dict[str, Any]:
        metadata = read_metadata(self.bundle_root)
        folders = {"output_dir": self.path, "bundle_root": self.bundle_root}
        return {
            "schema": _SCHEMA,
            "bundle": metadata["name"],
            "bundle_version": metadata["version"],
            "weights_sha256": None if self.weights is None else file_sha256(self.weights),
            **{name: describe(part, folders) for name, part in self.made_with.items()},
        }

    def _check_names(self, cases: Sequence[Mapping[str, str]]) -> None:
        names = {case_name(case["image"]) for case in cases}
        steps = getattr(self.made_with.get("postprocessing"), "transforms", ())
        postfixes = {
            getattr(step.saver.folder_layout, "postfix", "") for step in steps if isinstance(step, SaveImaged)
        } - {""}
        sheet = Path(SHEET_FILE).stem
        taken = {f"{name}_{postfix}": f"a result of '{name}'" for name in names for postfix in postfixes}
        for name in sorted(names & {sheet, *taken}):
            other = taken.get(name, "the contact sheet of all pictures")
            raise InputError(f"The results of '{name}' would have the name of {other}: rename the input file.")

    def _check_settings(self, facts: Mapping[str, Any]) -> None:
        file = self.path / "settings.json"
        if not file.exists():
            return
        earlier = _read_json(file)
        has_results = any((self.path / RECORDS).glob("*.json"))
        if earlier.get("schema") == _SCHEMA and not has_results:  # after a start that failed
            return
        if earlier.get("schema") != _SCHEMA:
            raise InputError(
                f"'{file}' cannot be read as {_SCHEMA}, so that nobody knows how the results were made: {_REMEDY}."
            )
        for name in sorted(earlier.keys() | facts.keys()):
            self._compare(name, earlier.get(name), facts.get(name))

    def _check_record(self, case: Mapping[str, str], facts: Mapping[str, Any]) -> None:
        record = self._record(case)
        if not record:
            return
        provenance = record.get("provenance") or {}
        for name in ("bundle_version", "weights_sha256"):
            if None not in (provenance.get(name), facts[name]):
                self._compare(name, provenance[name], facts[name])
        if not _same_file(str(record.get("source", case["image"])), str(case["image"])):
            raise InputError(
                f"The results folder '{self.path}' holds '{case_name(case['image'])}', made of {record['source']}, "
                f"not of {case['image']}: {_REMEDY}."
            )

    def _compare(self, name: str, earlier: Any, now: Any) -> None:
        found = differences(earlier, now)
        if not found:
            return
        if name == "weights_sha256":
            what = f"other weights than '{self.weights}'" if self.weights else "a network with trained weights"
        else:
            what = f"another {name.replace('_', ' ')} ({found[0]})"
        raise InputError(f"The results folder '{self.path}' holds results of {what}: {_REMEDY}.")


def file_state(path: PathLike) -> dict[str, int] | None:
    """Size in bytes and time of the last change; None for what is no file, such as a DICOM series."""
    file = Path(path)
    if not file.is_file():
        return None
    found = file.stat()
    return {"size": found.st_size, "modified_ns": found.st_mtime_ns}


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
