"""From a YAML file, or a journal's first record, to a checked spec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ubn_sweep import schema
from ubn_sweep.errors import UserError
from ubn_sweep.overrides import assigned, parse_assignment
from ubn_sweep.source import Layer, Place, Source, file_source
from ubn_sweep.sweep.spec.check import check_space
from ubn_sweep.sweep.spec.check_map import check_map
from ubn_sweep.sweep.spec.extends import load_layers, origins
from ubn_sweep.sweep.spec.objectives import as_one_mapping, check_two, checked_objective
from ubn_sweep.sweep.spec.own_sampler import own_sampler
from ubn_sweep.sweep.spec.points import read_points
from ubn_sweep.sweep.spec.resources import OLD_NAMES, check_rules, in_todays_words
from ubn_sweep.sweep.spec.spec import SearchConfig, SweepSpec, is_own
from ubn_sweep.training.finding import find_task, lies_in, spec_in_todays_words


def load_spec(path: Path, assignments: Sequence[str] = ()) -> SweepSpec:
    """Reads and checks a spec; `assignments` are `key=value` pairs, whose keys may leave out `base.`.

    Raises:
        UserError: one line with the place in the file, the rule, the value and the remedy.
    """
    return load_spec_with_origins(path, assignments)[0]


def load_spec_with_origins(path: Path, assignments: Sequence[str] = ()) -> tuple[SweepSpec, dict[str, str]]:
    """The spec, and for each key that was written the file or the option that it came from."""
    content, source = load_layers(path)
    if isinstance(content, dict):
        content, source = _with_assignments(content, source, assignments, path.parent)
    return _checked(content, source, path.absolute().parent), origins(content, source)


def spec_of_mapping(content: Mapping[str, Any], assignments: Sequence[str] = ()) -> SweepSpec:
    """The checked spec that a mapping says, as a file in the current folder would; without `extends`.

    Raises:
        UserError: one line with the key, the rule, the value and the remedy.
    """
    plain, source = _with_assignments(dict(content), file_source("the spec"), assignments, Path.cwd())
    return _checked(plain, source, Path.cwd())


def spec_from_plain(content: dict[str, Any]) -> SweepSpec:
    """The spec of a recorded sweep; what a record of before does not say is as it was then."""
    stopping = content.get("early_stopping")
    if isinstance(stopping, dict):
        content = {**content, "early_stopping": {"kind": "stop", **stopping}}
    return _parsed(content, file_source("the sweep's record"), folder=None)


def respecified(spec: SweepSpec, assignments: Sequence[str]) -> SweepSpec:
    """A recorded spec with `key=value` pairs set.

    Raises:
        UserError: one line with the pair, the rule, the value and the remedy.
    """
    content, source = _with_assignments(
        schema.to_plain(spec),
        file_source("the sweep's record"),
        assignments,
        Path(spec.task_folder) if spec.task_folder is not None else Path.cwd(),
    )
    return _parsed(content, source, folder=None)


def _checked(content: Any, source: Source, folder: Path) -> SweepSpec:
    spec = _parsed(content, source, folder=folder)
    check_space(spec, source)
    points = read_points(spec, source, folder)
    return replace(spec, search=replace(spec.search, points=points))


def _with_assignments(
    content: dict[str, Any], source: Source, assignments: Sequence[str], folder: Path
) -> tuple[dict[str, Any], Source]:
    """`--set` lies above the files, and is what a mistake in it is blamed on."""
    content, layers = _with_todays_resources(content), source.layers
    for text in assignments:
        assignment = parse_assignment(text)
        place = _place_in_spec(assignment.place, content, folder)
        content = assigned(content, replace(assignment, place=place))
        layers = (Layer(name=f"--set {text}", place=place), *layers)
    return content, Source(layers=layers)


def _parsed(content: Any, source: Source, *, folder: Path | None) -> SweepSpec:
    """The spec's own keys first, then `base` by the schema of the task that they name."""
    if isinstance(content, dict):
        content = as_one_mapping(_with_todays_resources(spec_in_todays_words(content)), source)
    spec = schema.parse(SweepSpec, content, source=source)
    if spec.task_folder is None and folder is not None and lies_in(spec.task, folder):
        spec = replace(spec, task_folder=str(folder))
    spec = replace(spec, search=_found_sampler(spec.search, source, folder))
    try:
        task = spec.find_task()
    except UserError as error:
        raise UserError(f"{source.at(('task',))}: {str(error).removeprefix('task: ')}") from error
    base: Any = schema.parse(task.Config, spec.base, source=source, place=("base",))
    objective = checked_objective(spec.objective, task, source)
    check_two(spec, source)
    _check_grace(spec, base.training.epochs, source)
    check_rules(spec.resources, base, source)
    check_map(spec, source)
    return replace(spec, task=task.name, base=base, objective=objective)


def _with_todays_resources(content: dict[str, Any]) -> dict[str, Any]:
    resources = content.get("resources")
    if not isinstance(resources, dict):
        return content
    return {**content, "resources": in_todays_words(resources)}


def _found_sampler(search: SearchConfig, source: Source, folder: Path | None) -> SearchConfig:
    """A sampler from elsewhere is made once, to see whether that can be done."""
    if not is_own(search.sampler):
        return search
    if search.sampler_folder is None and folder is not None and lies_in(search.sampler, folder):
        search = replace(search, sampler_folder=str(folder))
    try:
        own_sampler(search)
    except UserError as error:
        message = str(error).removeprefix("search.sampler: ")
        raise UserError(f"{source.at(('search', 'sampler'))}: {message}") from error
    return search


def _check_grace(spec: SweepSpec, epochs: int, source: Source) -> None:
    stopping = spec.early_stopping
    if stopping is not None and stopping.grace_epochs > epochs:
        raise UserError(
            f"{source.at(('early_stopping', 'grace_epochs'))}: `early_stopping.grace_epochs <= "
            f"base.training.epochs` must hold, but got {stopping.grace_epochs} > {epochs}: lower the one or raise "
            "the other"
        )
    if stopping is not None and stopping.first_rung(stopping.brackets - 1) > epochs:
        raise UserError(
            f"{source.at(('early_stopping', 'brackets'))}: the first rung of the last of {stopping.brackets} brackets "
            f"would be epoch {stopping.first_rung(stopping.brackets - 1)} of {epochs}: lower `brackets`"
        )


def _place_in_spec(place: Place, content: dict[str, Any], folder: Path) -> Place:
    """Keys of the trial config may be written without `base.`; those of the space have dots of their own."""
    first = place[0]
    if first == "resources" and len(place) == 2:
        return (first, OLD_NAMES.get(place[1], place[1]))
    if first == "space":
        return _place_in_space(place, content.get("space"))
    if first in schema.field_names(SweepSpec) or first == "trainable":
        return place
    name = spec_in_todays_words(content).get("task", SweepSpec.task)
    task = find_task(name, folder if lies_in(name, folder) else None)
    return ("base", *place) if first in schema.field_names(task.Config) else place


def _place_in_space(place: Place, space: Any) -> Place:
    """`space.norm.threshold.high` -> (space, norm.threshold, high), by the longest key that the space has."""
    for length in range(len(place), 1, -1):
        key = ".".join(place[1:length])
        if isinstance(space, dict) and key in space:
            return ("space", key, *place[length:])
    return ("space", ".".join(place[1:])) if len(place) > 1 else place
