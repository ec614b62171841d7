"""The task's choices, one by one: how the trials with each value scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ubn_sweep.landscape.read import SweepView, TrialView
from ubn_sweep.landscape.views.epochs import common_epoch, reached
from ubn_sweep.landscape.views.numbers import GroupMean, group_mean
from ubn_sweep.texts import as_shown


@dataclass(frozen=True, kw_only=True)
class ChoiceGroup:
    """The trials that share one value of one choice."""

    value: str
    finished: tuple[float, ...]
    """Scores at the full budget."""
    finished_trials: tuple[int, ...]
    """Whose they are."""
    finished_mean: GroupMean | None
    early: tuple[float, ...]
    """Scores at the common epoch, of all trials that reached it."""
    early_trials: tuple[int, ...]
    early_mean: GroupMean | None
    stopped: int


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of the task's choices that the sweep varied."""

    key: str
    title: str
    groups: tuple[ChoiceGroup, ...]


@dataclass(frozen=True, kw_only=True)
class ChoicesView:
    """All choices, and the epoch of the early scores."""

    early_epoch: int | None
    choices: tuple[Choice, ...]
    withheld: tuple[str, ...] = ()
    """Keys of those that are not to be told of, since they are found too often where nothing matters."""

    @property
    def apart(self) -> tuple[str, ...]:
        """Keys of the choices with two values whose intervals do not overlap; early ones where there are any."""
        return tuple(
            choice.key for choice in self.choices if _are_apart(choice) and choice.key not in self.withheld
        )

    @property
    def comparable(self) -> bool:
        """Whether any choice has two values with an interval."""
        return any(len(_intervals(choice)) > 1 for choice in self.choices)


def choices_view(sweep: SweepView, *, withheld: tuple[str, ...] = ()) -> ChoicesView:
    """Groups the trials by each choice with at least two values among those with a score."""
    epoch = common_epoch(sweep)
    titles = sweep.titles(sweep.task.choices)
    choices = [_choice(sweep, key, title, epoch) for key, title in titles.items()]
    return ChoicesView(
        early_epoch=epoch,
        choices=tuple(choice for choice in choices if len(choice.groups) > 1),
        withheld=withheld,
    )


def _intervals(choice: Choice) -> list[tuple[float, float]]:
    """Of the means of its values, where they are known."""
    means = [group.early_mean or group.finished_mean for group in choice.groups]
    return [
        (mean.low, mean.high)
        for mean in means
        if mean is not None and mean.low is not None and mean.high is not None
    ]


def _are_apart(choice: Choice) -> bool:
    known = _intervals(choice)
    return len(known) > 1 and max(low for low, _ in known) > min(high for _, high in known)


def _choice(sweep: SweepView, key: str, title: str, epoch: int | None) -> Choice:
    having = [trial for trial in sweep.trials if trial.curve and key in trial.config]
    values = dict.fromkeys(as_shown(value) for value in sorted((t.config[key] for t in having), key=_place))
    groups = [_group(sweep, key, value, epoch) for value in values]
    return Choice(key=key, title=title, groups=tuple(groups))


def _group(sweep: SweepView, key: str, value: str, epoch: int | None) -> ChoiceGroup:
    def mine(trial: TrialView) -> bool:
        return key in trial.config and as_shown(trial.config[key]) == value

    full = [trial for trial in sweep.finished if mine(trial)]
    before = [] if epoch is None else [trial for trial in reached(sweep, epoch) if mine(trial)]
    finished = [trial.score for trial in full]
    early = [] if epoch is None else [trial.curve[epoch] for trial in before]
    return ChoiceGroup(
        value=value,
        finished=tuple(finished),
        finished_trials=tuple(trial.number for trial in full),
        finished_mean=group_mean(finished),
        early=tuple(early),
        early_trials=tuple(trial.number for trial in before),
        early_mean=group_mean(early),
        stopped=sum(mine(trial) for trial in sweep.unfinished),
    )


def _place(value: Any) -> tuple[bool, float, str]:
    """Numbers by their size, before all other values by their text."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return (not is_number, value if is_number else 0.0, as_shown(value))
