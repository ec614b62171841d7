"""What is trained and judged: a task, one object that all rooms ask.

Nothing else in ubn_sweep names a metric, a key of the config or a way to train. A task of one's own is a subclass in a
file beside a spec (docs/tasks.md); image classification is one too. Importing this module imports no torch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

from ubn_sweep.errors import UserError
from ubn_sweep.records.metrics import Metric
from ubn_sweep.records.task import TaskRecord
from ubn_sweep.training.fields import is_text, leaves, metadata_of
from ubn_sweep.training.provenance import Provenance
from ubn_sweep.training.run import Run
from ubn_sweep.training.trial import Trial

Scalar = bool | int | float | str | None
Values = Mapping[str, Scalar]
FIXED = {
    "training.epochs": "it is the full budget, by which the rungs are placed: set it in `base`",
    "seed": "each trial has a seed already: set `repeats` in `base` to average over several",
    "provenance": "it belongs to exported configs",
}
"""Keys that no task can vary, with the reason."""


class Budget(Protocol):
    """The section `training` of a config."""

    @property
    def epochs(self) -> int:
        """The full budget; early stopping may end a trial before."""


class TaskConfig(Protocol):
    """What the config of any task has; a frozen dataclass, whose other fields are the task's own."""

    @property
    def training(self) -> Budget: ...
    @property
    def seed(self) -> int: ...
    @property
    def provenance(self) -> Provenance | None: ...


