"""The trials of sweeps beside a table of the paper: means, intervals, counts, and how the trainings differ."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from scipy import stats

from ubn_sweep.dotted import flatten
from ubn_sweep.landscape.baselines import is_batch_norm
from ubn_sweep.landscape.published import PublishedPart, PublishedRow, PublishedTable
from ubn_sweep.landscape.views.numbers import CONFIDENCE, MIN_GROUP
from ubn_sweep.landscape.views.numbers import GroupMean as GroupMean
from ubn_sweep.records.trials import TrialRecord, Trials

ACCURACY, TOP5, SPREAD, EPOCH_S = "val_top1", "val_top5", "val_top1_std", "epoch_s"
WORKERS = "workers"
"""Where there are several."""
PAPERS_LAYER = {
    "norm.name": "ubn",
    "norm.gate": True,
    "norm.centering": True,
    "norm.scaling": "representative",
    "norm.affine": "depthwise",
    "norm.kernel_size": 3,
}
"""Its thresholds differ from row to row."""
BUILT_IN = ("cifar10", "cifar100", "digits", "mnist", "fashionmnist")
"""Data sets whose names say what they are."""
SUBSETS, ALL = ("dataset.train_examples", "dataset.test_examples"), "all"
IN_WORDS = {
    "dataset.validate_on_test": "accuracies are of images held out of the training set, in the paper of the test set"
}
"""Differences that their key does not tell."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One completed trial: a network, a normalization, a number of seeds."""

    sweep: str
    trial: int
    config: dict[str, Any]
    """By dotted keys."""
    workers: int
    """Processes that trained it, each with a batch of its own."""
    curve: dict[int, float]
    """Epoch -> accuracy, a share; over several seeds their mean."""
    seconds: dict[int, float]
    """Epoch -> what training had taken by then."""
    top5: float | None
    std: float | None
    """Over its seeds; None for one."""

    @property
    def seeds(self) -> int:
        return int(self.config.get("repeats", 1))

    @property
    def accuracy(self) -> float:
        """After its last epoch."""
        return self.curve[max(self.curve)]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What sweeps measured of one row; one for each threshold, where they tried several."""

    threshold: float | None
    """None where the layer has no gate."""
    trials: tuple[str, ...]
    """`NAME/3`: which they are."""
    top1: GroupMean | None
    """In percent, over all seeds; None where the table tells times."""
    top5: float | None
    epochs: GroupMean | None = None
    """Until they were as accurate as BatchNorm's mean, of those that were; None elsewhere."""
    seconds: GroupMean | None = None
    never: int = 0
    """How many never were."""


@dataclass(frozen=True, kw_only=True)
class RowBeside:
    """A row of the paper's, and what was measured of it; no cell where nothing was."""

    dataset: str
    published: PublishedRow
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True)
class TableBeside:
    """A whole table."""

    rows: tuple[RowBeside, ...]
    differences: tuple[str, ...]
    """How the trainings differ from the paper's, a line each: `training.epochs is 15, in the paper 200`."""
    left_out: int
    """Trials without a place in it: of other networks or layers, or not completed."""

    @property
    def tells_times(self) -> bool:
        """Whether it compares times and epochs, not accuracies."""
        return any(row.published.seconds is not None for row in self.rows)


def measured(sweep: str, trials: Trials) -> list[Measured]:
    """The completed trials of a sweep that report accuracies."""
    found = (_measured(sweep, trial) for trial in trials)
    return [one for one in found if one is not None]


def _measured(sweep: str, trial: TrialRecord) -> Measured | None:
    curve = {epoch: value for epoch, value in trial.values(ACCURACY).items() if math.isfinite(value)}
    ended_well = trial.status == "completed" or (
        trial.ended is not None and trial.ended.stopped_by == "target"
    )
    if not ended_well or not curve or max(curve) != trial.last_epoch:
        return None
    total, seconds = 0.0, {}
    for epoch, value in trial.values(EPOCH_S).items():
        total += value
        seconds[epoch] = total
    last = trial.epochs[trial.last_epoch].metrics
    return Measured(
        sweep=sweep,
        trial=trial.number,
        config=flatten(trial.created.config),
        workers=round(last.get(WORKERS, 1)),
        curve=curve,
        seconds=seconds,
        top5=last.get(TOP5),
        std=last.get(SPREAD),
    )


def beside_paper(
    table: PublishedTable, found: Sequence[Measured], *, seen: int, dataset: str | None = None
) -> TableBeside:
    """The table with what was measured beside it.

    Args:
        seen: how many trials there were in all.
        dataset: what data sets of one's own names (`parquet`, `imagefolder`, `module:Class`) stand for; None: that of
            the table, where it has one alone.
    """
    rows: list[RowBeside] = []
    placed: list[tuple[PublishedPart, PublishedRow, Measured]] = []
    for part in table.parts:
        here = [one for one in found if _dataset_of(one, table, dataset) == part.dataset]
        baselines = {
            row.model: [one for one in here if _belongs(one, row)] for row in part.rows if row.norm == "bn"
        }
        for row in part.rows:
            members = [one for one in here if _belongs(one, row)]
            placed += [(part, row, one) for one in members]
            target = _mean_of(baselines.get(row.model, []))
            cells = tuple(
                _cell([one for one in members if _threshold(one) == threshold], row, threshold, target)
                for threshold in dict.fromkeys(_threshold(one) for one in members)
            )
            rows.append(RowBeside(dataset=part.dataset, published=row, cells=cells))
    return TableBeside(
        rows=tuple(rows),
        differences=_differences(placed),
        left_out=seen - len({(one.sweep, one.trial) for _, _, one in placed}),
    )


