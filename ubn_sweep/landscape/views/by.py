"""The threshold's profile by another parameter: by rectifier, batch size, momentum, and by what the spec names.

Whether the best threshold differs between two groups is asked inside each joint draw of the model: it does where the
best thresholds lie apart, and taking the one for the other costs more than the margin in one of the groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
import numpy.typing as npt

from ubn_sweep.landscape.needs import THRESHOLD
from ubn_sweep.landscape.read import SweepView, TrialView
from ubn_sweep.landscape.views.modelled import EVIDENCE, Modelled
from ubn_sweep.landscape.views.profile import (
    Band,
    ProfileView,
    band_of,
    not_ruled_out,
    ranges,
)
from ubn_sweep.surrogate.declared import coded_value
from ubn_sweep.surrogate.grouped import Group, grouped_profiles
from ubn_sweep.surrogate.profile import PLACES
from ubn_sweep.texts import as_recorded, as_shown

Floats = npt.NDArray[np.float64]
KEYS = ("norm.scaling", "norm.centering", "norm.affine", "training.batch_size", "norm.momentum")
MOST_KEYS = 6
MOST_GROUPS = 4
BINS = 3
MIN_TRIALS = 3
TOLD = 0.95
"""Probability from which two groups are told apart. No correction for the pairs: where the threshold matters and
nothing turns it, the largest of eleven pairs' probabilities is far below (docs/landscape.md)."""


@dataclass(frozen=True, kw_only=True)
class GroupProfile:
    """The profile with the other parameters at their best, inside one group."""

    name: str
    trials: int
    """With a threshold and a score."""
    finished: int
    best: Band
    open: tuple[tuple[float, float], ...]
    """Ranges of thresholds that are not ruled out at 90% in this group, but for the margin."""
    points: tuple[tuple[float, float], ...]
    """Finished trials: threshold and score."""


@dataclass(frozen=True, kw_only=True)
class Apart:
    """The two groups of a parameter whose best thresholds are told apart most clearly."""

    higher: str
    lower: str
    probability: float
    """That the best threshold is higher in the first, and that it matters."""
    is_told: bool


@dataclass(frozen=True, kw_only=True)
class ByKey:
    """One parameter."""

    key: str
    title: str
    groups: tuple[GroupProfile, ...]
    apart: Apart
    left_out: tuple[str, ...]
    """Groups with fewer than three trials."""


@dataclass(frozen=True, kw_only=True)
class ByView:
    """All of them; empty where there is no profile, or nothing to group by."""

    x: tuple[float, ...]
    log: bool
    margin: float
    pairs: int
    """Of groups, that were compared."""
    keys: tuple[ByKey, ...]


NO_GROUPS = ByView(x=(), log=False, margin=0.0, pairs=0, keys=())


