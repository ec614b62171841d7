"""The race that confirms a sweep, read from its journal beside the sweep's, and in a sentence."""

from __future__ import annotations

from ubn_sweep import schema
from ubn_sweep.landscape.views.confirmed import Against, ConfirmedView, Raced, Worth, confirmed_view
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import stream
from ubn_sweep.records.metrics import Metric
from ubn_sweep.records.race import RaceConfig, races_of
from ubn_sweep.records.task import TaskRecord
from ubn_sweep.records.trials import Trials

__all__ = ["ConfirmedView", "Raced", "confirmation_of", "confirmed", "difference", "interval", "view_of"]


def confirmation_of(folder: SweepFolder, sweep_id: str, metric: Metric | None = None) -> ConfirmedView | None:
    """The last race of a sweep that is over, by its objective or another metric; None where there is none."""
    found = [view_of(race, metric) for race in races_of(folder, sweep_id)]
    return next((view for view in reversed(found) if view.is_over), None)


def view_of(folder: SweepFolder, metric: Metric | None = None) -> ConfirmedView:
    """A race as it stands, by its objective or another metric."""
    trials = Trials(stream(folder.path))
    race = schema.parse(RaceConfig, trials.spec["race"], source=str(folder.journal))
    if metric is None:
        metric = TaskRecord.from_plain(trials.started.task).metric(trials.spec["objective"]["metric"])
    return confirmed_view(trials, race, metric)


def confirmed(view: ConfirmedView | None) -> str:
    """`Confirmed by 5 trainings ...`; empty where no race is over."""
    if view is None:
        return ""
    if view.winner is None:
        return f"The race {view.race} has no winner: none of its configs trained to the end on fresh seeds."
    winner, metric = view.winner, view.metric
    runners = sum(one.trial is not None for one in view.entrants)
    begin = (
        f"Confirmed on {winner.worth.n} fresh seeds and splits that chose nothing: {winner.name}, "
        f"{metric.text(winner.worth.mean)} on average{interval(metric, winner.worth)}; the next training lies between "
        f"{metric.text(winner.next_low)} and {metric.text(winner.next_high)} in nine cases of ten"
    )
    if runners > 1:
        begin += f" (chosen of {runners} configs over {view.choosing} other rounds)"
    return f"{begin}. {_against(metric, winner.against)}".rstrip()


def interval(metric: Metric, worth: Worth) -> str:
    """` (90% interval 98.1% to 98.5%)`; empty where too few trainings say."""
    if worth.low is None or worth.high is None:
        return ""
    return f" (90% interval {metric.text(worth.low)} to {metric.text(worth.high)})"


def difference(metric: Metric, worth: Worth) -> str:
    """`+0.40 points (90% interval +0.10 to +0.70 points)`."""
    text = f"{'+' if worth.mean >= 0 else '-'}{metric.difference(abs(worth.mean))}"
    if worth.low is None or worth.high is None:
        return text
    bounds = [
        f"{'+' if bound >= 0 else '-'}{metric.difference(abs(bound))}" for bound in (worth.low, worth.high)
    ]
    return f"{text} (90% interval {bounds[0]} to {bounds[1]})"


def _against(metric: Metric, found: Against | None) -> str:
    if found is None:
        return ""
    said = f"Against {found.name}, round by round: {difference(metric, found.difference)}"
    low, high = found.difference.low, found.difference.high
    if low is None or high is None or low <= 0 <= high:
        return f"{said}, which chance may explain."
    return f"{said}."
