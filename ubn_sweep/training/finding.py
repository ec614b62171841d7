"""Finding a task by the name that a spec or an exported config gives it: `module:Class`."""

from __future__ import annotations

import inspect
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from ubn_sweep.errors import UserError, known
from ubn_sweep.training.modules import import_named
from ubn_sweep.training.task import Task, check_declaration
from ubn_sweep.training.trial import Trial

DEFAULT_TASK = "trainables.classification:Classification"
RENAMED = {"trainables.classification:train": DEFAULT_TASK}
"""What version 0.1 called a trainable."""


def find_task(name: str, folder: str | Path | None = None) -> Task:
    """The task of a name. Its module lies in the current folder, in `folder`, or is installed.

    A function of one `Trial`, which a spec of version 0.1 could name, becomes a task of image classification that
    trains its trials by it.

    Raises:
        UserError: the name is not written so, there is no such module or class, the module cannot be imported, or
            the class states too little.
    """
    return _found(RENAMED.get(name, name), None if folder is None else str(folder), str(Path.cwd()))


@cache
def _found(name: str, folder: str | None, current: str) -> Task:
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise UserError(f"task: is written `module:Class`, but got `{name}`: name both")
    module = _module(module_name, [current] if folder is None else [current, folder])
    found = getattr(module, attribute, None)
    if found is None:
        tasks = [key for key, value in vars(module).items() if not key.startswith("_") and _is_task(value)]
        raise UserError(f"task: `{module_name}` has no task `{attribute}`; it has {known(tasks) or 'none'}")
    task = _as_task(found, name)
    task.name, task.folder = name, folder
    check_declaration(task)
    return task


def spec_in_todays_words(content: dict[str, Any]) -> dict[str, Any]:
    """A spec of version 0.1 as one of today: it called the task a trainable."""
    if "trainable" not in content or "task" in content:
        return content
    name = RENAMED.get(content["trainable"], content["trainable"])
    return {
        ("task" if key == "trainable" else key): value
        for key, value in {**content, "trainable": name}.items()
    }


def lies_in(name: str, folder: Path) -> bool:
    """Whether a task's module is found in a folder alone: neither installed, nor in the current one."""
    module = name.partition(":")[0].split(".")[0]
    here = (Path.cwd() / module, Path.cwd() / f"{module}.py")
    there = (folder / module, folder / f"{module}.py")
    return not any(path.exists() for path in here) and any(path.exists() for path in there)


def _module(name: str, folders: list[str]) -> ModuleType:
    places = "the current folder, beside the spec, or be installed"
    return import_named(name, folders, key="task", places=places)


def _is_task(value: Any) -> bool:
    return (
        isinstance(value, Task)
        or (inspect.isclass(value) and issubclass(value, Task))
        or inspect.isfunction(value)
    )


def _as_task(found: Any, name: str) -> Task:
    if inspect.isclass(found) and issubclass(found, Task):
        return found()
    if isinstance(found, Task):
        return found
    if inspect.isfunction(found):
        return _trained_by(found)
    raise UserError(
        f"task: `{name}` must be a subclass of ubn_sweep.training.task.Task, but is {found!r}: make it one"
    )


def _trained_by(function: Any) -> Task:
    """Image classification whose trials a function trains. It says nothing of a final training, which is refused."""
    from ubn_sweep.training.classification.task import ImageClassification

    class TrainedByFunction(ImageClassification):
        several_workers = False  # who knows what it does

        def train(self, trial: Trial) -> None:
            function(trial)

        def start(self, config: Any, *, threads: int | None = None, hold_out: bool = True) -> Any:
            raise UserError(
                f"`{self.name}` is a function that trains one trial, which says nothing of a final training: make "
                "it the method `train` of a task, as docs/tasks.md says"
            )

    return TrainedByFunction()
