"""The terminal while a sweep runs: one live table, or a line now and then where the output is no terminal."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ubn_sweep.invocation import as_typed
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.deciding.trial import SweepTrial
from ubn_sweep.sweep.explaining.outlook import Outlook, Watcher
from ubn_sweep.sweep.spec.spec import SweepSpec
from ubn_sweep.texts import as_shown

REFRESH_S = 0.5
LINE_EVERY_S = 10.0
MOST_ROWS = 12
MOST_OF_FRONT = 6
PIPE_WIDTH = 4000
console = Console(
    stderr=True,
    highlight=False,
    markup=False,  # what users write may look like it
    emoji=False,
    soft_wrap=True,
    width=None
    if sys.stderr is not None and sys.stderr.isatty()
    else PIPE_WIDTH,  # nobody wraps a file's lines
)
IN_JOB = "UBN_SWEEP_IN_JOB"
"""In the environment of a sweep's process that a job server runs: nobody looks at its terminal."""
MARK = "@ubn-sweep "
"""Begins a line that holds a snapshot."""
SNAPSHOT_EVERY_S = 15.0
Notice = Callable[[], str | None]


@contextmanager
def watch_sweep(state: SweepState, folder: SweepFolder, *, notice: Notice = lambda: None) -> Iterator[None]:
    """Shows a sweep until the block ends; `notice` may add a line, on tracking that lags behind for example."""
    watcher = Watcher(state)
    over = threading.Event()
    show = _show_live if console.is_terminal else _show_lines
    if IN_JOB in os.environ:
        show = _show_snapshots
    thread = threading.Thread(target=show, args=(watcher, state.spec, folder, notice, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=5)


def _show_live(
    watcher: Watcher, spec: SweepSpec, folder: SweepFolder, notice: Notice, over: threading.Event
) -> None:
    with Live(console=console, auto_refresh=False, transient=False) as live:
        while True:
            live.update(render(watcher.look(), spec, folder, notice()), refresh=True)
            if over.wait(REFRESH_S):
                break
        live.update(render(watcher.look(), spec, folder, notice()), refresh=True)


def _show_lines(
    watcher: Watcher, spec: SweepSpec, folder: SweepFolder, notice: Notice, over: threading.Event
) -> None:
    console.print(f"{spec.name}: {watcher.look().total} trials, in {folder.path}")
    shown_s, ended = -LINE_EVERY_S, -1
    while not over.wait(REFRESH_S):
        outlook = watcher.look()
        if outlook.ended != ended and time.monotonic() - shown_s >= LINE_EVERY_S:
            console.print(summary_line(outlook, spec))
            shown_s, ended = time.monotonic(), outlook.ended
    console.print(summary_line(watcher.look(), spec))


def _show_snapshots(
    watcher: Watcher, spec: SweepSpec, folder: SweepFolder, notice: Notice, over: threading.Event
) -> None:
    """Lines in a job's log that `commands.jobs` draws as the live table, where somebody follows."""
    last = False
    while not last:
        last = over.wait(SNAPSHOT_EVERY_S)
        snapshot = {**snapshot_of(watcher.look(), spec, folder), "notice": notice()}
        console.print(f"{MARK}{json.dumps(snapshot)}")


def summary_line(outlook: Outlook, spec: SweepSpec) -> str:
    """Progress, time left and the best so far, in one line."""
    counts = ", ".join(f"{n} {status}" for status, n in outlook.counts.items() if n)
    left = (
        f"about {duration(outlook.left_s)} left" if outlook.left_s is not None else "time left not known yet"
    )
    best = (
        f"; best {score(outlook.best, spec)} (trial {outlook.best.number})"
        if outlook.best is not None
        else ""
    )
    if outlook.front:
        best = f"; front of {len(outlook.front)}{best.replace('; best', ', from')}"
    return f"{outlook.ended}/{outlook.total} trials ({counts or 'none ended'}), {left}{best}"


def render(outlook: Outlook, spec: SweepSpec, folder: SweepFolder, notice: str | None) -> Any:
    """The live table."""
    return drawn(snapshot_of(outlook, spec, folder), notice)


def snapshot_of(outlook: Outlook, spec: SweepSpec, folder: SweepFolder) -> dict[str, Any]:
    """What the live table shows, as plain values: it may be drawn on another machine."""
    keys, task = list(spec.space), spec.find_task()
    best = [outlook.best] if outlook.best is not None else []
    shown = outlook.front[:MOST_OF_FRONT] if outlook.front else best
    return {
        "name": spec.name,
        "folder": str(folder.path),
        "ended": outlook.ended,
        "total": outlook.total,
        "elapsed_s": outlook.elapsed_s,
        "left_s": outlook.left_s,
        "epochs_per_s": outlook.epochs_per_s,
        "counts": outlook.counts,
        "columns": ["trial", "epoch", *spec.objective.metrics, *(task.short_title(key) for key in keys)],
        "narrow": 2 + len(spec.objective.metrics),
        "best_are": "front" if outlook.front else "best",
        "best": [_cells(trial, spec, keys) for trial in shown],
        "more_best": max(len(outlook.front) - MOST_OF_FRONT, 0),
        "running": [_cells(trial, spec, keys) for trial in outlook.running[:MOST_ROWS]],
        "more": max(len(outlook.running) - MOST_ROWS, 0),
        "line": summary_line(outlook, spec),
    }


def drawn(snapshot: Mapping[str, Any], notice: str | None = None) -> Any:
    """A snapshot as the live table."""
    head = Text.assemble((snapshot["name"], "bold"), f"  {snapshot['folder']}", style="default")
    bar = Table.grid(padding=(0, 2))
    left = f"{duration(snapshot['left_s'])} left" if snapshot["left_s"] is not None else "…"
    bar.add_row(
        ProgressBar(total=snapshot["total"], completed=snapshot["ended"], width=32),
        f"{snapshot['ended']}/{snapshot['total']} trials",
        f"{duration(snapshot['elapsed_s'])} gone, {left}",
        f"{snapshot['epochs_per_s']:.1f} epochs/s",
    )
    counts = Text("  ".join(f"{n} {status}" for status, n in snapshot["counts"].items()), style="dim")
    parts: list[Any] = [head, bar, counts, _trials(snapshot)]
    if notice is not None:
        parts.append(Text(notice, style="yellow"))
    return Group(*parts)


def duration(seconds: float | None) -> str:
    """1 h 05 min, 3 min 20 s, 12 s."""
    if seconds is None:
        return "unknown"
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"


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


def _trials(snapshot: Mapping[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1))
    narrow = snapshot["narrow"]
    for name in ("", *snapshot["columns"][:narrow]):
        table.add_column(name, justify="right", no_wrap=True)
    for title in snapshot["columns"][narrow:]:
        table.add_column(title, justify="right", overflow="ellipsis", no_wrap=True)
    for cells in snapshot["best"]:
        table.add_row(snapshot["best_are"], *cells, style="green")
    if snapshot["more_best"]:
        table.add_row("", "…", f"{snapshot['more_best']} more", style="green")
    for cells in snapshot["running"]:
        table.add_row("", *cells)
    if snapshot["more"]:
        table.add_row("", "…", f"{snapshot['more']} more")
    return table


def _cells(trial: SweepTrial, spec: SweepSpec, keys: list[str]) -> list[str]:
    shown = scores(trial, spec) if trial.epoch else ["–"] * len(spec.objective.metrics)
    values = [as_shown(trial.params[key]) if key in trial.params else "–" for key in keys]
    return [str(trial.number), f"{trial.epoch}/{spec.base.training.epochs}", *shown, *values]


def say(*parts: str | tuple[str, str]) -> None:
    """A line for people, whose commands can be pasted.

    Texts as they are, or with a style: `say("next: ", (command, "bold"))`.
    """
    console.print(
        Text.assemble(
            *(as_typed(part) if isinstance(part, str) else (as_typed(part[0]), part[1]) for part in parts)
        )
    )


def warn(line: str) -> None:
    """A line that should not be missed."""
    say((line, "yellow"))


def print_json(content: dict[str, Any]) -> None:
    """The machine-readable end: one object on one line."""
    print(json.dumps(content, allow_nan=False), flush=True)
