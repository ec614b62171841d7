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

from ubn_sweep.commands.trials_table import TrialsTable, score, told_of_trials
from ubn_sweep.invocation import as_typed
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.explaining.outlook import Outlook, Watcher
from ubn_sweep.sweep.spec.spec import SweepSpec

REFRESH_S = 0.5
LINE_EVERY_S = 10.0
BAR_WIDTH = 32
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
    return {
        "name": spec.name,
        "folder": str(folder.path),
        "ended": outlook.ended,
        "total": outlook.total,
        "elapsed_s": outlook.elapsed_s,
        "left_s": outlook.left_s,
        "epochs_per_s": outlook.epochs_per_s,
        "counts": outlook.counts,
        **told_of_trials(outlook, spec),
        "line": summary_line(outlook, spec),
    }


def drawn(snapshot: Mapping[str, Any], notice: str | None = None) -> Any:
    """A snapshot as the live table."""
    head = Text.assemble((snapshot["name"], "bold"), f"  {snapshot['folder']}", style="default")
    bar = Table.grid(padding=(0, 2))
    bar.add_column(max_width=BAR_WIDTH)  # the one that gives way where the terminal is narrow
    for _ in range(3):
        bar.add_column(no_wrap=True)
    left = f"{duration(snapshot['left_s'])} left" if snapshot["left_s"] is not None else "…"
    bar.add_row(
        ProgressBar(total=snapshot["total"], completed=snapshot["ended"]),
        f"{snapshot['ended']}/{snapshot['total']} trials",
        f"{duration(snapshot['elapsed_s'])} gone, {left}",
        f"{snapshot['epochs_per_s']:.1f} epochs/s",
    )
    counts = Text("  ".join(f"{n} {status}" for status, n in snapshot["counts"].items()), style="dim")
    parts: list[Any] = [head, bar, counts, TrialsTable(snapshot)]
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


def say(*parts: str | tuple[str, str]) -> None:
    """A line for people, whose commands can be pasted.

    Texts as they are, or with a style: `say("next: ", (command, "bold"))`.
    """
    console.print(
        Text.assemble(
            *(as_typed(part) if isinstance(part, str) else (as_typed(part[0]), part[1]) for part in parts)
        )
    )


def prose(line: str) -> None:
    """A sentence for people, which a terminal gets wrapped between words. What is to be pasted goes through `say`."""
    console.print(Text(as_typed(line)), soft_wrap=False)


def warn(line: str) -> None:
    """A line that should not be missed."""
    say((line, "yellow"))


def print_json(content: dict[str, Any]) -> None:
    """The machine-readable end: one object on one line."""
    print(json.dumps(content, allow_nan=False), flush=True)
