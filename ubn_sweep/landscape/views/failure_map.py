"""Where in the space trials come to nothing: how many failed or diverged, by the values of each parameter."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from scipy import stats

from ubn_sweep.landscape.read import SweepView, TrialView
from ubn_sweep.landscape.views.failures import first_line
from ubn_sweep.landscape.views.numbers import CONFIDENCE
from ubn_sweep.landscape.views.regions import regions_of

NOTHING = ("failed", "diverged")
MIN_FAILURES = 3
ALPHA = 0.05
MOST_REASONS = 2


@dataclass(frozen=True, kw_only=True)
class FailureRegion:
    """The ended trials of one part of a parameter's range."""

    name: str
    n: int
    nothing: int
    """How many of them failed or diverged."""
    low: float
    """Bounds of Wilson's 95% interval of the share."""
    high: float
    p_value: float
    """Of as many or more here by chance (Fisher's exact test against the other parts), times all parts looked at."""
    reasons: tuple[tuple[str, int], ...]
    """The most frequent, with their counts."""
    withheld: bool = False
    """Whether such sweeps say so too often where nothing matters."""

    @property
    def is_told(self) -> bool:
        """Whether chance does not explain that more come to nothing here than elsewhere."""
        return not self.withheld and self.p_value <= ALPHA


@dataclass(frozen=True, kw_only=True)
class FailureParameter:
    """One parameter, part by part; those without a trial are left out."""

    key: str
    title: str
    regions: tuple[FailureRegion, ...]


@dataclass(frozen=True, kw_only=True)
class FailureMapView:
    """Empty with fewer than three failures."""

    trials: int
    """That ended."""
    nothing: int
    looks: int
    """Parts that were looked at."""
    parameters: tuple[FailureParameter, ...]

    @property
    def told(self) -> tuple[tuple[FailureParameter, FailureRegion], ...]:
        """The parts where more come to nothing than chance explains, the clearest first."""
        found = [(p, region) for p in self.parameters for region in p.regions if region.is_told]
        return tuple(sorted(found, key=lambda pair: pair[1].p_value))


def failure_map_view(sweep: SweepView) -> FailureMapView:
    """From all trials that have ended, however far they came."""
    ended = [trial for trial in sweep.trials if trial.status != "running"]
    nothing = [trial for trial in ended if trial.status in NOTHING]
    empty = FailureMapView(trials=len(ended), nothing=len(nothing), looks=0, parameters=())
    if not MIN_FAILURES <= len(nothing) < len(ended):
        return empty
    parted: dict[str, list[tuple[str, list[TrialView], list[TrialView]]]] = {}
    for key, item in sweep.space.items():
        having = [trial for trial in ended if key in trial.params]
        parts = [
            (region.name, mine, having)
            for region in regions_of(item)
            if (mine := [trial for trial in having if region.has(trial.params[key])])
        ]
        if len(parts) > 1:
            parted[key] = parts
    looks = sum(map(len, parted.values()))
    titles = sweep.titles(parted)
    return FailureMapView(
        trials=len(ended),
        nothing=len(nothing),
        looks=looks,
        parameters=tuple(
            FailureParameter(
                key=key, title=titles[key], regions=tuple(_region(*part, looks=looks) for part in parts)
            )
            for key, parts in parted.items()
        ),
    )


def _region(name: str, mine: list[TrialView], having: list[TrialView], *, looks: int) -> FailureRegion:
    bad = [trial for trial in mine if trial.status in NOTHING]
    all_bad = sum(trial.status in NOTHING for trial in having)
    others = len(having) - len(mine)
    found = stats.binomtest(len(bad), len(mine)).proportion_ci(CONFIDENCE, method="wilson")
    table = [[len(bad), len(mine) - len(bad)], [all_bad - len(bad), others - (all_bad - len(bad))]]
    p_value = float(stats.fisher_exact(table, alternative="greater").pvalue)
    reasons = Counter(first_line(trial.reason) or trial.status for trial in bad)
    return FailureRegion(
        name=name,
        n=len(mine),
        nothing=len(bad),
        low=float(found.low),
        high=float(found.high),
        p_value=min(1.0, p_value * looks),
        reasons=tuple(reasons.most_common(MOST_REASONS)),
    )
