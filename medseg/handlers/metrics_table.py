import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from monai.utils import CommonKeys, ImageMetaKey, ensure_tuple, evenly_divisible_all_gather, string_list_all_gather

from medseg.data.batches import batch_items
from medseg.files import atomic_write
from medseg.metrics.column_metric import ColumnMetric, MetricColumn
from medseg.results.intervals import mean_interval
from medseg.results.tables import METRIC_COLUMNS, write_csv

_ALL = "all images"
_MEAN = "value of each image, mean over the images"


class MetricsTable:
    """One table of an evaluation over several named test sets: a line per set, a column per metric.

    The test sets are evaluated as one concatenated dataset, whose items hold the name of their set as `set_name` (else
    it is `images`) and as `image` a MetaTensor, whose file name tells the images apart. At the end of the epoch the
    values per image are gathered over the processes, ordered as in the dataset, freed of the images that a distributed
    sampler repeated (same set and file name), and averaged per set with equal weight for every image. With more than
    one set a last line, `all images`, averages over every image of every set.

    The table goes to the log (with a legend) and, written by rank 0 alone, to `table.csv` and `table.md` in
    `output_dir`. In the log and in `table.md` a Dice has the 95 % interval of its mean (`mean_interval`). The values
    of each image go to `images.csv`, what each column means to `columns.json`, which `medseg report` and `compare`
    read. An image without a value (NaN) is left out of its mean, and the log says how many there were. A set whose
    images all lack a value shows nan.

    Args:
        output_dir: folder of the files; made when missing.
        metrics: names in `engine.state.metric_details` and the headings of their columns: one for values `[N, 1]`, a
            list for `[N, C]`, or None for a `medseg.metrics.ColumnMetric`, which declares its columns itself and may be
            switched off. For example `{mean_dice: Dice@0.5, saliency: null}`.
        dice: which of `metrics`, one name or several, are the Dice of the masks as they are delivered. The report
            plots their columns and orders cases by them. A `ColumnMetric` says this itself too.

    Raises:
        ValueError: when `metrics` is empty or lacks one of `dice`, or (at the end of the epoch) when the engine has no
            such metric, the number of headings does not fit, or the values do not belong to the images one to one.
    """

    def __init__(
        self, output_dir: str | Path, metrics: Mapping[str, str | Sequence[str] | None], dice: str | Sequence[str] = ()
    ) -> None:
        if not metrics:
            raise ValueError("MetricsTable needs at least one metric, for example {mean_dice: Dice@0.5}.")
        if unknown := sorted(set(ensure_tuple(dice)) - metrics.keys()):
            raise ValueError(f"dice names {', '.join(unknown)}, which is none of the metrics: {', '.join(metrics)}.")
        self.output_dir = Path(output_dir)
        self.metrics = metrics
        self.dice = ensure_tuple(dice)
        self._sets: list[str] = []
        self._files: list[str] = []

    def attach(self, engine: Engine) -> None:
        """Tabulate the epochs of an evaluator whose metrics are attached already (MONAI's attach them first)."""
        engine.add_event_handler(Events.EPOCH_STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def _start(self, _engine: Engine) -> None:
        self._sets, self._files = [], []

    def _collect(self, engine: Engine) -> None:
        for item in batch_items(engine.state.batch):
            meta = getattr(item[CommonKeys.IMAGE], "meta", {})
            # images that come from no file are told apart by their place in the run
            place = f"rank {idist.get_rank()}, image {len(self._files)}"
            self._files.append(str(meta.get(ImageMetaKey.FILENAME_OR_OBJ, place)))
            self._sets.append(str(item.get("set_name", "images")))

    def __call__(self, engine: Engine) -> None:
        """Make the table from the state of an engine that has completed an epoch."""
        groups, files = self._rows_of_sets()
        if idist.get_rank() != 0:
            return
        details = getattr(engine.state, "metric_details", {})
        summaries = getattr(engine.state, "metric_summaries", {})
        lines: dict[str, dict[str, float]] = {name: {} for name in groups}
        legend: dict[str, MetricColumn] = {}
        images: list[torch.Tensor] = []
        for metric, heads in self.metrics.items():
            if heads is None and metric not in details:
                continue
            values = self._values(details, metric, len(files))
            images.append(values)
            summary: ColumnMetric | None = summaries.get(metric) if heads is None else None
            columns = self._columns(metric, heads, values.shape[1]) if summary is None else summary.columns
            legend.update(columns)
            for name, rows in groups.items():
                if summary is not None:
                    lines[name].update(summary.summarize(rows))
                    continue
                missing = int(values[rows].isnan().any(dim=1).sum())
                if missing:
                    engine.logger.warning(f"{name}: {missing} of {len(rows)} images have no value of {metric!r}.")
                lines[name].update(zip(columns, values[rows].nanmean(dim=0).tolist(), strict=True))
        header = ["set", "images", *legend]
        body = [[name, len(groups[name]), *(line[head] for head in legend)] for name, line in lines.items()]
        values_of_images = torch.cat(images, dim=1).tolist()
        rows_of_images = [
            [name, files[row], *values_of_images[row]] for name, rows in groups.items() if name != _ALL for row in rows
        ]
        write_csv(self.output_dir / "table.csv", header, body, ".6f")
        write_csv(self.output_dir / "images.csv", ["set", "image", *legend], rows_of_images, ".6f")
        told = [[f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in line] for line in body]
        for column, described in enumerate(legend.values()):
            if described.is_dice:  # with its interval; maxima of averaged curves have none
                for line, rows in zip(told, groups.values(), strict=True):
                    line[column + 2] = str(mean_interval([values_of_images[row][column] for row in rows]))
        engine.logger.info(self._write_text([header, *told], legend))
        with atomic_write(self.output_dir / METRIC_COLUMNS) as path:
            path.write_text(json.dumps({head: column._asdict() for head, column in legend.items()}, indent=1) + "\n")

    def _rows_of_sets(self) -> tuple[dict[str, list[int]], list[str]]:
        """Rows of the gathered values for each set, without repeated images, and the file of every row."""
        sets, files = self._sets, self._files
        places = torch.arange(len(files))
        if idist.get_world_size() > 1:
            sets, files = string_list_all_gather(sets), string_list_all_gather(files)
            places = evenly_divisible_all_gather(places, concat=True)
        # rank r of n has the images r, r + n, r + 2n, ...: a stable sort by place restores the dataset
        order = torch.argsort(places, stable=True).tolist()
        unique = {(sets[row], files[row]): row for row in reversed(order)}
        groups: dict[str, list[int]] = {}
        for row in order:
            if unique[sets[row], files[row]] == row:
                groups.setdefault(sets[row], []).append(row)
        if len(groups) > 1:
            groups[_ALL] = [row for rows in groups.values() for row in rows]
        return groups, files

    def _values(self, details: Mapping[str, torch.Tensor], metric: str, count: int) -> torch.Tensor:
        """The values of one metric for all images, `[N, C]`."""
        if metric not in details:
            raise ValueError(
                f"MetricsTable finds no values per image of {metric!r}: attach that metric with "
                f"save_details=True (there are: {', '.join(details) or 'none'})."
            )
        values = details[metric]
        if len(values) != count:
            raise ValueError(f"{metric!r} has {len(values)} values for {count} images.")
        return values.reshape(count, -1).double()

    def _columns(self, metric: str, heads: str | Sequence[str] | None, width: int) -> dict[str, MetricColumn]:
        """The columns of a metric that does not declare them itself, checked against the values per image."""
        names = ensure_tuple(metric if heads is None else heads)
        if len(names) != width:
            raise ValueError(f"{metric!r} has {width} values per image, but {len(names)} column names: {names}.")
        return dict.fromkeys(names, MetricColumn(_MEAN, is_dice=metric in self.dice))

    def _write_text(self, cells: list[list[str]], legend: dict[str, MetricColumn]) -> str:
        """Write header and lines, with the legend, to `table.md`; returns them as text for the log."""
        notes = [f"{head}: {column.meaning}" for head, column in legend.items()]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        rule = ["---", *["---:"] * (len(widths) - 1)]
        rows = [f"| {' | '.join(line)} |" for line in (cells[0], rule, *cells[1:])]
        with atomic_write(self.output_dir / "table.md") as path:
            path.write_text("\n".join([*rows, "", *(f"- {note}" for note in notes), ""]), encoding="utf-8")
        lines = ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in cells]
        return "\n".join(["Evaluation", *lines, *notes])
