"""The landscape's figures. Matplotlib is imported here alone."""

from matplotlib.figure import Figure

from ubn_sweep.landscape.analysis import Landscape
from ubn_sweep.landscape.figures.condensation import draw_condensation, draw_layers
from ubn_sweep.landscape.figures.course import draw_course
from ubn_sweep.landscape.figures.importance import draw_importance
from ubn_sweep.landscape.figures.rectifiers import draw_rectifiers
from ubn_sweep.landscape.figures.threshold import draw_threshold


def draw_all(landscape: Landscape) -> dict[str, Figure]:
    """All figures that the sweep has something for, by name, in the report's order; call it inside `styled()`."""
    sweep = landscape.sweep
    figures: dict[str, Figure | None] = {
        "threshold": draw_threshold(sweep, landscape.threshold) if _has_threshold(landscape) else None,
        "importance": draw_importance(landscape.importance),
        "rectifiers": draw_rectifiers(sweep, landscape.rectifiers) if landscape.rectifiers.choices else None,
        "condensation": draw_condensation(sweep, landscape.condensation)
        if landscape.condensation.points
        else None,
        "layers": draw_layers(landscape.condensation),
        "course": draw_course(sweep, landscape.course),
    }
    return {name: figure for name, figure in figures.items() if figure is not None}


def _has_threshold(landscape: Landscape) -> bool:
    view = landscape.threshold
    return view.varied and bool(view.full.points or view.stopped or view.early)
