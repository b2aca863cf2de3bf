"""Evaluations of the same images beside each other."""

from collections.abc import Collection, Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from medseg.errors import InputError
from medseg.results.intervals import holm, mean_interval, paired_p_value
from medseg.results.report.reading import Results, Score, read_results

_SHOWN = 5
_LETTERS = ascii_uppercase  # what the text calls the runs


def compare_runs(folders: Sequence[Path], metric: str | None = None, without: Collection[str] = ()) -> dict[str, Any]:
    """Compare evaluations on the images that they share.

    Args:
        folders: two or more output folders of evaluations. Each is compared with the first.
        metric: a column of their `images.csv`; None for the Dice that all of them have.
        without: names of images to leave out, for example those that are in the training set too.

    Returns:
        Plain values. `sets`: per test set, and over all of them if there are several, `images`, `means` (mean, low,
        high of each run) and `differences` (later run less first one: mean, low, high, `p`, `p_holm`, `wins`,
        `losses`). `largest`: for each later run the images with the largest losses and gains, worst first.

    Raises:
        InputError: there are fewer than two folders, one is no evaluation, the metric is missing or ambiguous, or the
            runs share fewer than two images.
    """
    if len(folders) < 2:
        raise InputError("A comparison needs two or more folders: give the output_dir of each evaluation.")
    runs = [read_results(folder) for folder in folders]
    for run in runs:
        if not run.scores:
            raise InputError(f"'{run.folder}' holds no images.csv: give the output_dir of an evaluation.")
    metric = _metric(runs, metric)
    left_out = set(without)
    tables = [_values(run, metric, left_out) for run in runs]
    shared = [image for image in tables[0] if all(image in table for table in tables)]
    if len(shared) < 2:
        raise InputError(
            f"{', '.join(str(folder) for folder in folders)} share {len(shared)} images with a value of {metric}: "
            "compare evaluations of the same test sets."
        )
    names = list(dict.fromkeys(set_name for set_name, _ in shared))
    groups = {name: [image for image in shared if image[0] == name] for name in names}
    if len(groups) > 1:
        groups["all images"] = shared
    return {
        "schema": "medseg-comparison-1",
        "runs": [str(folder) for folder in folders],
        "metric": metric,
        "shared": len(shared),
        "only_in_some": len(set().union(*tables)) - len(shared),
        "left_out": sorted(left_out & {score.case for run in runs for score in run.scores}),
        "sets": {
            name: _compare([[table[image] for image in images] for table in tables]) for name, images in groups.items()
        },
        "largest": [_largest(tables[0], table, shared) for table in tables[1:]],
    }


def comparison_text(comparison: dict[str, Any]) -> str:
    """The comparison as a table of text."""
    lines = [f"{comparison['metric']}: mean [95 % interval over the images]"]
    lines += [f"  {letter}: {run}" for letter, run in zip(_LETTERS, comparison["runs"], strict=False)]
    for name, found in comparison["sets"].items():
        lines.append(f"{name}, {found['images']} images")
        lines += [f"  {letter}  {_interval(mean)}" for letter, mean in zip(_LETTERS, found["means"], strict=False)]
        for letter, difference in zip(_LETTERS[1:], found["differences"], strict=False):
            lines.append(
                f"  {letter} - A  {_interval(difference)}, p = {difference['p_holm']:.4f} "
                f"(better on {difference['wins']}, worse on {difference['losses']})"
            )
    for letter, found in zip(_LETTERS[1:], comparison["largest"], strict=False):
        lines.append(f"largest differences, {letter} - A")
        lines += [f"  {image['difference']:+.4f}  {image['set']}  {image['image']}" for image in found]
    notes = [f"{comparison['only_in_some']} images are not in all runs."] if comparison["only_in_some"] else []
    notes += [f"{len(comparison['left_out'])} images were left out."] if comparison["left_out"] else []
    return "\n".join([*lines, *notes])


def _interval(found: dict[str, float]) -> str:
    return f"{found['mean']:.4f} [{found['low']:.4f}, {found['high']:.4f}]"


def _metric(runs: Sequence[Results], metric: str | None) -> str:
    common = [name for name in runs[0].metrics if all(name in run.metrics for run in runs)]
    if metric is None:
        dice = [name for name in runs[0].dice if name in common]
        if len(dice) != 1:
            raise InputError(
                f"The runs share {len(dice)} Dice columns: choose one with --metric ({', '.join(common)})."
            )
        return dice[0]
    if metric not in common:
        raise InputError(f"Not all runs have the column {metric}: choose one of {', '.join(common) or 'none'}.")
    return metric


def _values(run: Results, metric: str, without: Collection[str]) -> dict[tuple[str, str], float]:
    def known(score: Score) -> bool:
        return score.values[metric] is not None and score.case not in without

    return {(score.set_name, score.case): float(score.values[metric] or 0) for score in run.scores if known(score)}


def _compare(columns: list[list[float]]) -> dict[str, Any]:
    first, *others = columns
    differences: list[dict[str, Any]] = []
    for other in others:
        pairs = [mine - reference for mine, reference in zip(other, first, strict=True)]
        p_value = paired_p_value(other, first) if len(pairs) > 1 else 1.0
        wins, losses = sum(pair > 0 for pair in pairs), sum(pair < 0 for pair in pairs)
        differences.append({**mean_interval(pairs)._asdict(), "p": p_value, "wins": wins, "losses": losses})
    for difference, p_value in zip(differences, holm([one["p"] for one in differences]), strict=True):
        difference["p_holm"] = p_value
    means = [mean_interval(column)._asdict() for column in columns]
    return {"images": len(first), "means": means, "differences": differences}


def _largest(
    first: dict[tuple[str, str], float], other: dict[tuple[str, str], float], shared: Sequence[tuple[str, str]]
) -> list[dict[str, Any]]:
    ordered = sorted(shared, key=lambda image: other[image] - first[image])
    ends = ordered[:_SHOWN] + ordered[max(_SHOWN, len(ordered) - _SHOWN) :]
    found = [{"set": image[0], "image": image[1], "difference": other[image] - first[image]} for image in ends]
    return [image for image in found if image["difference"]]
