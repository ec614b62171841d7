"""What a command is at, on standard error: bars where people look at a terminal, else a line every few seconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

from ubn_sweep.commands.live import console
from ubn_sweep.progress import Advance, At, Lines, Pace, Unit, how_far, shown_by

BAR_WIDTH = 24


@contextmanager
def working(what: str) -> Iterator[At]:
    """Shows a command's steps, and what is counted within them; all of it goes when the block ends."""
    if not console.is_terminal:
        with shown_by(Lines(console.print)):
            yield _lines(what)
        return
    with _display() as display:
        task = display.add_task(what, total=None, far="")

        def at(step: str, done: int = 0, of: int | None = None) -> None:
            far = how_far(done, of) if done or of else ""
            display.update(task, description=f"{what}: {step}", completed=done, total=of, far=far)

        with shown_by(_Rows(display)):
            yield at


@contextmanager
def counted() -> Iterator[None]:
    """Shows what is counted in the block, each by a bar of its own while it lasts; nothing where nothing is."""
    if console.is_terminal:
        with shown_by(_bar_alone):
            yield
    else:
        with shown_by(Lines(console.print)):
            yield


class _Rows:
    """Further bars of a display that is up."""

    def __init__(self, display: Progress) -> None:
        self._display = display

    @contextmanager
    def __call__(self, what: str, *, total: int | None, unit: Unit) -> Iterator[Advance]:
        task = self._display.add_task(what, total=total, far="")
        try:
            yield _advance(self._display, task, total, unit)
        finally:
            self._display.remove_task(task)


@contextmanager
def _bar_alone(what: str, *, total: int | None, unit: Unit) -> Iterator[Advance]:
    with _display() as display, _Rows(display)(what, total=total, unit=unit) as advance:
        yield advance


def _advance(display: Progress, task: TaskID, total: int | None, unit: Unit) -> Advance:
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        display.update(task, completed=done, far=how_far(done, total, unit))

    return advance


def _display() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=BAR_WIDTH),
        TextColumn("{task.fields[far]}", markup=False),
        console=console,
        transient=True,
    )


def _lines(what: str) -> At:
    pace = Pace()

    def at(step: str, done: int = 0, of: int | None = None) -> None:
        if pace.is_due():
            far = f", {how_far(done, of)}" if done or of else ""
            console.print(f"{what}: {step}{far}")

    return at
