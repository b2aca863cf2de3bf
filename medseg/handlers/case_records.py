import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.data import MetaTensor
from monai.utils import CommonKeys, MetaKeys, convert_to_numpy
from skimage.color import rgb2gray

from medseg.data.batches import batch_items
from medseg.data.sources import source_of
from medseg.errors import InputError
from medseg.files import atomic_write, case_name, case_source
from medseg.results.folder import file_state
from medseg.results.measurements import measure_segments
from medseg.results.plausibility import find_implausible
from medseg.results.provenance import read_metadata, run_provenance
from medseg.results.tables import RECORD_SCHEMA, RECORDS, write_measurement_tables

logger = logging.getLogger("medseg")

# what a run may have written for a case: kind -> what follows the output folder
_OUTPUTS = {
    "mask": ("{}.dcm", "{}.nii.gz", "{}.png"),  # of several the last one
    "dicom_seg": ("{}.dcm",),
    "picture": ("pictures/{}.png",),
}


@dataclass(eq=False, repr=False)
class CaseRecords:
    """A record of each case of an inference run: its measurements, and what they were made with.

    When a case's outputs are written, its record follows as `records/NAME.json` in the output folder, whole or not
    at all: a case that has a record is done, so this is the last handler of a config. At the end of the run all records
    of the folder, also those of earlier runs, become its tables (`medseg.results.write_measurement_tables`). The format
    is in `medseg/results/measurements.schema.json`.

    Output items need `pred` in the source's geometry, whole numbers `[1, H, W]` or `[1, X, Y, Z]`, and `image`, a
    MetaTensor that knows its file. Intensities are those of the source (`medseg.data.source_of`): pictures by their
    luminance (ITU-R BT.709), CT volumes in HU. `seconds` is the time since the end of the batch before, without
    measuring, divided by the images in the batch.

    Args:
        output_dir: folder of the outputs.
        bundle_root: folder of the bundle; its metadata name the labels, what is plausible of them, the bundle and its
            version.
        weights: the weight file, of which name and SHA-256 are recorded; None or False if there is none, as when a
            network is fitted to each image.
        seed: seed of the run.
        device: where the network runs.
        measurements: if false, records hold no measurements and no tables are written.
        label_names: of labels 1, 2, ... in the records; None for those of the metadata.

    Raises:
        InputError: (while running) when a prediction has not the source's shape, or the image knows no file.
        RuntimeError: (while running) when a case has no mask in the output folder, be it picture, NIfTI or DICOM SEG.
    """

    output_dir: str | Path
    bundle_root: str | Path
    weights: str | Path | bool | None = None
    seed: int | None = None
    device: str | torch.device | None = None
    measurements: bool = True
    label_names: Sequence[str] | None = None
    _provenance: dict[str, Any] = field(init=False, default_factory=dict)
    _names: dict[int, str] = field(init=False, default_factory=dict)
    _plausible: dict[str, Any] = field(init=False, default_factory=dict)
    _modality: str = field(init=False, default="")
    _began: float = field(init=False, default=0.0)

    def attach(self, engine: Engine) -> None:
        """Record the cases of an evaluator whose postprocessing writes the outputs."""
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)
        engine.add_event_handler(Events.COMPLETED, self._finish)

    def _start(self, _engine: Engine) -> None:
        metadata = read_metadata(self.bundle_root)
        formats = metadata["network_data_format"]
        channels = formats["outputs"]["pred"]["channel_def"]
        self._names = {int(label): name for label, name in channels.items() if name != "background"}
        if self.label_names is not None:
            self._names = dict(enumerate(self.label_names, start=1))
        self._modality = formats["inputs"]["image"].get("modality", "")
        self._plausible = metadata.get("plausible", {})
        weights = None if isinstance(self.weights, bool) else self.weights
        self._provenance = run_provenance(metadata, weights, self.seed, self.device)
        # what the run started with; the network has been loaded since
        settings = Path(self.output_dir, "settings.json")
        started = json.loads(settings.read_text(encoding="utf-8")) if settings.is_file() else self._provenance
        if started["weights_sha256"] != self._provenance["weights_sha256"]:
            raise InputError(
                f"'{self.weights}' has changed since the run started: run the same again, with --overwrite."
            )
        self._began = time.perf_counter()

    def __call__(self, engine: Engine) -> None:
        """Write the records of the batch that has just been written."""
        items = batch_items(engine.state.output)
        seconds = (time.perf_counter() - self._began) / max(1, len(items))
        for item, given in zip(items, batch_items(engine.state.batch), strict=True):
            record = self._record(item, given, seconds)
            with atomic_write(Path(self.output_dir, RECORDS, f"{record['case']}.json")) as path:
                path.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        self._began = time.perf_counter()

    def _finish(self, _engine: Engine) -> None:
        idist.barrier()
        if self.measurements and idist.get_rank() == 0:
            write_measurement_tables(self.output_dir)

    def _record(self, item: Mapping[str, Any], given: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        source = case_source(item[CommonKeys.IMAGE].meta)
        name = case_name(source)
        affine = _known_affine(item[CommonKeys.PRED])
        shape = tuple(item[CommonKeys.PRED].shape[1:])
        outputs = self._outputs(name)
        measured, warnings = self._measure(item, given, source, affine) if self.measurements else ([], [])
        for warning in warnings:
            logger.warning("%s: %s", name, warning)
        return {
            "schema": RECORD_SCHEMA,
            "case": name,
            "source": source,
            "source_state": file_state(source),
            "outputs": outputs,
            "shape": shape,
            "spacing_mm": None if affine is None else np.linalg.norm(affine[:3, : len(shape)], axis=0).tolist(),
            "seconds": seconds,
            "measurements": measured,
            "warnings": warnings,
            "provenance": {**self._provenance, "finished": datetime.now(timezone.utc).isoformat(timespec="seconds")},
        }

    def _outputs(self, name: str) -> dict[str, str]:
        """Kind -> path, relative to the output folder, of what there is of a case."""
        found = {
            kind: relative.format(name)
            for kind, patterns in _OUTPUTS.items()
            for relative in patterns
            if Path(self.output_dir, relative.format(name)).is_file()
        }
        if "mask" not in found:
            raise RuntimeError(
                f"There is no mask of {name} in {self.output_dir}: CaseRecords needs the output_dir of SaveImaged."
            )
        return found

    def _measure(
        self, item: Mapping[str, Any], given: Mapping[str, Any], source: str, affine: np.ndarray | None
    ) -> tuple[list[dict[str, Any]], list[str]]:
        """The measurements, and what of them is not plausible."""
        # whole numbers, as in the mask file, which holds no more than 8 bits either
        labels = torch.as_tensor(item[CommonKeys.PRED])[0].to(torch.uint8)
        intensities = _one_channel(convert_to_numpy(source_of(given)), tuple(labels.shape), source)
        unit = "HU" if labels.ndim == 3 and self._modality == "CT" else "gray level"
        segments = measure_segments(labels, self._names, affine, intensities, unit)
        warnings = find_implausible(self._plausible, segments, intensities, unit)
        return [asdict(segment) for segment in segments], warnings


def _one_channel(values: np.ndarray, shape: tuple[int, ...], source: str) -> np.ndarray:
    """A volume as it is, a color picture `[H, W, 3]` of 0 to 255 as its luminance `[H, W]`."""
    if values.shape == (*shape, 3):
        values = rgb2gray(values / 255) * 255
    if values.shape != shape:
        raise InputError(
            f"The prediction of {source} has the shape {shape}, its source {values.shape}: "
            "restore the prediction to the source's geometry (Invertd) before this handler."
        )
    return values


def _known_affine(image: Any) -> np.ndarray | None:
    """The affine of an image whose file had one; a picture's MetaTensor has an identity that means nothing."""
    if isinstance(image, MetaTensor) and image.meta.get(MetaKeys.ORIGINAL_AFFINE) is not None:
        return convert_to_numpy(image.affine).astype(np.float64)
    return None
