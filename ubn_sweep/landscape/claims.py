"""What a report claims of an effect: each claim has a name, so that it can be counted how often it is made.

A name is its kind, and behind a colon what it is about: `parameter_matters:norm.momentum`. What a report states of the
trials themselves (the best score, what failed, how many epochs were spent) is no claim.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ubn_sweep.landscape.analysis import Landscape
from ubn_sweep.landscape.needs import THRESHOLD
from ubn_sweep.landscape.views.choices import choices_view
from ubn_sweep.landscape.views.numbers import MIN_GROUP
from ubn_sweep.landscape.views.ranking import Ranking
from ubn_sweep.landscape.views.threshold import GATE

NOTHING, EQUAL, BUT = "nothing", "equal", "but:"
"""Worlds in which claims are errors: no parameter matters; all trainings are equally good; KEY does not matter."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of claim."""

    name: str
    title: str
    """As a sentence counts it: `a range of thresholds was named 4 times`."""
    found: Callable[[Landscape], Iterable[str]]
    """What it is claimed of, `` where that needs no word; none where it is not made."""
    about: str | None = None
    """The one key that it is about, where it is not about what `found` gives."""
    by_key: bool = True
    """Whether it is about parameters at all, and so an error where its own does not matter."""
    world: str = NOTHING
    """Where it is an error in any case."""


def kind_of(claim: str) -> str:
    """`parameter_matters` of `parameter_matters:norm.momentum`."""
    return claim.partition(":")[0]


def key_of(claim: str) -> str | None:
    """The parameter that a claim is about; None where it is about none."""
    kind, _, about = claim.partition(":")
    return (about or KINDS[kind].about) if KINDS[kind].by_key else None


def about(kind: str, claims: Iterable[str]) -> tuple[str, ...]:
    """What claims of a kind are about: `norm.scaling` of `choice:norm.scaling`."""
    return tuple(claim.partition(":")[2] for claim in claims if kind_of(claim) == kind)


def silenced_choices(landscape: Landscape) -> tuple[str, ...]:
    """Choices that are not told of."""
    return about("choice", (*landscape.withheld, *landscape.unsure))


def claims(landscape: Landscape) -> frozenset[str]:
    """All that a report of this landscape claims."""
    return frozenset(
        f"{kind.name}:{about}" if about else kind.name
        for kind in KINDS.values()
        for about in kind.found(landscape)
    )


def claims_of_ranking(ranking: Ranking) -> frozenset[str]:
    """Those that need nothing else."""
    return frozenset(["told_from_best"]) if _is_told(ranking) else frozenset()


def _is_told(ranking: Ranking) -> bool:
    return ranking.full_budget and ranking.tied is not None and ranking.tied < ranking.compared


def _once(is_made: bool) -> tuple[str, ...]:
    return ("",) if is_made else ()


def _gate(landscape: Landscape) -> tuple[str, ...]:
    gain = landscape.threshold.gate_told.gain
    return _once(landscape.threshold.varied and gain is not None and gain.is_shown)


def _batch_norm(landscape: Landscape) -> tuple[str, ...]:
    view = landscape.baseline
    enough = view.difference is not None and view.batch_norms >= MIN_GROUP
    return _once(enough and view.difference is not None and view.difference.is_shown)


def _turning(landscape: Landscape) -> tuple[str, ...]:
    turning = landscape.audit.turning
    return _once(turning is not None and turning.is_shown)


def _edges(landscape: Landscape) -> tuple[str, ...]:
    return tuple(
        edge.key for edge in landscape.leaders.edges if edge.key != THRESHOLD or landscape.threshold.has_shape
    )


def _by_model(landscape: Landscape) -> tuple[str, ...]:
    gate = landscape.profile.gate_off
    return _once(gate is not None and gate.n >= MIN_GROUP and gate.is_told)


def _paired(landscape: Landscape) -> tuple[str, ...]:
    plain = landscape.profile.batch_norm
    return _once(plain is not None and plain.paired is not None and plain.paired.is_told)


_ALL = (
    Kind(
        name="told_from_best",
        title="a trial was told from the best",
        found=lambda landscape: _once(_is_told(landscape.ranking)),
        by_key=False,
        world=EQUAL,
    ),
    Kind(
        name="batch_norm", title="BatchNorm was called better or worse", found=_batch_norm, about="norm.name"
    ),
    Kind(
        name="threshold_range",
        title="a range of thresholds was named",
        found=lambda landscape: _once(landscape.profile.has_shape),
        about=THRESHOLD,
    ),
    Kind(
        name="threshold_curve",
        title="the threshold's curve was told from a constant",
        found=lambda landscape: _once(landscape.threshold.varied and landscape.threshold.has_shape),
        about=THRESHOLD,
    ),
    Kind(name="gate_gain", title="the gate was called better or worse", found=_gate, about=GATE),
    Kind(
        name="gate_by_model",
        title="the best with the gate was called better or worse than without",
        found=_by_model,
        about=GATE,
    ),
    Kind(
        name="layers_paired",
        title="UBN was called better or worse over common settings",
        found=_paired,
        about="norm.name",
    ),
    Kind(
        name="threshold_by",
        title="the best threshold was said to depend on a parameter",
        found=lambda landscape: tuple(key.key for key in landscape.by.keys if key.apart.is_told),
    ),
    Kind(
        name="effect",
        title="variance was said to be due to a parameter",
        found=lambda landscape: tuple(row.keys[0] for row in landscape.effects.main if row.is_told),
    ),
    Kind(
        name="together",
        title="two parameters were said to act together",
        found=lambda landscape: tuple(
            "×".join(row.keys) for row in landscape.effects.together if row.is_told
        ),
        by_key=False,
    ),
    Kind(
        name="change_matters",
        title="a change on the way from BatchNorm was said to matter",
        found=lambda landscape: tuple(step.keys[0] for step in landscape.ablation.steps if step.is_told),
    ),
    Kind(
        name="failures_at",
        title="trials were said to come to nothing at some values",
        found=lambda landscape: tuple(dict.fromkeys(found.key for found, _ in landscape.failure_map.told)),
        by_key=False,
    ),
    Kind(name="audits_turn", title="early stopping was said to mislead", found=_turning, about=THRESHOLD),
    Kind(name="edge", title="the end of a range was named", found=_edges),
    Kind(
        name="parameter_matters",
        title="a parameter was said to matter",
        found=lambda landscape: tuple(row.key for row in landscape.importance.parameters if row.is_shown),
    ),
    Kind(
        name="choice",
        title="a choice was said to stand out",
        found=lambda landscape: choices_view(landscape.sweep, withheld=silenced_choices(landscape)).apart,
    ),
    Kind(
        name="condensation",
        title="condensation was said to go with the score",
        found=lambda landscape: dict.fromkeys(
            item.measure for item in landscape.condensation.correlations if item.is_shown
        ),
        by_key=False,
    ),
)
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _ALL}
"""By name, in the report's order."""
