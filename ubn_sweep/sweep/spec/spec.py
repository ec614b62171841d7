"""A sweep's spec: what is trained, what is varied, how it is searched. One YAML file, checked before all else."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from ubn_sweep import schema
from ubn_sweep.errors import UserError
from ubn_sweep.records.constraints import Constraint, unmet
from ubn_sweep.records.metrics import Metric
from ubn_sweep.records.race import RaceConfig
from ubn_sweep.storage import check_place
from ubn_sweep.sweep.spec.goals import MAP_AUDIT, Goal, MapConfig
from ubn_sweep.sweep.spec.parameters import Parameter
from ubn_sweep.sweep.spec.resources import ResourcesConfig, Shape, shapes
from ubn_sweep.sweep.spec.stopping import EarlyStoppingConfig, StopWhenConfig
from ubn_sweep.training.finding import DEFAULT_TASK, find_task
from ubn_sweep.training.task import Task

SAMPLER_NAMES = ("auto", "gp", "grid", "qmc", "random", "tpe")
SAMPLER_OPTIONS = {"grid": ("steps",), "qmc": ("sequence",)}
"""What `search.sampler_options` may hold for those of SAMPLER_NAMES that take any."""
SEQUENCES = ("sobol", "halton")
NAME_CHARACTERS = "letters, digits, `-`, `_` and `.`"


@dataclass(frozen=True, kw_only=True)
class SecondObjective:
    """What trials are judged by besides: those that are best in both ways form the front."""

    metric: str
    mode: Literal["max", "min"] | None = None
    """null takes the metric's own direction."""

    def score(self, metrics: dict[str, float]) -> float:
        """The metric, turned so that higher is better; NaN where it is absent."""
        return _turned(metrics.get(self.metric, math.nan), self.mode)


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """What a trial is judged by: a metric of the task, on the validation split. In YAML also a list of two."""

    metric: str = ""
    """Left out, the task's first."""
    mode: Literal["max", "min"] | None = None
    """null takes the metric's own direction."""
    constraints: dict[str, Constraint] = field(default_factory=dict)
    """Bounds on metrics that trials report: {epoch_s: {max: 2.0}}. Who does not keep them is none of the best."""
    second: SecondObjective | None = field(default=None, metadata={schema.OMIT_EMPTY: True})

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of the one or two that trials are judged by."""
        return (self.metric,) if self.second is None else (self.metric, self.second.metric)

    def meets(self, metrics: dict[str, float]) -> bool:
        """Whether metrics meet all constraints."""
        return not self.constraints or not unmet(self.constraints, metrics)

    def comparable(self, metrics: dict[str, float]) -> float:
        """The score for who compares: NaN where the metrics do not meet the constraints."""
        return self.score(metrics) if self.meets(metrics) else math.nan

    def score(self, metrics: dict[str, float]) -> float:
        """The metric, turned so that higher is better; NaN where it is absent."""
        return _turned(metrics.get(self.metric, math.nan), self.mode)

    def second_score(self, metrics: dict[str, float]) -> float | None:
        """The same of the second objective; None where there is none."""
        return None if self.second is None else self.second.score(metrics)


def _turned(value: float, mode: str | None) -> float:
    return value if mode == "max" else -value


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """Which trials are made."""

    trials: int = 32
    sampler: str = "auto"
    """One of SAMPLER_NAMES, or any of Optuna's or of one's own as `module:Class`: optuna.samplers:NSGAIISampler."""
    sampler_options: dict[str, Any] = field(default_factory=dict)
    """grid: `steps`, into how many values a range is cut. qmc: `sequence`, sobol or halton. `module:Class`: its own."""
    sampler_folder: str | None = None
    """Where that module lies, if not in the current folder or installed: filled in with the spec's own folder."""
    seed: int = 0
    points: Any = ()
    """Points of one's own, which come first: a list of mappings, or a YAML or CSV file's name, read with the spec."""
    warm_starts: bool = True
    """The paper's defaults and plain BatchNorm come before the sampler's, as far as the space holds them."""
    trial_seeds: Literal["different", "same"] = "different"
    """different: each trial has a training seed of its own, so that none wins by a seed that all share."""
    learn_from: tuple[str, ...] = ()
    """Earlier sweeps, by name or folder, whose finished trials the sampler learns from."""
    audit: int | None = None
    """Every so-many-th trial is drawn at random and never stopped early: what early scores are worth. null: none, but
    every fourth of a map."""
    goal: Goal = "best"
    """best: the config that is best at the full budget. map: how good configs are along the range of `map.over`."""
    map: MapConfig = field(default_factory=MapConfig)

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise ValueError(f"`trials >= 1` must hold, but got {self.trials}: say how many to run")
        if self.seed < 0:
            raise ValueError(f"`seed >= 0` must hold, but got {self.seed}: take any natural number")
        if self.audit is not None and self.audit < 2:
            raise ValueError(
                f"`audit >= 2` must hold, but got {self.audit}: 12 makes every 12th trial an audit"
            )
        if not is_own(self.sampler):
            self._check_ours()

    @property
    def audit_every(self) -> int | None:
        """Of how many trials one is an audit; None for none."""
        return MAP_AUDIT if self.audit is None and self.goal == "map" else self.audit

    def _check_ours(self) -> None:
        if self.sampler not in SAMPLER_NAMES:
            near = schema.did_you_mean(self.sampler, list(SAMPLER_NAMES))
            raise ValueError(
                f"unknown sampler `{self.sampler}`{near}; known: {', '.join(SAMPLER_NAMES)}, or `module:Class`"
            )
        known = SAMPLER_OPTIONS.get(self.sampler, ())
        unknown = [name for name in self.sampler_options if name not in known]
        if unknown:
            has = " and ".join(known) or "none"
            raise ValueError(f"sampler `{self.sampler}` has no option `{unknown[0]}`: it has {has}")
        steps = self.sampler_options.get("steps", 2)
        if not isinstance(steps, int) or isinstance(steps, bool) or steps < 2:
            raise ValueError(
                f"`steps` must be a whole number from 2 on, but got {steps!r}: say 5, for instance"
            )
        sequence = self.sampler_options.get("sequence", SEQUENCES[0])
        if sequence not in SEQUENCES:
            raise ValueError(f"`sequence` must be {' or '.join(SEQUENCES)}, but got {sequence!r}")