def pooled(parts: Iterable[tuple[int, float, float | None]]) -> GroupMean | None:
    """Mean, standard deviation and 95% interval of all values, given (n, mean, std) of groups of them.

    A group of several without a std leaves the whole without one. None without any group.
    """
    groups = list(parts)
    n = sum(count for count, _, _ in groups)
    if n == 0:
        return None
    mean = sum(count * value for count, value, _ in groups) / n
    known = all(count == 1 or (std is not None and math.isfinite(std)) for count, _, std in groups)
    if n < 2 or not known:
        return GroupMean(n=n, mean=mean, std=None, low=None, high=None)
    within = sum((count - 1) * (std or 0.0) ** 2 for count, _, std in groups)
    between = sum(count * (value - mean) ** 2 for count, value, _ in groups)
    std = math.sqrt((within + between) / (n - 1))
    if n < MIN_GROUP:
        return GroupMean(n=n, mean=mean, std=std, low=None, high=None)
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, n - 1)) * std / math.sqrt(n)
    return GroupMean(n=n, mean=mean, std=std, low=mean - half, high=mean + half)


def _cell(members: list[Measured], row: PublishedRow, threshold: float | None, target: float | None) -> Cell:
    names = tuple(f"{one.sweep}/{one.trial}" for one in members)
    if row.seconds is None:
        percents = [
            (one.seeds, 100 * one.accuracy, None if one.std is None else 100 * one.std) for one in members
        ]
        top5 = [(one.seeds, 100 * one.top5) for one in members if one.top5 is not None]
        seeds = sum(count for count, _ in top5)
        return Cell(
            threshold=threshold,
            trials=names,
            top1=pooled(percents),
            top5=sum(count * value for count, value in top5) / seeds if seeds else None,
        )
    reached = {
        (one.sweep, one.trial): _reached(one, target) if row.norm != "bn" else max(one.curve)
        for one in members
    }
    there = [(one, epoch) for one in members if (epoch := reached[one.sweep, one.trial]) is not None]
    return Cell(
        threshold=threshold,
        trials=names,
        top1=None,
        top5=None,
        epochs=pooled((1, float(epoch), None) for _, epoch in there),
        seconds=pooled((1, one.seconds[epoch], None) for one, epoch in there if epoch in one.seconds),
        never=len(members) - len(there),
    )


def _reached(one: Measured, target: float | None) -> int | None:
    """The first epoch at which a trial was as accurate as BatchNorm in the end; None where it never was."""
    if target is None:
        return None
    return next((epoch for epoch in sorted(one.curve) if one.curve[epoch] >= target), None)


def _mean_of(members: list[Measured]) -> float | None:
    found = pooled((one.seeds, one.accuracy, None) for one in members)
    return None if found is None else found.mean


def _belongs(one: Measured, row: PublishedRow) -> bool:
    config = one.config
    if config.get("model.name") != row.model:
        return False
    if row.batch_size is not None and config.get("training.batch_size") != row.batch_size:
        return False
    if row.norm == "bn":
        return is_batch_norm(config)
    if row.norm == "ubn":
        return all(config.get(key) == value for key, value in PAPERS_LAYER.items())
    return bool(config.get("norm.name") == row.norm)


def _threshold(one: Measured) -> float | None:
    value = one.config.get("norm.threshold")
    return None if value is None else float(value)


def _dataset_of(one: Measured, table: PublishedTable, dataset: str | None) -> str:
    name = str(one.config.get("dataset.name"))
    if name in BUILT_IN:
        return name
    names = {part.dataset for part in table.parts}
    return dataset if dataset is not None else names.pop() if len(names) == 1 else name


def _differences(placed: list[tuple[PublishedPart, PublishedRow, Measured]]) -> tuple[str, ...]:
    """Each once, in the order in which they are found."""
    lines: dict[str, None] = {}
    for part, row, one in placed:
        for key, wanted in part.protocol.items():
            there = one.config.get(key, False if wanted is True else None)
            there = ALL if key in SUBSETS and there is None else there
            there = list(there) if isinstance(there, tuple) else there
            if there != wanted:
                lines[IN_WORDS.get(key, f"{key} is {there}, in the paper {wanted}")] = None
        gpus = part.gpus if row.gpus is None else row.gpus
        batches = int(one.config.get("training.accumulate", 1)) * one.workers
        if batches != gpus:
            lines[f"a step takes {batches} batches with statistics of their own, in the paper {gpus}"] = None
    return tuple(lines)
