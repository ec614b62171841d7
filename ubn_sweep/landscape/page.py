"""The report as one HTML file that needs nothing else. It decides nothing: it shows what the analysis found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from ubn_sweep.landscape.analysis import Landscape
from ubn_sweep.landscape.phrases import amount, bare, score_text
from ubn_sweep.landscape.views.front import second_value
from ubn_sweep.landscape.views.ranking import RankedTrial
from ubn_sweep.texts import as_shown

ROWS = 12
HERE = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class PageFigure:
    """A figure as the page shows it: drawn, with what is said of it."""

    name: str
    title: str
    finding: str
    how: str
    svg: str
    """Its own escaping is done; all else is escaped here."""
    narrow: str
    """The same for a phone; empty where the one drawing serves there, too."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A trial in the table of the best; an inactive setting is a dot."""

    trial: int
    start: str
    """`paper`, `bn`, ...; empty for what a sampler drew."""
    score: str
    second: str
    """The other objective; empty where there is one alone."""
    on_front: bool
    behind: str
    epoch: int
    tied: bool
    settings: tuple[str, ...]


def render_page(landscape: Landscape, *, summary: Sequence[str], figures: Sequence[PageFigure]) -> str:
    """The page with these sentences and figures, in this order, and the table of the best trials."""
    # Not via PackageLoader: the two files are read as they lie beside this module, also from a zipped wheel's copy.
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((HERE / "page.html.j2").read_text(encoding="utf-8"))
    sweep, ranking = landscape.sweep, landscape.ranking
    keys = [key for key in sweep.space if any(key in row.trial.params for row in ranking.trials)]
    return template.render(
        sweep=sweep,
        css=Markup((HERE / "page.css").read_text(encoding="utf-8")),
        summary=summary,
        figures=figures,
        best_title="The best finished trials" if ranking.full_budget else "Trials so far, none finished",
        keys=sweep.titles(keys).values(),
        rows=[_row(landscape, row, keys) for row in _front_first(landscape)[:ROWS]],
        second=sweep.second.label if sweep.second is not None else "",
        any_tied=bool(ranking.tied and ranking.tied > 1),
        error_from=ranking.error_from,
        any_error=ranking.tied is not None,
        compared_by=ranking.compared_by if ranking.compared > 1 else "",
        one_seed=ranking.seeds == 1,
        optimism=amount(sweep, ranking.optimism) if ranking.optimism else "",
    )


def _front_first(landscape: Landscape) -> list[RankedTrial]:
    """Of two objectives those on the front come before the others, each in their order."""
    return sorted(landscape.ranking.trials, key=lambda row: not landscape.front.has(row.trial.number))


def _row(landscape: Landscape, row: RankedTrial, keys: list[str]) -> Row:
    sweep = landscape.sweep
    value = second_value(sweep, row.trial)
    return Row(
        second=sweep.second.text(value) if sweep.second is not None and math.isfinite(value) else "",
        on_front=landscape.front.has(row.trial.number),
        trial=row.trial.number,
        start=row.trial.start,
        score=score_text(sweep, row),
        behind=bare(sweep, row.behind) if row.behind else "",
        epoch=row.trial.scored_epoch,
        tied=bool(row.tied),
        settings=tuple(as_shown(row.trial.params[key]) if key in row.trial.params else "·" for key in keys),
    )
