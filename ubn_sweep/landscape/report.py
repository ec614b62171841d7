"""From a sweep's folder to its report: table, numbers, figures, page."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ubn_sweep.errors import UserError
from ubn_sweep.files import write_bytes, write_text
from ubn_sweep.plain_json import with_nulls
from ubn_sweep.progress import At, nowhere
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import stream
from ubn_sweep.records.observations import origin_of, write_observations

if TYPE_CHECKING:
    from ubn_sweep.landscape.analysis import Landscape
    from ubn_sweep.landscape.figures import ReportFigure
    from ubn_sweep.landscape.page import PageFigure
    from ubn_sweep.landscape.read import SweepView


@dataclass(frozen=True, kw_only=True)
class LandscapeReport:
    """Where everything lies, and what it says."""

    html: Path
    observations: Path
    numbers: Path
    figures: tuple[Path, ...]
    summary: tuple[str, ...]

    @property
    def artifacts(self) -> tuple[Path, ...]:
        """All files, for the sweep's MLflow run."""
        return (self.html, self.observations, self.numbers, *self.figures)


def build_report(folder: SweepFolder, *, at: At = nowhere) -> LandscapeReport:
    """Maps a sweep, finished or running. Every file is written beside its place and renamed when it is whole.

    Args:
        at: told what is being done, step by step.

    Raises:
        UserError: there is no journal, or the sweep's folder cannot be written.
    """
    # Imported here: they take seconds, and naming a report's type takes none of them.
    from ubn_sweep.landscape.analysis import analyse
    from ubn_sweep.landscape.confirmation import confirmation_of
    from ubn_sweep.landscape.figures import FIGURES
    from ubn_sweep.landscape.null import null_of
    from ubn_sweep.landscape.page import render_page
    from ubn_sweep.landscape.prices import price, weighed
    from ubn_sweep.landscape.words import summary

    try:
        at("reading the journal")
        table = write_observations(stream(folder.path), folder.observations)
        at("comparing the trials")
        landscape = analyse(table, confirmation_of(folder, origin_of(table).sweep_id))
        null = null_of(folder.null, landscape.sweep)
        landscape = weighed(landscape, null)
        sentences = summary(landscape, null)
        views = {entry: entry.numbers(landscape) for entry in FIGURES}
        prices = {entry: price(landscape, null, entry.claims) for entry in FIGURES}
        figures, pngs = _draw(landscape.sweep, views, prices, folder, at)
        content = {"summary": sentences, **dataclasses.asdict(landscape)} | _of_figures(landscape, views)
        write_text(folder.numbers, json.dumps(with_nulls(content), indent=1, allow_nan=False) + "\n")
        write_text(folder.report, render_page(landscape, summary=sentences, figures=figures))
    except OSError as error:
        raise UserError(
            f"{folder.path}: the report cannot be written ({error.strerror}): make the folder writable, or free space"
        ) from error
    return LandscapeReport(
        html=folder.report,
        observations=folder.observations,
        numbers=folder.numbers,
        figures=tuple(pngs),
        summary=sentences,
    )


def _draw(
    sweep: SweepView,
    views: dict[ReportFigure[Any], Any],
    prices: dict[ReportFigure[Any], str],
    folder: SweepFolder,
    at: At,
) -> tuple[list[PageFigure], list[Path]]:
    """All figures that the sweep has something for: for the page, and as PNG files."""
    from ubn_sweep.landscape.figures.style import styled
    from ubn_sweep.landscape.figures.svg import as_inline_svg, as_png, lay_out
    from ubn_sweep.landscape.page import PageFigure

    figures, pngs = [], []
    with styled():
        for done, (entry, view) in enumerate(views.items()):
            at("drawing figures", done, len(views))
            if not entry.applies(view):
                continue
            drawing = entry.draw(sweep, view)
            finding = f"{entry.finding(sweep, view)} {prices[entry]}".rstrip()
            lay_out(drawing)
            spoken = f"Figure, {entry.title}: {finding} The caption and the table of the best trials give the numbers."
            svg = as_inline_svg(drawing, name=entry.name, description=spoken)
            narrow = ""
            if entry.narrow is not None:
                beneath = entry.narrow(sweep, view)
                lay_out(beneath)
                narrow = as_inline_svg(beneath, name=f"{entry.name}-narrow", description=spoken)
            how = entry.how(sweep, view)
            figures.append(
                PageFigure(
                    name=entry.name, title=entry.title, finding=finding, how=how, svg=svg, narrow=narrow
                )
            )
            pngs.append(write_bytes(folder.figures / f"{entry.name}.png", as_png(drawing)))
    return figures, pngs


def _of_figures(landscape: Landscape, views: dict[ReportFigure[Any], Any]) -> dict[str, Any]:
    """The numbers that figures have of their own, by the figure's name."""
    parts = list(vars(landscape).values())
    return {
        entry.name: dataclasses.asdict(view)
        for entry, view in views.items()
        if not any(view is part for part in parts)
    }
