import csv
import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from ignite.engine import Engine
from monai.data import DataLoader, Dataset, DistributedSampler, MetaTensor
from monai.engines import SupervisedEvaluator
from monai.handlers import IgniteMetricHandler, from_engine
from monai.metrics import DiceMetric, MeanIoU
from monai.transforms import AsDiscreted, Compose, CopyItemsd

from medseg.handlers import MetricsTable, SaliencyMetrics
from medseg.metrics import SaliencyMetric
from medseg.results.intervals import mean_interval
from medseg.results.report import write_report

pytest.importorskip("py_sod_metrics")
REPO = Path(__file__).parents[2]
SETS = ["Kvasir"] * 3 + ["ETIS"] * 4  # seven images: two processes repeat one
COLUMNS = ["Dice@0.5", "IoU@0.5", *SaliencyMetric.columns]


def items() -> list[dict]:
    generator = torch.Generator().manual_seed(3)
    data = []
    for i, set_name in enumerate(SETS):
        label = torch.zeros(1, 24, 17)
        label[:, 3 : 8 + i, 2:9] = 1
        noisy = (2 * label - 1) * 2 + torch.randn(label.shape, generator=generator) * 2
        # the file names repeat from set to set, as they do in the real ones
        image = MetaTensor(noisy, meta={"filename_or_obj": f"/data/{i % 4}.png"})
        data.append({"image": image, "label": label, "set_name": set_name})
    return data


def evaluate(output_dir: Path, data: list[dict] | None = None, rank: int = 0, world: int = 1) -> SupervisedEvaluator:
    dataset = Dataset(items() if data is None else data)
    sampler = DistributedSampler(dataset, num_replicas=world, rank=rank, shuffle=False) if world > 1 else None
    transforms = [CopyItemsd("pred", names="prob"), AsDiscreted("pred", threshold=0.5)]
    masks = from_engine(["pred", "label"])
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(dataset, batch_size=2, sampler=sampler),
        network=torch.nn.Sigmoid(),
        postprocessing=Compose(transforms),
        key_val_metric={"mean_dice": IgniteMetricHandler(DiceMetric(ignore_empty=False), output_transform=masks)},
        additional_metrics={
            "mean_iou": IgniteMetricHandler(MeanIoU(ignore_empty=False), output_transform=masks),
            "saliency": SaliencyMetrics(from_engine(["prob", "label"])),
        },
        val_handlers=[
            MetricsTable(output_dir, {"mean_dice": "Dice@0.5", "mean_iou": ["IoU@0.5"], "saliency": None}, "mean_dice")
        ],
    )
    evaluator.run()
    return evaluator


def read(path: Path) -> dict[str, dict[str, float]]:
    with open(path, encoding="utf-8", newline="") as file:
        return {line.pop("set"): {name: float(value) for name, value in line.items()} for line in csv.DictReader(file)}


def expected() -> dict[str, dict[str, float]]:
    table = {}
    for set_name in ["Kvasir", "ETIS", "all images"]:
        dice, iou, saliency = DiceMetric(ignore_empty=False), MeanIoU(ignore_empty=False), SaliencyMetric()
        chosen = [item for item in items() if set_name in (item["set_name"], "all images")]
        for item in chosen:
            prob, label = item["image"].as_tensor().sigmoid()[None], item["label"][None]
            dice((prob >= 0.5).float(), label)
            iou((prob >= 0.5).float(), label)
            saliency(prob, label)
        overlaps = {"Dice@0.5": dice.aggregate().item(), "IoU@0.5": iou.aggregate().item()}
        table[set_name] = {"images": len(chosen), **overlaps, **saliency.aggregate()}
    return table


def assert_same(found: dict[str, dict[str, float]], wanted: dict[str, dict[str, float]]) -> None:
    assert list(found) == list(wanted)
    for name, line in wanted.items():
        assert found[name] == pytest.approx(line, abs=2e-6)


