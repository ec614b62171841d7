"""What one figure of the report is: name, title, numbers, drawing, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from matplotlib.figure import Figure

from ubn_sweep.landscape.analysis import Landscape
from ubn_sweep.landscape.read import SweepView

View = TypeVar("View")


@dataclass(frozen=True, kw_only=True)
class ReportFigure(Generic[View]):
    """An entry of `FIGURES`. `numbers` computes; all else shows, and takes the sweep and those numbers."""

    name: str
    """Of its file, `figures/NAME.png`, of its place in the page, and of its numbers in `landscape.json`."""
    title: str
    numbers: Callable[[Landscape], View]
    """A view, which is a dataclass: one that the landscape has, or one of this figure's own."""
    applies: Callable[[View], bool]
    """Whether there is something to show; where not, the report leaves the figure out."""
    draw: Callable[[SweepView, View], Figure]
    """Called inside `styled()`."""
    narrow: Callable[[SweepView, View], Figure] | None = None
    """The same for a phone: panels beneath each other. None where the one drawing reads there, too."""
    finding: Callable[[SweepView, View], str]
    """One sentence: what the figure says. Screen readers say it too."""
    how: Callable[[SweepView, View], str]
    """How it was made, with n and spread, and what not to read into it."""
    claims: tuple[str, ...] = ()
    """Kinds of claims that the finding may make, as `landscape/claims.py` names them."""


def always(view: Any) -> bool:
    """For figures that say themselves what is missing."""
    return True
