"""The report as one HTML file that needs nothing else. It decides nothing: it shows what the analysis found."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from ubn_sweep.landscape import words
from ubn_sweep.landscape.advice import batch_norm
from ubn_sweep.landscape.analysis import Landscape
from ubn_sweep.landscape.phrases import amount, bare, plural, score_text
from ubn_sweep.landscape.read import SweepView, TrialView
from ubn_sweep.landscape.views.front import second_value
from ubn_sweep.landscape.views.ranking import RankedTrial
from ubn_sweep.texts import as_shown

ROWS = 12
ANSWERS = 3
"""Sentences that come first."""
MOST_DESCRIBED = 500
"""Trials whose settings the page holds; of more, their scores."""
SENTENCE_END = re.compile(r"(?<=[.!?]) (?=[A-Z`\d])")
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
    # Not via PackageLoader: the files are read as they lie beside this module, also from a zipped wheel's copy.
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((HERE / "page.html.j2").read_text(encoding="utf-8"))
    sweep, ranking = landscape.sweep, landscape.ranking
    keys = [key for key in sweep.space if any(key in row.trial.params for row in ranking.trials)]
    return template.render(
        sweep=sweep,
        css=Markup((HERE / "page.css").read_text(encoding="utf-8")),
        script=Markup((HERE / "page.js").read_text(encoding="utf-8")),
        answer=leading(landscape, summary),
        epochs=_epochs(landscape),
        last=len(landscape.course.by_epoch) - 1,
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


def leading(landscape: Landscape, summary: Sequence[str]) -> list[str]:
    """The answer: where to set the threshold, the best, and BatchNorm beside it, a sentence each, where they are said.

    They are taken from the summary, which leaves out what is said too often where nothing matters.
    """
    sweep = landscape.sweep
    wanted = (
        words.thresholds(landscape),
        words.best(sweep, landscape.ranking),
        batch_norm(sweep, landscape.baseline),
    )
    firsts = [SENTENCE_END.split(text)[0] for text in wanted if text]
    said = [first for first in firsts if any(first in text for text in summary)]
    others = [SENTENCE_END.split(text)[0] for text in summary]
    return list(dict.fromkeys([*said, *others]))[:ANSWERS]


def trial_names(sweep: SweepView) -> dict[int, str]:
    """Trial -> what is said where its mark is pointed at."""
    return {trial.number: _name(sweep, trial) for trial in sweep.trials}


def _name(sweep: SweepView, trial: TrialView) -> str:
    score = f": {sweep.metric.text(trial.last_score)} after epoch {trial.scored_epoch}" if trial.curve else ""
    begin = f"{trial.label}, {trial.status}{score}"
    if len(sweep.trials) > MOST_DESCRIBED:
        return begin
    return "; ".join([begin, *(f"{key} {as_shown(value)}" for key, value in trial.params.items())])


def _epochs(landscape: Landscape) -> Markup:
    """For the slider: of each epoch what is said of it, as JSON that HTML and XML take as it is."""
    sweep = landscape.sweep
    told = [
        {
            "epoch": at.epoch,
            "text": f"Epoch {at.epoch}: {plural(at.n, 'trial')}, median {sweep.metric.text(at.median)}, middle half "
            f"{sweep.metric.text(at.low)} to {sweep.metric.text(at.high)}, best {sweep.metric.text(at.best)} "
            f"(trial {at.best_trial})",
        }
        for at in landscape.course.by_epoch
    ]
    text = json.dumps(told)
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Markup(text)


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
