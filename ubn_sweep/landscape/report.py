"""From a sweep's folder to its report: table, numbers, figures, page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ubn_sweep.errors import UserError
from ubn_sweep.files import write_bytes, write_text
from ubn_sweep.progress import At, nowhere
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.observations import observations_of, origin_of, write_table

if TYPE_CHECKING:
    import pyarrow as pa

    from ubn_sweep.landscape.analysis import Landscape
    from ubn_sweep.landscape.figures import ReportFigure
    from ubn_sweep.landscape.page import PageFigure
    from ubn_sweep.landscape.read import SweepView

NO_PAGES: Mapping[int, str] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class LandscapeReport:
    """Where everything lies, and what it says."""

    html: Path
    observations: Path
    numbers: Path
    figures: tuple[Path, ...]
    """PNG files; each has an SVG of its name beside it."""
    summary: tuple[str, ...]

    @property
    def artifacts(self) -> tuple[Path, ...]:
        """All files, for the sweep's MLflow run."""
        drawn = [path.with_suffix(ending) for path in self.figures for ending in (".png", ".svg")]
        return (self.html, self.observations, self.numbers, *drawn)


def build_report(
    folder: SweepFolder, *, pages: Mapping[int, str] = NO_PAGES, at: At = nowhere
) -> LandscapeReport:
    """Maps a sweep, finished or running. Every file is written beside its place and renamed when it is whole.

    Args:
        pages: trial -> the address of its page in MLflow, which a click on its marks opens.
        at: told what is being done, step by step.

    Raises:
        UserError: there is no journal, or the sweep's folder cannot be written.
    """
    at("reading the journal")
    return report_of(observations_of(folder.path), folder, pages=pages, at=at)


def report_of(
    table: pa.Table, folder: SweepFolder, *, pages: Mapping[int, str] = NO_PAGES, at: At = nowhere
) -> LandscapeReport:
    """Maps a table of observations, of one sweep or of several joined ones; the files lie in that folder.

    Raises:
        UserError: the table is of no sweep, or the folder cannot be written.
    """
    # Imported here: they take seconds, and naming a report's type takes none of them.
    from ubn_sweep.landscape.analysis import analyse
    from ubn_sweep.landscape.confirmation import confirmation_of
    from ubn_sweep.landscape.figures import FIGURES
    from ubn_sweep.landscape.json_file import numbers_text
    from ubn_sweep.landscape.null import null_of
    from ubn_sweep.landscape.page import render_page
    from ubn_sweep.landscape.prices import price, weighed
    from ubn_sweep.landscape.words import summary

    try:
        write_table(table, folder.observations)
        at("comparing the trials")
        landscape = analyse(table, confirmation_of(folder, origin_of(table).sweep_id))
        null = null_of(folder.null, landscape.sweep)
        landscape = weighed(landscape, null)
        sentences = summary(landscape, null)
        views = {entry: entry.numbers(landscape) for entry in FIGURES}
        prices = {entry: price(landscape, null, entry.claims) for entry in FIGURES}
        figures, pngs = _draw(landscape.sweep, views, prices, folder, pages, at)
        content = {"summary": sentences, **vars(landscape), **_of_figures(landscape, views)}
        write_text(folder.numbers, numbers_text(content, epochs=landscape.course.epochs_spent))
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
    pages: Mapping[int, str],
    at: At,
) -> tuple[list[PageFigure], list[Path]]:
    """All figures that the sweep has something for: for the page, and as PNG files."""
    from ubn_sweep.landscape.figures.style import styled
    from ubn_sweep.landscape.figures.svg import (
        as_inline_svg,
        as_png,
        as_svg,
        lay_out,
        with_names,
        without_names,
    )
    from ubn_sweep.landscape.page import PageFigure, trial_names

    figures, pngs, names = [], [], trial_names(sweep)
    with styled():
        for done, (entry, view) in enumerate(views.items()):
            at("drawing figures", done, len(views))
            if not entry.applies(view):
                continue
            drawing = entry.draw(sweep, view)
            finding = f"{entry.finding(sweep, view)} {prices[entry]}".rstrip()
            lay_out(drawing)
            spoken = f"Figure, {entry.title}: {finding} The caption and the table of the best trials give the numbers."
            file = as_svg(drawing)
            svg = with_names(as_inline_svg(file, name=entry.name, description=spoken), names, pages)
            narrow = ""
            if entry.narrow is not None:
                beneath = entry.narrow(sweep, view)
                lay_out(beneath)
                narrow = as_inline_svg(as_svg(beneath), name=f"{entry.name}-narrow", description=spoken)
                narrow = with_names(narrow, names, pages)
            how = entry.how(sweep, view)
            figures.append(
                PageFigure(
                    name=entry.name, title=entry.title, finding=finding, how=how, svg=svg, narrow=narrow
                )
            )
            pngs.append(write_bytes(folder.figures / f"{entry.name}.png", as_png(drawing)))
            write_text(folder.figures / f"{entry.name}.svg", without_names(file))
    return figures, pngs


def _of_figures(landscape: Landscape, views: dict[ReportFigure[Any], Any]) -> dict[str, Any]:
    """The numbers that figures have of their own, by the figure's name."""
    parts = list(vars(landscape).values())
    return {entry.name: view for entry, view in views.items() if not any(view is part for part in parts)}
