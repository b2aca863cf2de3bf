"""`--tracking mlflow` of MONAI's command line, for training, evaluation and inference; into a local SQLite file."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from running import command, environment, run_command, run_here

from medseg import __version__

mlflow = pytest.importorskip("mlflow", reason="needs the extra `tracking`")
pytestmark = pytest.mark.slow

BUNDLE = "ssformer_polyp_segmentation"
SMALL = ("train", "variants/smoke")
NETWORK = {"encoder": "mit_b0", "decoder_channels": 16, "image_size": 64}


class Run:
    """The one run of a name in a folder's database, or the one of all, as MLflow's own client reads it."""

    def __init__(self, folder: Path, name: str | None = None) -> None:
        self.client = mlflow.MlflowClient(f"sqlite:///{folder}/mlruns.db")
        experiment = self.client.get_experiment_by_name("monai_experiment")
        assert experiment.artifact_location == (folder / "mlruns").as_uri()
        found = self.client.search_runs(experiment.experiment_id)
        (run,) = [run for run in found if name in (None, run.info.run_name)]
        self.id, self.status = run.info.run_id, run.info.status
        self.params, self.metrics = run.data.params, run.data.metrics

    def history(self, name: str) -> dict[int, float]:
        return {point.step: point.value for point in self.client.get_metric_history(self.id, name)}

    def files(self) -> dict[str, Path]:
        found = [file.path for file in self.client.list_artifacts(self.id)]
        return {path: Path(self.client.download_artifacts(self.id, path)) for path in found}


def start(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of two epochs by the command line, started in a folder of its own."""
    folder = tmp_path_factory.mktemp("tracked")
    options = {"output_dir": folder / "out", "ckpt_dir": folder / "out" / "models", "epochs": 2}
    options |= {"tracking": "mlflow", "run_name": "first"}
    (folder / "elsewhere").mkdir()
    done = start(command("training", BUNDLE, *SMALL, **options), folder / "elsewhere")
    assert done.returncode == 0, done.stderr
    return folder


def test_training_is_tracked(trained: Path) -> None:
    run = Run(trained / "out", "first")
    assert run.status == "FINISHED"
    values = {"epochs": "2", "max_epochs": "2", "encoder": "mit_b0", "learning_rate": "0.0001", "phantoms": "15"}
    assert values.items() <= run.params.items()
    versions = {"medseg_version": __version__, "torch_version": torch.__version__, "bundle_version": "0.1.0"}
    assert versions.items() <= run.params.items()
    steps = int(run.params["epoch_length"])
    assert list(run.history("train_loss")) == list(range(1, 2 * steps + 1))
    assert list(run.history("val_mean_dice")) == [1, 2]
    assert all(0 <= value <= 1 for value in run.history("val_mean_dice").values())
    assert {path.name for path in trained.iterdir()} == {"elsewhere", "out"}
    assert list((trained / "elsewhere").iterdir()) == []


def test_training_keeps_its_config_and_its_best_weights(trained: Path) -> None:
    files = Run(trained / "out", "first").files()
    (name,) = files.keys() - {"model.pt"}
    config = json.loads(files[name].read_text())
    assert (config["epochs"], config["output_dir"]) == (2, str(trained / "out"))
    assert files["model.pt"].read_bytes() == (trained / "out" / "models" / "model.pt").read_bytes()


def test_evaluation_is_tracked(trained: Path, tmp_path: Path) -> None:
    pytest.importorskip("py_sod_metrics")
    folders = {"output_dir": str(tmp_path), "phantom_dir": str(trained / "out/phantoms")}
    folders["ckpt_dir"] = str(trained / "out/models")
    run_here("evaluating", BUNDLE, *SMALL, "evaluate", tracking="mlflow", **folders)
    run = Run(tmp_path)
    assert run.status == "FINISHED"
    assert {"val_mean_dice", "val_mean_iou", "Sm", "MAE"} <= run.metrics.keys()
    with open(tmp_path / "table.csv") as file:
        (row,) = csv.DictReader(file)
    assert run.history("val_mean_dice") == {1: pytest.approx(float(row["Dice@0.5"]), abs=1e-4)}
    assert run.params["image_size"] == "64"
    (config,) = run.files().values()
    assert json.loads(config.read_text())["output_dir"] == str(tmp_path)


def test_inference_is_tracked_where_its_settings_say(trained: Path, tmp_path: Path) -> None:
    images = str(trained / "out" / "phantoms" / "images")
    settings = {"tracking": "mlflow", "run_name": "mine", "tracking_uri": f"sqlite:///{tmp_path}/mlruns.db"}
    folders = {"dataset_dir": images, "output_dir": str(tmp_path / "masks"), "ckpt_dir": str(trained / "out/models")}
    run_here("inferring", BUNDLE, "inference", **folders, **settings, **NETWORK)
    run = Run(tmp_path, "mine")
    assert (run.status, run.params["epoch_length"], run.params["encoder"]) == ("FINISHED", "15", "mit_b0")
    (config,) = run.files().values()
    assert json.loads(config.read_text())["dataset_dir"] == images


def test_an_error_in_the_middle_ends_the_run_as_failed(trained: Path, tmp_path: Path) -> None:
    folders = {"output_dir": trained / "out", "ckpt_dir": tmp_path}
    settings = {"tracking": "mlflow", "run_name": "wrong", "network_def::in_channels": 1}
    assert run_command("training", BUNDLE, *SMALL, **folders, **settings).returncode == 1
    assert Run(trained / "out", "wrong").status == "FAILED"


def test_several_processes_are_one_run(trained: Path, tmp_path: Path) -> None:
    folders = {"output_dir": tmp_path, "ckpt_dir": tmp_path, "phantom_dir": trained / "out/phantoms"}
    arguments = command("training", BUNDLE, *SMALL, "multi_gpu_train", tracking="mlflow", device="cpu", **folders)
    done = start(["torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", *arguments], tmp_path)
    assert done.returncode == 0, done.stderr
    run = Run(tmp_path)
    assert run.status == "FINISHED"
    assert list(run.history("val_mean_dice")) == [1]
    assert "model.pt" in run.files()


def test_training_that_does_not_split_its_batches_is_tracked(tmp_path: Path) -> None:
    folders = {"output_dir": str(tmp_path), "ckpt_dir": str(tmp_path / "models")}
    run_here("training", "msformer_lung_ct_segmentation", *SMALL, tracking="mlflow", epochs=1, **folders)
    run = Run(tmp_path)
    assert run.status == "FINISHED"
    assert list(run.history("train_loss")) == [1]
    assert "model.pt" in run.files()
