"""The report as one HTML file that needs nothing else. It decides nothing: it shows what the analysis found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from ubn_sweep.landscape.analysis import Landscape
from ubn_sweep.landscape.captions import Caption, captions
from ubn_sweep.landscape.read import SweepView
from ubn_sweep.landscape.views.ranking import RankedTrial
from ubn_sweep.landscape.words import amount, score_text, summary
from ubn_sweep.texts import as_shown

ROWS = 12
HERE = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class PageFigure:
    name: str
    svg: Markup
    caption: Caption


@dataclass(frozen=True, kw_only=True)
class Row:
    trial: int
    score: str
    behind: str
    epoch: int
    tied: bool
    settings: tuple[str, ...]


def render_page(landscape: Landscape, svgs: dict[str, str]) -> str:
    """`svgs` holds the figures by name, each with its own escaping done; all else is escaped here."""
    # Not via PackageLoader: the two files are read as they lie beside this module, also from a zipped wheel's copy.
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((HERE / "page.html.j2").read_text(encoding="utf-8"))
    texts = captions(landscape)
    sweep, ranking = landscape.sweep, landscape.ranking
    keys = [key for key in sweep.space if any(key in row.trial.params for row in ranking.trials)]
    return template.render(
        sweep=sweep,
        css=Markup((HERE / "page.css").read_text(encoding="utf-8")),
        summary=summary(landscape),
        figures=[PageFigure(name=name, svg=Markup(svg), caption=texts[name]) for name, svg in svgs.items()],
        best_title="The best finished trials" if ranking.full_budget else "Trials so far, none finished",
        keys=[sweep.task.title(key) for key in keys],
        rows=[_row(sweep, row, keys) for row in ranking.trials[:ROWS]],
        any_tied=bool(ranking.tied and ranking.tied > 1),
        error_from=ranking.error_from,
        optimism=amount(sweep, ranking.optimism) if ranking.optimism else "",
    )


def _row(sweep: SweepView, row: RankedTrial, keys: list[str]) -> Row:
    return Row(
        trial=row.trial.number,
        score=score_text(sweep, row),
        behind=amount(sweep, row.behind).removesuffix(" points") if row.behind else "",
        epoch=max(row.trial.curve),
        tied=bool(row.tied),
        settings=tuple(as_shown(row.trial.params[key]) if key in row.trial.params else "·" for key in keys),
    )
