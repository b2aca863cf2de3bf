"""A MONAI Deploy application: the CT series in a folder become one DICOM SEG, by the exported network of a bundle.

    ulimit -s 32768
    .venv-deploy/bin/python scripts/deploy_app.py -i SERIES -o RESULTS -m model.ts

`model.ts` is what `python -m medseg export` writes; it carries the bundle's configs, which say what happens to the
volume before and after the network. See docs/monai_deploy.md.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.deploy.conditions import CountCondition
from monai.deploy.core import Application, Image, IOType
from monai.deploy.core.domain.dicom_series import DICOMSeries
from monai.deploy.operators import (
    DICOMDataLoaderOperator,
    DICOMSegmentationWriterOperator,
    DICOMSeriesSelectorOperator,
    DICOMSeriesToVolumeOperator,
    IOMapping,
    ModelInfo,
    MonaiBundleInferenceOperator,
)
from monai.deploy.operators.dicom_seg_writer_operator import SegmentDescription
from pydicom.pixels import apply_rescale
from pydicom.sr.coding import Code

# the SDK takes the first series of those that fit
_RULES = {"selections": [{"name": "CT", "conditions": {"Modality": "(?i)CT", "ImageType": ["PRIMARY", "ORIGINAL"]}}]}


class CTVolumeOperator(DICOMSeriesToVolumeOperator):
    """The SDK's operator, without two faults of its version 4.0.0 that would go unnoticed."""

    def generate_voxel_data(self, series: DICOMSeries) -> np.ndarray:
        """HU `[slice, row, column]` as float32.

        The SDK gives all slices the first one's type: where that has no negative values, those of the others wrap.
        """
        slices = [
            apply_rescale(one.get_pixel_array(), one.get_native_sop_instance()) for one in series.get_sop_instances()
        ]
        return np.stack(slices).astype(np.float32)

    def compute_affine_transform(self, first: Any, last: Any, count: int, series: DICOMSeries) -> None:
        """Set the affines of `series`; the SDK takes the distance of rows for that of columns, and the reverse."""
        super().compute_affine_transform(first, last, count, series)
        rows, columns = first[0x0028, 0x0030].value  # Pixel Spacing
        swap = np.diag([columns / rows, rows / columns, 1.0, 1.0])
        series.dicom_affine_transform = series.dicom_affine_transform @ swap
        series.nifti_affine_transform = series.nifti_affine_transform @ swap


class SegmentationApp(Application):
    """DICOM series -> volume -> bundle -> DICOM SEG; input, output and model come from the command line."""

    def compose(self) -> None:
        """Make the operators and join them; called by `run`."""
        context = Application.init_app_context(self.argv)
        metadata = _metadata(Path(context.model_path))
        loader = DICOMDataLoaderOperator(
            self, CountCondition(self, 1), input_folder=Path(context.input_path), name="loader"
        )
        selector = DICOMSeriesSelectorOperator(self, rules=json.dumps(_RULES), name="selector")
        to_volume = CTVolumeOperator(self, name="to_volume")
        bundle = MonaiBundleInferenceOperator(
            self,
            input_mapping=[IOMapping("image", Image, IOType.IN_MEMORY)],
            output_mapping=[IOMapping("pred", Image, IOType.IN_MEMORY)],
            app_context=context,
            name="bundle",
        )
        writer = DICOMSegmentationWriterOperator(
            self,
            segment_descriptions=_segments(metadata),
            output_folder=Path(context.output_path),
            model_info=ModelInfo("medseg", metadata["name"], metadata["version"]),
            custom_tags={"SeriesDescription": f"{metadata['name']}, research only"[:64]},
            name="writer",
        )
        series = {("study_selected_series_list", "study_selected_series_list")}
        self.add_flow(loader, selector, {("dicom_study_list", "dicom_study_list")})
        self.add_flow(selector, to_volume, series)
        self.add_flow(to_volume, bundle, {("image", "image")})
        self.add_flow(bundle, writer, {("pred", "seg_image")})
        self.add_flow(selector, writer, series)


def _metadata(model: Path) -> dict[str, Any]:
    """What `model.ts` tells of the bundle that it was exported from."""
    if not model.is_file():
        raise SystemExit(f"Error: there is no exported network '{model}': pass -m model.ts.")
    files = {"metadata.json": ""}
    torch.jit.load(model, map_location="cpu", _extra_files=files)
    metadata: dict[str, Any] = json.loads(files["metadata.json"] or "{}")
    if "segments" not in metadata:
        raise SystemExit(f"Error: '{model}' names no segments: export a bundle that has them in its metadata.json.")
    return metadata


def _segments(metadata: dict[str, Any]) -> list[SegmentDescription]:
    """The descriptions of labels 1, 2, ... in order."""
    segments = sorted(metadata["segments"].items(), key=lambda item: int(item[0]))
    return [
        SegmentDescription(
            segment_label=segment["label"],
            segmented_property_category=Code(*segment["category"]),
            segmented_property_type=Code(*segment["type"]),
            algorithm_name=metadata["name"][:64],
            algorithm_version=metadata["version"],
        )
        for _, segment in segments
    ]


if __name__ == "__main__":
    SegmentationApp().run()
