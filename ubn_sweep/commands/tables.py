"""`table`: what sweeps measured, beside a table of the paper."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from ubn_sweep.commands.common import home_folder
from ubn_sweep.commands.live import console, duration, print_json, say, warn
from ubn_sweep.landscape.beside_paper import Cell, GroupMean, Measured, TableBeside, beside_paper, measured
from ubn_sweep.landscape.published import PublishedRow, published
from ubn_sweep.plain_json import with_nulls
from ubn_sweep.records.folder import find_sweep
from ubn_sweep.records.journal import stream
from ubn_sweep.records.trials import Trials

NOTHING = "–"


def show_table(
    number: int, sweeps: Sequence[str], *, dataset: str | None, home: Path | None, as_json: bool
) -> None:
    """Sets the completed trials of sweeps beside a table of the paper.

    Raises:
        UserError: there is no such sweep.
    """
    figures, place = published(), home_folder(home)
    found: list[Measured] = []
    seen = 0
    for name in sweeps:
        folder = find_sweep(name, place)
        trials = Trials(stream(folder.path))
        found += measured(folder.name, trials)
        seen += len(list(trials))
    beside = beside_paper(figures.tables[number], found, seen=seen, dataset=dataset)
    if as_json:
        content = {"table": number, "source": figures.source, **dataclasses.asdict(beside)}
        print_json(with_nulls(content))
        return
    say((f"table {number}, {figures.tables[number].title}", "bold"), f"  {figures.source}")
    console.print(_times(beside) if beside.tells_times else _accuracies(beside), soft_wrap=False)
    for line in beside.differences:
        warn(f"differs: {line}")
    if beside.left_out:
        say(f"{beside.left_out} trials have no place in it: other networks or layers, or not completed")


def _accuracies(beside: TableBeside) -> Table:
    table = _headed("top-1, paper", "here", "n", "95% interval", "top-5, paper", "here")
    for row in beside.rows:
        paper = row.published
        for cell in row.cells or (None,):
            top1 = None if cell is None else cell.top1
            table.add_row(
                *_names(row.dataset, paper, cell),
                _number(paper.top1),
                _number(None if top1 is None else top1.mean),
                "0" if top1 is None else str(top1.n),
                _interval(top1),
                _number(paper.top5),
                _number(None if cell is None else cell.top5),
            )
    return table


def _times(beside: TableBeside) -> Table:
    table = _headed("epochs, paper", "here", "time, paper", "here", "n", "never as accurate")
    for row in beside.rows:
        paper = row.published
        for cell in row.cells or (None,):
            epochs = None if cell is None else cell.epochs
            seconds = None if cell is None else cell.seconds
            table.add_row(
                *_names(row.dataset, paper, cell),
                str(paper.epochs),
                NOTHING if epochs is None else f"{epochs.mean:g}",
                duration(paper.seconds),
                NOTHING if seconds is None else duration(seconds.mean),
                "0" if epochs is None else str(epochs.n),
                "0" if cell is None else str(cell.never),
            )
    return table


def _headed(*numbers: str) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("data", "model", "batch", "layer"):
        table.add_column(name)
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def _names(dataset: str, paper: PublishedRow, cell: Cell | None) -> tuple[str, str, str, str]:
    threshold = None if cell is None else cell.threshold
    layer = paper.norm if threshold is None else f"{paper.norm}, threshold {threshold:g}"
    return dataset, paper.model, NOTHING if paper.batch_size is None else str(paper.batch_size), layer


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f}"


def _interval(group: GroupMean | None) -> str:
    if group is None or group.low is None or group.high is None:
        return NOTHING
    return f"{group.low:.2f} to {group.high:.2f}"