class Task:
    """The base of all tasks. A subclass states at least Config, metrics and `start`.

    What a subclass leaves out has a meaning: no data to look for, no warm starts, every value has an effect.
    """

    name: str = ""
    """`module:Class`; set by `find_task`, which made it."""
    folder: str | None = None
    """Where its module lies, if not in the current folder or installed; set by `find_task`."""
    Config: ClassVar[type]
    """The trial config: a frozen, keyword-only dataclass with the fields of TaskConfig and the task's own."""
    metrics: ClassVar[tuple[Metric, ...]] = ()
    """Of the validation split, each a possible objective. The first is the default, and what a config promises."""
    costs: ClassVar[tuple[Metric, ...]] = ()
    """What a trial's training or its model takes: possible objectives too, a second one above all."""
    example: ClassVar[str] = "example"
    """What people call one of what it learns from: `image`."""
    told: ClassVar[tuple[Metric, ...]] = ()
    """Of the training itself: told epoch by epoch where nothing is held out."""
    fixed: ClassVar[Mapping[str, str]] = {}
    """Keys and sections that cannot be varied, with the reason."""
    effects: ClassVar[Mapping[str, Mapping[str, Sequence[Scalar]]]] = {}
    """Key -> the values of other keys under which alone it has an effect."""
    warm_starts: ClassVar[Mapping[str, Values | Sequence[Values]]] = {}
    """Name -> values that a sweep begins with, or several forms of them, of which the first that its space holds is
    taken; where it holds none, the trial nearest to the last of them is called `near NAME`."""
    columns: ClassVar[tuple[str, ...]] = ()
    """Keys and sections that the table of observations shows, varied or not; those that are varied it always does."""
    choices: ClassVar[tuple[str, ...]] = ()
    """Keys whose values the report compares one by one."""
    split_key: ClassVar[str | None] = None
    """The key of the config whose seed decides which examples are held out: `confirm` draws it anew. None where the
    task draws no split."""
    several_workers: ClassVar[bool] = False
    """Whether its runs train as one of several processes, where `training.distributed` says that they are."""

    # ---------------------------------------------------------------- what a task does

    def start(self, config: Any, *, threads: int | None = None, hold_out: bool = True) -> Run:
        """A run from its beginning. `hold_out=False` trains on train + validation: the final training.

        Raises:
            UserError: the data or the device is not there.
        """
        raise NotImplementedError(f"{type(self).__name__} must say how a run starts")

    def train(self, trial: Trial) -> None:
        """One trial of a sweep: trains epoch by epoch and reports each; early stopping may end it."""
        run = self.start(trial.config, threads=trial.threads)
        trial.resume(run.load)
        go_on = run.epoch < trial.config.training.epochs
        while go_on:
            metrics = run.train_epoch()
            go_on = trial.report(
                run.epoch, metrics, save=run.save, diverged=run.diverged, correct=run.correct
            )

    def load_model(self, config: Any, folder: Path) -> Any:
        """The trained model that a checkpoint holds, ready to be used; nothing of the data is needed.

        Raises:
            UserError: there is none, or the task says nothing of it.
        """
        raise UserError(
            f"{self.name}: the task does not say how a trained model is loaded: add `load_model` to it"
        )

    def model_input(self, config: Any, folder: Path) -> Any:
        """An example of what the model of a checkpoint takes, an array of two items: made up, so that no data leaves
        with a model.

        Raises:
            UserError: there is no checkpoint, or the task says nothing of it.
        """
        raise UserError(
            f"{self.name}: the task does not say what its trained model takes: add `model_input` to it"
        )

    # ---------------------------------------------------------------- what a task knows

    def check(self, config: Any) -> None:
        """Looks whether the data is there, before anything starts.

        Raises:
            UserError: it is not.
        """

    def prepare(self, config: Any) -> None:
        """Fetches what trials need and a config allows to fetch, once, where the sweep is started.

        Raises:
            UserError: it cannot be fetched.
        """

    def fingerprint(self, config: Any) -> str | None:
        """The same wherever the data is the same, whatever its folder: a sweep's nodes are compared by it.

        None where nothing can be said.
        """
        return None

    def check_gpus(self, config: Any, gpus: float) -> None:
        """Looks whether a worker can train with the GPUs that it is given: it sees no others. Any number will do,
        unless the task knows better.

        Args:
            gpus: those of one of its workers (`resources.gpus_per_worker`): 0, a share of one, or a whole number.

        Raises:
            UserError: it needs one and gets none, or gets more than it uses.
        """

    def check_workers(self, count: int) -> None:
        """Looks whether so many processes can train one trial together.

        Raises:
            UserError: the task trains with one alone.
        """
        if count > 1 and not self.several_workers:
            raise UserError(
                f"workers: `{self.name}` trains in one process, but got {count}: take 1 (resources.workers_per_trial), "
                "or let the task say `several_workers = True`, as docs/tasks.md has it"
            )

    def judges_on_test(self, config: Any) -> bool:
        """Whether trials are judged on the test set: then nothing may choose between them while they run."""
        return False

    def subject(self, config: Any) -> str:
        """What is trained on what, for headlines: `resnet8 on digits`."""
        return type(self).__name__

    def examples(self, config: Any) -> int | None:
        """How many validation examples the config leaves; None where that is not known before the data is read."""
        return None

    def seeds_per_trial(self, config: Any) -> int:
        """How many seeds, counted up from the trial's, one trial uses."""
        return 1

    # ---------------------------------------------------------------- derived

    def metric(self, name: str) -> Metric:
        """A metric by its name; KeyError where there is none."""
        return next(metric for metric in (*self.judged_by, *self.told) if metric.name == name)

    @property
    def judged_by(self) -> tuple[Metric, ...]:
        """All possible objectives."""
        return (*self.metrics, *self.costs)

    @property
    def promise(self) -> Metric:
        """What an exported config promises."""
        return self.metrics[0]

    def why_fixed(self, key: str) -> str | None:
        """Why a key cannot be varied; None where it can."""
        for prefix, reason in {**FIXED, **self.fixed}.items():
            if key == prefix or key.startswith(f"{prefix}."):
                return reason
        return None

    def record(self, config: Any) -> TaskRecord:
        """What readers of a sweep need to know of its task."""
        titles = metadata_of(self.Config, "title")
        return TaskRecord(
            name=self.name,
            subject=self.subject(config),
            metrics=self.judged_by,
            example=self.example,
            examples=self.examples(config),
            columns=self.columns,
            text_keys=tuple(key for key, kind in leaves(self.Config) if is_text(kind)),
            choices=self.choices,
            titles=titles,
        )

    def short_title(self, key: str) -> str:
        """A key as a narrow column's head."""
        return metadata_of(self.Config, "short").get(key, key.rsplit(".", 1)[-1].replace("_", " "))


def check_declaration(task: Task) -> None:
    """Looks whether a task states what it must.

    Raises:
        UserError: says what is missing.
    """
    config = getattr(task, "Config", None)
    if not dataclasses.is_dataclass(config):
        raise UserError(f"task: `{task.name}` has no `Config`: state a dataclass of its trial config")
    names = {item.name for item in dataclasses.fields(config)}
    for needed in ("training", "seed", "provenance"):
        if needed not in names:
            raise UserError(
                f"task: the Config of `{task.name}` has no field `{needed}`: add it, as docs/tasks.md says"
            )
    if not task.metrics:
        raise UserError(f"task: `{task.name}` has no `metrics`: state at least one, which its trials report")
    if type(task).start is Task.start and type(task).train is Task.train:
        raise UserError(f"task: `{task.name}` has no `start`: say how a run begins")
