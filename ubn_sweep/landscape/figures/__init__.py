"""The landscape's figures, each a module with its drawing and its caption. Matplotlib is imported here alone.

A new figure takes three files: a view with its numbers in `landscape/views/`, a module here that ends with its
`ReportFigure`, and its line in FIGURES below. The page, the PNG files and `landscape.json` follow.
"""

from typing import Any

from ubn_sweep.landscape.figures.ablation import ABLATION
from ubn_sweep.landscape.figures.by import BY
from ubn_sweep.landscape.figures.choices import CHOICES
from ubn_sweep.landscape.figures.condensation import CONDENSATION
from ubn_sweep.landscape.figures.course import COURSE
from ubn_sweep.landscape.figures.effects import EFFECTS
from ubn_sweep.landscape.figures.entry import ReportFigure
from ubn_sweep.landscape.figures.failure_map import FAILURE_MAP
from ubn_sweep.landscape.figures.front import FRONT
from ubn_sweep.landscape.figures.importance import IMPORTANCE
from ubn_sweep.landscape.figures.layers import LAYERS
from ubn_sweep.landscape.figures.ledger import LEDGER
from ubn_sweep.landscape.figures.pairs import PAIRS
from ubn_sweep.landscape.figures.parameters import PARAMETERS
from ubn_sweep.landscape.figures.profile import PROFILE
from ubn_sweep.landscape.figures.threshold import THRESHOLD

FIGURES: tuple[ReportFigure[Any], ...] = (
    FRONT,
    PROFILE,
    BY,
    PAIRS,
    THRESHOLD,
    IMPORTANCE,
    EFFECTS,
    ABLATION,
    PARAMETERS,
    CHOICES,
    CONDENSATION,
    LAYERS,
    FAILURE_MAP,
    LEDGER,
    COURSE,
)
"""In the report's order."""

__all__ = ["FIGURES", "ReportFigure"]
