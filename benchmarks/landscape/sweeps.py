"""Simulated sweeps, and what they saw: the real state, sampler and early stopping, on known curves."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.landscape.truth import Task
from benchmarks.search.known import METRIC, params_of, spec_of
from benchmarks.search.problems import Params
from ubn_sweep.surrogate.last_epoch import Seen
from ubn_sweep.sweep.deciding.state import SweepState

STOPPING = {"kind": "stop", "grace_epochs": 2, "reduction_factor": 3}
METHODS: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {
    "map": ({"sampler": "auto", "goal": "map"}, STOPPING),
    "best": ({"sampler": "auto"}, STOPPING),
    "random": ({"sampler": "random"}, STOPPING),
    "random, all to the end": ({"sampler": "random"}, None),
    "sobol": ({"sampler": "qmc"}, STOPPING),
    "sobol, all to the end": ({"sampler": "qmc"}, None),
}
"""Name -> the spec's `search` and `early_stopping`."""


@dataclass(frozen=True, kw_only=True)
class Reports:
    """In the order in which they came."""

    params: list[Params]
    reports: list[tuple[int, int, float]]
    """(trial, epoch, value)"""

    def seen(self, task: Task, epochs: int) -> Seen:
        """What was known after so many epochs of all trials together."""
        rows = np.array(sorted(self.reports[:epochs]))
        trial = rows[:, 0].astype(int)
        codes = task.space.coding.codes(self.params[: trial.max() + 1])
        return Seen(
            codes=codes,
            trial=trial,
            epoch=rows[:, 1],
            value=rows[:, 2],
            error=np.full(len(rows), task.noise**2),
        )


def swept(task: Task, method: str, *, seed: int, budget_epochs: int, workers: int = 8) -> Reports:
    """A sweep on `workers` workers, every epoch one unit of time."""
    search, stopping = METHODS[method]
    if search.get("goal") == "map":
        search = {**search, "map": {"over": f"of.{task.over}"}}
    spec = spec_of(task.problem, search={"trials": 100_000, "seed": seed, **search}, early_stopping=stopping)
    state = SweepState(spec, record=lambda event: None, now_s=lambda: 0.0)
    params: list[Params] = []
    reports: list[tuple[int, int, float]] = []
    queue: list[tuple[int, int, int, int, Sequence[float]]] = []

    def start(now: int, worker: int) -> None:
        trial = state.next_trial()
        assert trial is not None, "more trials are allowed than the budget can hold"
        params.append(params_of(trial.params))
        heapq.heappush(
            queue, (now + 1, worker, trial.number, 1, task.problem.curves([params[-1]])[0].tolist())
        )

    for worker in range(workers):
        start(0, worker)
    while len(reports) < budget_epochs:
        now, worker, trial, epoch, curve = heapq.heappop(queue)
        reports.append((trial, epoch, curve[epoch - 1]))
        if state.report(trial, epoch, {METRIC: curve[epoch - 1]}):
            start(now, worker)
        else:
            heapq.heappush(queue, (now + 1, worker, trial, epoch + 1, curve))
    return Reports(params=params, reports=reports)