def by_view(modelled: Modelled, profile: ProfileView) -> ByView:
    """Profiles in all groups that have three trials or more, from one model."""
    if profile.reason is not None:
        return NO_GROUPS
    sweep = modelled.sweep
    found: dict[str, list[_Group]] = {}
    for key in _keys(sweep):
        groups = _groups(modelled, key)
        if sum(group.has_enough for group in groups) > 1:
            found[key] = groups
    if not found:
        return NO_GROUPS
    asked = [group for groups in found.values() for group in groups if group.has_enough]
    draws = grouped_profiles(
        modelled.model,
        THRESHOLD,
        np.linspace(0, 1, PLACES),
        [group.region for group in asked],
        bounds=sweep.metric.bounds,
    )
    draws_of = {id(group): draws[:, place] for place, group in enumerate(asked)}
    counts = [sum(group.has_enough for group in groups) for groups in found.values()]
    pairs = sum(count * (count - 1) // 2 for count in counts)
    titles = sweep.titles(found)
    return ByView(
        x=profile.x,
        log=profile.log,
        margin=profile.margin,
        pairs=pairs,
        keys=tuple(
            _by_key(sweep, profile, key, titles[key], groups, draws_of) for key, groups in found.items()
        ),
    )


def told_apart(first: Floats, second: Floats, margin: float) -> float:
    """Probability, from joint draws (draws, places), that the first one's best place is higher, and that it matters."""
    rows = np.arange(len(first))
    at_first, at_second = first.argmax(axis=1), second.argmax(axis=1)
    lost = np.maximum(
        first[rows, at_first] - first[rows, at_second], second[rows, at_second] - second[rows, at_first]
    )
    return float(((at_first > at_second) & (lost > margin)).mean())


@dataclass(frozen=True, kw_only=True)
class _Group:
    name: str
    region: Group
    trials: tuple[TrialView, ...]
    """With a threshold and a score."""

    @property
    def has_enough(self) -> bool:
        return len(self.trials) >= MIN_TRIALS


def _keys(sweep: SweepView) -> list[str]:
    """What the spec names first; not what decides whether there is a threshold."""
    above = sweep.space[THRESHOLD].get("when") or {}
    keys = [key for key in dict.fromkeys((*sweep.by, *KEYS)) if key in sweep.space and key not in above]
    return [key for key in keys if key != THRESHOLD and sweep.space[key]["type"] != "constant"][:MOST_KEYS]


def _groups(modelled: Modelled, key: str) -> list[_Group]:
    sweep, item = modelled.sweep, modelled.sweep.space[key]
    if key not in modelled.space.coding.names:
        return []
    having = [t for t in sweep.trials if t.curve and THRESHOLD in t.params and key in t.params]
    if item["type"] not in ("choice", "ordered"):
        return _bins(modelled, key, having)
    column = modelled.space.column(key)
    groups = []
    for value in item["values"][:MOST_GROUPS]:
        code = float(modelled.space.coding.codes([{key: coded_value(item, value)}])[0, column])
        same = (value, as_recorded(value))
        mine = tuple(trial for trial in having if trial.params[key] in same)
        groups.append(_Group(name=as_shown(value), region={key: (code, code)}, trials=mine))
    return groups


def _bins(modelled: Modelled, key: str, having: list[TrialView]) -> list[_Group]:
    """Thirds of a range, of its logarithm where it is on a log scale."""
    column, coding = modelled.space.column(key), modelled.space.coding
    ends = np.linspace(0, 1, BINS + 1)
    codes = np.full((BINS + 1, len(coding.names)), np.nan)
    codes[:, column] = ends
    values = [float(coding.params(code)[key]) for code in codes]
    groups = []
    for place, (low, high) in enumerate(pairwise(values)):
        is_last = place == BINS - 1
        mine = tuple(
            trial
            for trial in having
            if low <= trial.params[key] < high or (is_last and trial.params[key] == high)
        )
        region = {key: (float(ends[place]), float(ends[place + 1]))}
        groups.append(_Group(name=f"{low:.2g} to {high:.2g}", region=region, trials=mine))
    return groups


def _by_key(
    sweep: SweepView,
    profile: ProfileView,
    key: str,
    title: str,
    groups: list[_Group],
    draws_of: dict[int, Floats],
) -> ByKey:
    enough = [group for group in groups if group.has_enough]
    return ByKey(
        key=key,
        title=title,
        groups=tuple(_profile(sweep, profile, group, draws_of[id(group)]) for group in enough),
        apart=_apart(profile, enough, draws_of),
        left_out=tuple(group.name for group in groups if not group.has_enough),
    )


def _apart(profile: ProfileView, groups: list[_Group], draws_of: dict[int, Floats]) -> Apart:
    compared = []
    for one, other in combinations(groups, 2):
        for higher, lower in ((one, other), (other, one)):
            probability = told_apart(draws_of[id(higher)], draws_of[id(lower)], profile.margin)
            compared.append((probability, higher.name, lower.name))
    probability, higher_name, lower_name = max(compared)
    return Apart(
        higher=higher_name,
        lower=lower_name,
        probability=probability,
        # Of a threshold that has no influence nothing is told.
        is_told=profile.evidence >= EVIDENCE and probability >= TOLD,
    )


def _profile(sweep: SweepView, profile: ProfileView, group: _Group, draws: Floats) -> GroupProfile:
    finished = {trial.number for trial in sweep.finished}
    mine = [trial for trial in group.trials if trial.number in finished]
    return GroupProfile(
        name=group.name,
        trials=len(group.trials),
        finished=len(mine),
        best=band_of(sweep, draws),
        open=ranges(profile.x, not_ruled_out(draws, profile.margin)),
        points=tuple((float(trial.params[THRESHOLD]), trial.score) for trial in mine),
    )
