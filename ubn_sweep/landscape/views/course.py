"""The sweep's course: what was spent on what, and when the best was found."""

from __future__ import annotations

from dataclasses import dataclass

from ubn_sweep.landscape.read import STATUSES, SweepView


@dataclass(frozen=True, kw_only=True)
class Best:
    """A new best among the trials at the full budget."""

    epochs_spent: int
    score: float
    trial: int


@dataclass(frozen=True, kw_only=True)
class CourseView:
    """Counts and costs."""

    counts: dict[str, int]
    epochs_spent: int
    epochs_unstopped: int
    """What the same trials would have cost without early stopping; failed and diverged ones at what they took."""
    best_so_far: tuple[Best, ...]
    time_s: float | None
    """From the first epoch's record to the last's."""


def course_view(sweep: SweepView) -> CourseView:
    """Epochs spent, in the order in which they were recorded, against the best finished trial so far."""
    finished = {trial.number for trial in sweep.candidates}
    moments = sorted(
        (time_s, trial.number, epoch) for trial in sweep.trials for epoch, time_s in trial.times_s.items()
    )
    by_number = {trial.number: trial for trial in sweep.trials}
    best: list[Best] = []
    for spent, (_, number, epoch) in enumerate(moments, start=1):
        trial = by_number[number]
        if number not in finished or epoch != trial.last_epoch:
            continue
        if not best or sweep.metric.better(trial.score) > sweep.metric.better(best[-1].score):
            best.append(Best(epochs_spent=spent, score=trial.score, trial=number))
    unstopped = sum(
        sweep.max_epochs if trial.status == "stopped" else trial.last_epoch for trial in sweep.trials
    )
    return CourseView(
        counts={name: sum(t.status == name for t in sweep.trials) for name in STATUSES},
        epochs_spent=len(moments),
        epochs_unstopped=unstopped,
        best_so_far=tuple(best),
        time_s=moments[-1][0] - moments[0][0] if len(moments) > 1 else None,
    )
