"""What one figure of the report is: its name, its title, when it is drawn, how, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from ubn_sweep.landscape.analysis import Landscape


@dataclass(frozen=True, kw_only=True)
class ReportFigure:
    """An entry of `FIGURES`. None of its functions computes: the numbers are the landscape's."""

    name: str
    """Of its file, `figures/NAME.png`, and of its place in the page."""
    title: str
    applies: Callable[[Landscape], bool]
    """Whether the sweep has something for it; where not, the report leaves it out."""
    draw: Callable[[Landscape], Figure]
    """Called inside `styled()`."""
    finding: Callable[[Landscape], str]
    """One sentence: what the figure says. Screen readers say it too."""
    how: Callable[[Landscape], str]
    """How it was made, with n and spread, and what not to read into it."""


def always(landscape: Landscape) -> bool:
    """For figures that say themselves what is missing."""
    return True
