"""The landscape's figures, each a module with its drawing and its caption. Matplotlib is imported here alone.

A new figure takes three places: a view with its numbers (`landscape/views/`, a field of `Landscape`), a module
here that ends with its `ReportFigure`, and its line in FIGURES. The report, the page and the PNG files follow.
"""

from ubn_sweep.landscape.figures.choices import CHOICES
from ubn_sweep.landscape.figures.condensation import CONDENSATION
from ubn_sweep.landscape.figures.course import COURSE
from ubn_sweep.landscape.figures.entry import ReportFigure
from ubn_sweep.landscape.figures.importance import IMPORTANCE
from ubn_sweep.landscape.figures.layers import LAYERS
from ubn_sweep.landscape.figures.parameters import PARAMETERS
from ubn_sweep.landscape.figures.threshold import THRESHOLD

FIGURES: tuple[ReportFigure, ...] = (
    THRESHOLD,
    IMPORTANCE,
    PARAMETERS,
    CHOICES,
    CONDENSATION,
    LAYERS,
    COURSE,
)
"""In the report's order."""

__all__ = ["FIGURES", "ReportFigure"]