def test_a_line_per_set(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        evaluate(tmp_path / "eval")
    found = read(tmp_path / "eval" / "table.csv")
    assert_same(found, expected())
    assert list(found["ETIS"]) == ["images", *COLUMNS]
    written = sorted(path.name for path in (tmp_path / "eval").iterdir())
    assert written == ["columns.json", "images.csv", "table.csv", "table.md"]
    columns = json.loads((tmp_path / "eval" / "columns.json").read_text())
    assert list(columns) == COLUMNS
    assert [name for name, column in columns.items() if column["is_dice"]] == ["Dice@0.5"]
    assert columns["MAE"]["meaning"] == "mean absolute error of the stretched probability map"

    markdown = (tmp_path / "eval" / "table.md").read_text().splitlines()
    assert markdown[0] == f"| set | images | {' | '.join(COLUMNS)} |"
    with open(tmp_path / "eval" / "images.csv", newline="") as file:
        dice = mean_interval([float(row["Dice@0.5"]) for row in csv.DictReader(file) if row["set"] == "Kvasir"])
    assert dice.mean == pytest.approx(found["Kvasir"]["Dice@0.5"], abs=1e-6)
    assert markdown[2].startswith(f"| Kvasir | 3 | {dice} | {found['Kvasir']['IoU@0.5']:.4f} |")
    assert "- mDice256: Dice of the stretched probability map, mean over 256 thresholds" in markdown

    logged = next(r.getMessage() for r in caplog.records if r.getMessage().startswith("Evaluation"))
    rows = logged.splitlines()[1:5]
    assert len({len(row) for row in rows}) == 1
    assert rows[2].split()[:3] == ["ETIS", "4", f"{found['ETIS']['Dice@0.5']:.4f}"]
    assert "Dice@0.5: value of each image, mean over the images" in logged


def test_the_values_of_each_image(tmp_path: Path) -> None:
    evaluate(tmp_path)
    with open(tmp_path / "images.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["set", "image", *COLUMNS]
    assert [(row["set"], row["image"]) for row in rows] == [(name, f"/data/{i % 4}.png") for i, name in enumerate(SETS)]
    for row, item in zip(rows, items(), strict=True):
        prob, label = item["image"].as_tensor().sigmoid()[None], item["label"][None]
        saliency = SaliencyMetric()
        saliency(prob, label)
        values = {"Dice@0.5": DiceMetric()((prob >= 0.5).float(), label).item(), **saliency.aggregate()}
        assert {name: float(row[name]) for name in values} == pytest.approx(values, abs=2e-6)


def test_the_report_reads_what_the_table_says(tmp_path: Path) -> None:
    evaluate(tmp_path)
    text = write_report(tmp_path).read_text(encoding="utf-8")
    assert re.findall(r'class="plot"[^>]* alt="([^:]*):', text) == ["Dice@0.5, Kvasir", "Dice@0.5, ETIS"]
    with open(tmp_path / "images.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    worst = sorted(rows, key=lambda row: float(row["Dice@0.5"]))
    table = text[text.index("Each image, the worst first") :]
    cells = re.findall(r'<tr><td data-value="([^"]*)">[^<]*</td><td data-value="([^"]*)">', table)
    assert cells == [(Path(row["image"]).stem, row["set"]) for row in worst]


def test_a_repeated_image_counts_once(tmp_path: Path) -> None:
    data = items()
    evaluate(tmp_path, [*data, data[0], data[4]])
    assert_same(read(tmp_path / "table.csv"), expected())


def test_one_set_without_a_name(tmp_path: Path) -> None:
    data = [{key: value for key, value in item.items() if key != "set_name"} for item in items()[:3]]
    evaluate(tmp_path, data)
    found = read(tmp_path / "table.csv")
    assert list(found) == ["images"]
    assert found["images"] == pytest.approx(expected()["Kvasir"], abs=2e-6)


@pytest.mark.slow
def test_two_processes_give_the_same_table(tmp_path: Path) -> None:
    """With seven images one of two processes repeats the first image."""
    script = f"import {Path(__file__).stem} as test; test.main()"
    python_path = os.pathsep.join([str(REPO), str(Path(__file__).parent)])
    workers = []
    for rank in range(2):
        env = {**os.environ, "PYTHONPATH": python_path, "OMP_NUM_THREADS": "1", "TEST_FOLDER": str(tmp_path)}
        env |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
        workers.append(subprocess.Popen([sys.executable, "-c", script], env=env, stderr=subprocess.PIPE, text=True))
    for worker in workers:
        _, errors = worker.communicate(timeout=3600)
        assert worker.returncode == 0, errors
    assert_same(read(tmp_path / "rank0" / "table.csv"), expected())
    assert not (tmp_path / "rank1").exists()


def main() -> None:
    """What each of the two processes runs."""
    rank, folder = int(os.environ["RANK"]), Path(os.environ["TEST_FOLDER"])
    store = f"file://{folder}/store"
    torch.distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    evaluate(folder / f"rank{rank}", rank=rank, world=2)
    torch.distributed.destroy_process_group()


def run_with_details(table: MetricsTable, details: dict[str, torch.Tensor], images: int = 2) -> None:
    engine = Engine(lambda _engine, batch: batch)
    engine.state.metric_details = details
    table.attach(engine)
    image = {"image": torch.zeros(1, 2, 3)}  # a tensor without a file name
    engine.run([[image] * images])


def test_missing_values_are_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = torch.tensor([[0.5, 1.0], [float("nan"), 0.25]])
    run_with_details(MetricsTable(tmp_path, {"dice": ["a", "b"]}), {"dice": values})
    assert read(tmp_path / "table.csv")["images"] == {"images": 2, "a": 0.5, "b": 0.625}
    rows = [line.rsplit(",", 2)[1:] for line in (tmp_path / "images.csv").read_text().splitlines()]
    assert rows == [["a", "b"], ["0.500000", "1.000000"], ["nan", "0.250000"]]
    assert "images: 1 of 2 images have no value of 'dice'." in caplog.messages


def test_a_metric_heads_its_own_column(tmp_path: Path) -> None:
    run_with_details(MetricsTable(tmp_path, {"dice": None}), {"dice": torch.tensor([0.25, 0.75])})
    assert read(tmp_path / "table.csv")["images"] == {"images": 2, "dice": 0.5}


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({"mean_dise": "Dice"}, r"no values per image of 'mean_dise'.*there are: dice"),
        ({"dice": ["a", "b"]}, "1 values per image, but 2 column names"),
    ],
)
def test_wrong_names(tmp_path: Path, metrics: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run_with_details(MetricsTable(tmp_path, metrics), {"dice": torch.zeros(2, 1)})
    assert not list(tmp_path.iterdir())


def test_values_and_images_must_match(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'dice' has 2 values for 3 images"):
        run_with_details(MetricsTable(tmp_path, {"dice": "Dice"}), {"dice": torch.zeros(2, 1)}, images=3)
    with pytest.raises(ValueError, match="at least one metric"):
        MetricsTable(tmp_path, {})
    with pytest.raises(ValueError, match="dice names mean_dise, which is none of the metrics: mean_dice"):
        MetricsTable(tmp_path, {"mean_dice": "Dice"}, dice="mean_dise")
