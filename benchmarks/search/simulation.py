"""A sweep on simulated asynchronous workers: real searchers and schedulers, known curves, no training."""

import heapq
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Protocol

import optuna
from optuna.trial import TrialState

from benchmarks.search.known import METRIC, params_of, spec_of
from benchmarks.search.problems import Params, Problem
from ubn_sweep.sweep.deciding.rungs import Rungs
from ubn_sweep.sweep.deciding.state import SweepState


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Successive halving's settings; `max_epochs` comes from the problem."""

    grace_epochs: int = 2
    reduction_factor: float = 3


class Engine(Protocol):
    """What a sweep asks: the next configuration, and at every report whether the trial stops, or waits.

    A trial that waited may be handed out again, to go on behind its last report.
    """

    def ask(self) -> tuple[int, Params]: ...

    def report(self, trial: int, epoch: int, value: float) -> bool: ...


class StateEngine:
    """A sweep of ubn-sweep itself, `SweepState`, without the processes that it would run trials in."""

    def __init__(
        self, problem: Problem, sampler: str, seed: int, schedule: Schedule, kind: str | None = None
    ):
        search = {"trials": 100_000, "sampler": sampler, "seed": seed}
        stopping = {
            "grace_epochs": schedule.grace_epochs,
            "reduction_factor": schedule.reduction_factor,
            **({} if kind is None else {"kind": kind}),
        }
        spec = spec_of(problem, search=search, early_stopping=stopping)
        self.state = SweepState(spec, record=lambda event: None, now_s=lambda: 0.0)

    def ask(self) -> tuple[int, Params]:
        trial = self.state.next_trial()
        assert trial is not None, "more trials are allowed than the budget can hold"
        return trial.number, params_of(trial.params)

    def report(self, trial: int, epoch: int, value: float) -> bool:
        return self.state.report(trial, epoch, {METRIC: value})


class StudyEngine:
    """An Optuna study with any sampler, and Rungs, which ubn-sweep runs under Tune."""

    def __init__(self, problem: Problem, sampler: optuna.samplers.BaseSampler, schedule: Schedule):
        self.study = optuna.create_study(direction="maximize", sampler=sampler)
        self.rungs = rungs_of(problem, schedule)
        self._problem = problem
        self._trials: dict[int, optuna.Trial] = {}

    def ask(self) -> tuple[int, Params]:
        trial = self.study.ask()
        self._trials[trial.number] = trial
        return trial.number, self._problem.suggest(trial)

    def report(self, trial: int, epoch: int, value: float) -> bool:
        self._trials[trial].report(value, epoch)
        if not math.isfinite(value):
            self.study.tell(self._trials.pop(trial), state=TrialState.FAIL)
            return True
        is_stopped = self.rungs.report(trial, epoch, value)
        if is_stopped:
            is_complete = epoch >= self._problem.max_epochs
            state = TrialState.COMPLETE if is_complete else TrialState.PRUNED
            self.study.tell(self._trials.pop(trial), value if is_complete else None, state=state)
        return is_stopped


class StockEngine:
    """Ray Tune's OptunaSearch (TPE) and AsyncHyperBandScheduler, called as Tune's controller calls them."""

    def __init__(self, problem: Problem, seed: int, schedule: Schedule):
        from ray.tune.schedulers import AsyncHyperBandScheduler
        from ray.tune.search.optuna import OptunaSearch

        params: dict[str, Params] = {}
        self._params = params

        def space(trial: "optuna.Trial") -> None:
            problem.suggest(trial)

        sampler = optuna.samplers.TPESampler(seed=seed)
        self._searcher = OptunaSearch(space=space, metric="value", mode="max", sampler=sampler)
        self._scheduler = AsyncHyperBandScheduler(
            time_attr="training_iteration",
            metric="value",
            mode="max",
            max_t=problem.max_epochs,
            grace_period=schedule.grace_epochs,
            reduction_factor=schedule.reduction_factor,
        )
        self._asked = 0

    def ask(self) -> tuple[int, Params]:
        trial = self._asked
        self._asked += 1
        params = self._searcher.suggest(str(trial))
        self._scheduler.on_trial_add(None, SimpleNamespace(trial_id=str(trial)))
        return trial, params

    def report(self, trial: int, epoch: int, value: float) -> bool:
        if not math.isfinite(value):
            self._searcher.on_trial_complete(str(trial), error=True)
            return True
        result = {"training_iteration": epoch, "value": value}
        decision = self._scheduler.on_trial_result(None, SimpleNamespace(trial_id=str(trial)), result)
        if decision == self._scheduler.STOP:
            self._searcher.on_trial_complete(str(trial), result)
            return True
        self._searcher.on_trial_result(str(trial), result)
        return False


def rungs_of(problem: Problem, schedule: Schedule) -> Rungs:
    return Rungs(
        grace_epochs=schedule.grace_epochs,
        reduction_factor=schedule.reduction_factor,
        max_epochs=problem.max_epochs,
    )


@dataclass(frozen=True, kw_only=True)
class Run:
    """One simulated sweep."""

    regrets: list[float]  # after 1, 2, ... epochs: regret of the configuration with the best value observed
    suggestion_cpu_s: list[float]  # processor seconds for suggestion 1, 2, ...
    n_complete: int


def simulate(problem: Problem, engine: Engine, *, budget_epochs: int, workers: int) -> Run:
    """Run trials on `workers` workers, every epoch one unit of time, until `budget_epochs` are reported.

    What diverged is nobody's best: the regret falls back to that of the best trial that did not.
    """
    regrets: list[float] = []
    suggestion_cpu_s: list[float] = []
    n_complete = 0
    best: dict[int, tuple[float, float]] = {}  # trial -> (its best value so far, its regret)
    epochs: dict[int, int] = {}
    regret_of: dict[int, float] = {}
    # (time, worker, trial, epoch to be reported, its curve); the worker's number breaks ties.
    queue: list[tuple[int, int, int, int, list[float]]] = []

    def start(now: int, worker: int) -> None:
        began = time.process_time()
        trial, params = engine.ask()
        suggestion_cpu_s.append(time.process_time() - began)
        curve = problem.curves([params])[0].tolist()
        regret_of[trial] = problem.regret(float(problem.finals([params])[0]))
        heapq.heappush(queue, (now + 1, worker, trial, epochs.get(trial, 0) + 1, curve))

    for worker in range(workers):
        start(0, worker)
    while len(regrets) < budget_epochs:
        now, worker, trial, epoch, curve = heapq.heappop(queue)
        value = curve[epoch - 1]
        epochs[trial] = epoch
        if not math.isfinite(value):
            best.pop(trial, None)
        elif value > best.get(trial, (-math.inf, 0.0))[0]:
            best[trial] = value, regret_of[trial]
        regrets.append(max(best.values(), key=lambda pair: pair[0])[1] if best else problem.worst_regret)
        if engine.report(trial, epoch, value):
            n_complete += epoch >= problem.max_epochs
            start(now, worker)
        else:
            heapq.heappush(queue, (now + 1, worker, trial, epoch + 1, curve))
    return Run(regrets=regrets, suggestion_cpu_s=suggestion_cpu_s, n_complete=n_complete)


EngineFactory = Callable[[Problem, int, Schedule], Engine]