@dataclass(frozen=True, kw_only=True)
class TrackingConfig:
    """Where the records are copied to."""

    uri: str | None = None
    """MLflow's tracking store; null takes SQLite in the folder of the sweeps."""
    experiment: str = "ubn-sweep"
    study_storage: str | None = None
    """Any Optuna storage URL; null takes SQLite in the folder of the sweeps."""
    tensorboard: str | None = None
    """A folder for TensorBoard's event files, by its path from the folder of the sweeps or whole; null writes none."""


@dataclass(frozen=True, kw_only=True)
class OnEndConfig:
    """Who is told when the sweep's process ends: finished, failed, interrupted, stopped or paused."""

    command: str | None = None
    """For /bin/sh; what came of the sweep is JSON on its input."""
    webhook: str | None = None
    """An address that the same JSON is posted to; `${NAME}` comes from the environment."""
    timeout_s: float = 10.0
    """How long either may take."""

    def __post_init__(self) -> None:
        if self.timeout_s <= 0:
            raise ValueError(f"`timeout_s > 0` must hold, but got {self.timeout_s}: 10 is the default")
        if self.webhook is not None and not self.webhook.startswith(("http://", "https://", "${")):
            raise ValueError("`webhook` must be an http:// or https:// address: give it whole")


@dataclass(frozen=True, kw_only=True)
class SweepSpec:
    """The whole of a sweep."""

    name: str
    description: str = ""
    task: str = DEFAULT_TASK
    """`module:Class`: what is trained and how it is judged."""
    task_folder: str | None = None
    """Where its module lies, if not in the current folder or installed: filled in with the spec's own folder."""
    base: Any = field(default_factory=dict)
    """What all trials share: a config of the task's own class, once the spec is loaded."""
    space: dict[str, Parameter] = field(default_factory=dict)
    """Dotted key of the trial config -> how it is varied."""
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    early_stopping: EarlyStoppingConfig | None = field(default_factory=EarlyStoppingConfig)
    """null trains every trial to the end."""
    stop_when: StopWhenConfig = field(default_factory=StopWhenConfig)
    resources: ResourcesConfig = field(default_factory=ResourcesConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    on_end: OnEndConfig = field(default_factory=OnEndConfig)
    storage: str | None = field(default=None, metadata={schema.OMIT_EMPTY: True})
    """Where checkpoints, logs and a copy of the records lie: a URL (s3://bucket/sweeps, gs://, file://), or a whole
    path. null is the folder of the sweeps, which all nodes must share then."""
    race: RaceConfig | None = field(default=None, metadata={schema.OMIT_EMPTY: True})
    """What `ubn-sweep confirm` writes: which configs of another sweep race on fresh seeds, in place of a search."""

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.storage is not None:
            check_place(self.storage, "`storage`")
        if not self.space:
            raise ValueError("`space` must vary something, but is empty: name a key such as norm.threshold")

    @property
    def metric(self) -> Metric:
        """What trials are judged by."""
        return self.find_task().metric(self.objective.metric)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """All that trials are judged by, one or two."""
        task = self.find_task()
        return tuple(task.metric(name) for name in self.objective.metrics)

    @property
    def shapes(self) -> list[Shape]:
        """All that its trials may take."""
        return shapes(self.resources, self.base, self.space)

    def find_task(self) -> Task:
        """The task, imported.

        Raises:
            UserError: it is not there, or states too little.
        """
        return find_task(self.task, self.task_folder)


def is_own(sampler: str) -> bool:
    """Whether a sampler is named as `module:Class`."""
    return ":" in sampler


def check_name(name: str) -> None:
    """Names become folders.

    Raises:
        UserError: the name has characters that do not suit one.
    """
    if not name or not all(char.isalnum() or char in "-_." for char in name) or name[0] in ".-":
        raise UserError(f"`name` consists of {NAME_CHARACTERS}, but got `{name}`: choose another")
