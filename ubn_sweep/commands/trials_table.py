"""The trials of a running sweep as a table: the best or the front, and those that run, as wide as the terminal is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table

from ubn_sweep.sweep.deciding.trial import SweepTrial
from ubn_sweep.sweep.explaining.outlook import Outlook
from ubn_sweep.sweep.spec.spec import SweepSpec
from ubn_sweep.texts import as_shown

MOST_ROWS = 12
MOST_OF_FRONT = 6
GAP = 2
"""Columns of the terminal between two of the table."""
Row = tuple[str, list[str]]
"""A style, and cells."""


class TrialsTable:
    """The part of a snapshot that tells of trials, drawn for whichever width it is given."""

    def __init__(self, snapshot: Mapping[str, Any]) -> None:
        self._snapshot = snapshot

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield _table(self._snapshot, options.max_width)


def told_of_trials(outlook: Outlook, spec: SweepSpec) -> dict[str, Any]:
    """What such a table shows, as plain values."""
    keys, task = list(spec.space), spec.find_task()
    best = [outlook.best] if outlook.best is not None else []
    shown = outlook.front[:MOST_OF_FRONT] if outlook.front else best
    return {
        "columns": ["trial", "epoch", *spec.objective.metrics, *(task.short_title(key) for key in keys)],
        "narrow": 2 + len(spec.objective.metrics),
        "best_are": "front" if outlook.front else "best",
        "best": [_cells(trial, spec, keys) for trial in shown],
        "more_best": max(len(outlook.front) - MOST_OF_FRONT, 0),
        "running": [_cells(trial, spec, keys) for trial in outlook.running[:MOST_ROWS]],
        "more": max(len(outlook.running) - MOST_ROWS, 0),
    }


def score(trial: SweepTrial, spec: SweepSpec) -> str:
    """A trial's objective as people read it, or both of them: `93.21%, 3.914 s`."""
    return ", ".join(scores(trial, spec))


def scores(trial: SweepTrial, spec: SweepSpec) -> list[str]:
    """Each objective of a trial's last epoch, as people read it."""
    shown = [spec.metric.text(trial.value)]
    if trial.second is not None:
        second = spec.metrics[1]
        shown.append(second.text(second.better(trial.second)))  # it is kept turned: turned again it is itself
    return shown


def _cells(trial: SweepTrial, spec: SweepSpec, keys: list[str]) -> list[str]:
    shown = scores(trial, spec) if trial.epoch else ["–"] * len(spec.objective.metrics)
    values = [as_shown(trial.params[key]) if key in trial.params else "–" for key in keys]
    return [str(trial.number), f"{trial.epoch}/{spec.base.training.epochs}", *shown, *values]


def _table(snapshot: Mapping[str, Any], width: int) -> Table:
    """Varied values are shown as far as they fit beside what tells how a trial stands; the rest is counted."""
    heads, rows = ["", *snapshot["columns"]], _rows(snapshot)
    widths = [
        max(cell_len(text) for text in (head, *(cells[place] for _, cells in rows if place < len(cells))))
        for place, head in enumerate(heads)
    ]
    shown = _fitting(widths, 1 + snapshot["narrow"], width)
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, GAP // 2))
    for place in range(shown):
        table.add_column(heads[place], justify="right", no_wrap=True, min_width=widths[place])
    if shown < len(heads):
        table.add_column(_more(len(heads) - shown), no_wrap=True)
    for style, cells in rows:
        table.add_row(*cells[:shown], style=style)
    return table


def _rows(snapshot: Mapping[str, Any]) -> list[Row]:
    rows: list[Row] = [("green", [snapshot["best_are"], *cells]) for cells in snapshot["best"]]
    if snapshot["more_best"]:
        rows.append(("green", ["", "…", f"{snapshot['more_best']} more"]))
    rows += [("", ["", *cells]) for cells in snapshot["running"]]
    if snapshot["more"]:
        rows.append(("", ["", "…", f"{snapshot['more']} more"]))
    return rows


def _fitting(widths: list[int], fixed: int, width: int) -> int:
    """How many columns, of which the first are `fixed`, fit with a column that counts the others."""
    if sum(widths) + GAP * (len(widths) - 1) <= width:
        return len(widths)
    room = width - len(_more(len(widths)))
    shown = fixed
    while shown < len(widths) and sum(widths[: shown + 1]) + GAP * (shown + 1) <= room:
        shown += 1
    return shown


def _more(count: int) -> str:
    return f"+{count}"
