import json
import shutil
import sys
from pathlib import Path

import pytest
from ignite.engine import Engine, Events
from monai.handlers import MLFlowHandler, StatsHandler

from medseg.bundle import track_run

mlflow = pytest.importorskip("mlflow", reason="needs the extra `tracking`")


@pytest.fixture(scope="module")
def _empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Making the tables takes seconds."""
    folder = tmp_path_factory.mktemp("empty")
    mlflow.MlflowClient(f"sqlite:///{folder}/runs.db").search_experiments()
    return folder / "runs.db"


@pytest.fixture
def folder(_empty_database: Path, tmp_path: Path) -> Path:
    shutil.copy(_empty_database, tmp_path)
    return tmp_path


def tracker(folder: Path, **options: object) -> MLFlowHandler:
    return MLFlowHandler(f"sqlite:///{folder}/runs.db", iteration_log=False, **options)


def engine_of(handler: MLFlowHandler, score: float = 0.5) -> Engine:
    engine = Engine(lambda engine, batch: batch)
    engine.add_event_handler(Events.EPOCH_STARTED, lambda engine: engine.state.metrics.update(score=score))
    handler.attach(engine)
    return engine


def runs(folder: Path) -> list:
    client = mlflow.MlflowClient(f"sqlite:///{folder}/runs.db")
    return client.search_runs(client.get_experiment_by_name("monai_experiment").experiment_id)


@pytest.fixture(autouse=True)
def _hook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "excepthook", lambda *error: None)


def test_without_tracking_nothing_happens() -> None:
    hook = sys.excepthook
    track_run([None, StatsHandler()], ["a.pt"])
    assert sys.excepthook is hook


def test_plain_values_are_parameters_and_expressions_are_not(folder: Path) -> None:
    values = {
        "rate": 0.1,
        "device": "$torch.device('cpu')",
        "sizes": [1, 2],
        "items": ["@rate"],
        "sets": {"a": "/x"},
        "network": {"_target_": "A"},
        "none": None,
        "_meta_": {"name": "B", "version": "1.2.3"},
    }
    (folder / "config_1.json").write_text(json.dumps(values))
    handler = tracker(folder, artifacts=f"{folder} + '/config_1.json'")
    track_run([handler])
    engine_of(handler).run([1], max_epochs=1)
    (run,) = runs(folder)
    found = run.data.params
    assert found.items() >= {"rate": "0.1", "sizes": "[1, 2]", "sets": "{'a': '/x'}", "none": "None"}.items()
    assert (found["bundle_name"], found["bundle_version"]) == ("B", "1.2.3")
    assert found.keys().isdisjoint({"device", "items", "network", "_meta_"})
    client = mlflow.MlflowClient(f"sqlite:///{folder}/runs.db")
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["config_1.json"]


def test_a_run_that_never_ended_is_left_alone(folder: Path) -> None:
    died = tracker(folder)
    engine_of(died, score=0.1).run([1], max_epochs=1)  # MONAI does not end it
    handler = tracker(folder)
    track_run([handler])
    engine_of(handler, score=0.9).run([1], max_epochs=1)
    assert [(run.info.status, run.data.metrics["score"]) for run in runs(folder)] == [
        ("FINISHED", 0.9),
        ("RUNNING", 0.1),
    ]


@pytest.mark.parametrize("output", [{"loss": 0.25}, [{"loss": 0.25}, {"loss": 0.25}]], ids=["batch", "decollated"])
def test_the_loss_of_each_iteration(output: object, folder: Path) -> None:
    handler = MLFlowHandler(f"sqlite:///{folder}/runs.db", tag_name="train_loss")
    track_run([handler])
    engine = Engine(lambda engine, batch: output)
    handler.attach(engine)
    engine.run([1, 2], max_epochs=1)
    (run,) = runs(folder)
    history = handler.client.get_metric_history(run.info.run_id, "train_loss")
    assert [(point.step, point.value) for point in history] == [(1, 0.25), (2, 0.25)]


def test_a_joined_handler_logs_into_the_same_run(folder: Path) -> None:
    handler, second = tracker(folder), tracker(folder)
    validator = engine_of(second, score=0.7)
    track_run([handler], joined=[second])
    engine = engine_of(handler)
    engine.add_event_handler(Events.EPOCH_COMPLETED(every=2), lambda engine: validator.run([1], max_epochs=1))
    engine.run([1], max_epochs=3)
    assert len(runs(folder)) == 1


@pytest.mark.parametrize(("error", "status"), [(ValueError("x"), "FAILED"), (KeyboardInterrupt(), "KILLED")])
def test_an_error_that_ends_the_program_ends_the_run(error: BaseException, status: str, folder: Path) -> None:
    handler = tracker(folder)
    track_run([handler])
    engine = engine_of(handler)

    def fail(engine: Engine) -> None:
        raise error

    engine.add_event_handler(Events.ITERATION_STARTED, fail)
    try:
        engine.run([1], max_epochs=1)
    except type(error):
        sys.excepthook(type(error), error, None)
    assert [run.info.status for run in runs(folder)] == [status]
