"""What medseg overrides or reads of MONAI though its name is private: `monai<1.7` in setup.cfg is for this."""

from configparser import ConfigParser
from pathlib import Path

import pytest
import torch
from monai.engines import SupervisedEvaluator, Workflow
from monai.handlers import CheckpointSaver
from monai.metrics import HausdorffDistanceMetric, SurfaceDiceMetric


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (SupervisedEvaluator, "_iteration"),
        (Workflow, "_register_postprocessing"),
        (HausdorffDistanceMetric, "_compute_tensor"),
        (SurfaceDiceMetric, "_compute_tensor"),
    ],
)
def test_methods_that_are_overridden_exist(owner: type, name: str) -> None:
    assert callable(getattr(owner, name))


def test_attributes_that_are_read_exist(tmp_path: Path) -> None:
    saver = CheckpointSaver(str(tmp_path), {"net": torch.nn.Linear(1, 1)})
    wanted = {"_final_checkpoint", "_final_filename", "_key_metric_checkpoint", "_interval_checkpoint"}
    assert wanted <= vars(saver).keys()


def test_the_next_version_of_monai_is_not_installed_unseen() -> None:
    setup = ConfigParser()
    setup.read(Path(__file__).parents[1] / "setup.cfg")
    assert "monai>=1.6,<1.7" in setup["options"]["install_requires"]
