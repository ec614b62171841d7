"""The best configs of a sweep as files: each trains for good with `ubn-sweep train FILE`."""

from __future__ import annotations

import math
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ubn_sweep import schema
from ubn_sweep.errors import UserError
from ubn_sweep.export.bundling import bundle_files, history_of
from ubn_sweep.export.candidates import Candidate, candidates_of, chosen, config_text
from ubn_sweep.export.header import header_of
from ubn_sweep.export.raced import confirmed_first, with_race
from ubn_sweep.landscape.confirmation import confirmation_of
from ubn_sweep.landscape.read import SweepView, TrialView, read_correctness, read_sweep
from ubn_sweep.landscape.views.ranking import ranking
from ubn_sweep.records.correctness import Bits
from ubn_sweep.records.events import SweepStarted, TrialCreated
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import read_journal
from ubn_sweep.records.metrics import Metric
from ubn_sweep.records.observations import observations
from ubn_sweep.records.trials import Trials
from ubn_sweep.training.finding import DEFAULT_TASK, find_task, spec_in_todays_words
from ubn_sweep.training.provenance import Provenance
from ubn_sweep.training.task import Task


def export_configs(
    folder: SweepFolder,
    *,
    top: int | None = None,
    out: Path,
    tracking_uri: str | None = None,
    run_ids: Mapping[int, str] | None = None,
    threads: Callable[[Mapping[str, Any]], int] | None = None,
) -> list[Path]:
    """Writes the `top` best configs, best first: finished trials, and stopped ones only where those are too few. Beside
    each file lies its bundle, a folder of the same name without the ending.

    None is 3; of a sweep with two objectives it is the whole front, and fewer are spread over it, its ends first.
    `run_ids` names the trials' MLflow runs, `threads` tells from a trial's config how many each of its workers had.
    Trials that differ only in their seed are one config, whose promise is their mean; of a config without a trial at
    the full budget nothing is promised. Where a race has confirmed the sweep, its winner comes first, with what its
    held-out rounds promise. All files are written, or none, and the same sweep gives the same bytes.

    Raises:
        UserError: top < 1, no trial has finished, or `out` cannot be written.
    """
    if top is not None and top < 1:
        raise UserError(f"--top: `top >= 1` must hold, but got {top}: say how many configs to write")
    events = read_journal(folder.path)
    trials = Trials(events)
    table = observations(events)
    sweep = read_sweep(table)
    if not sweep.finished:
        raise UserError(
            f"{folder.name}: no trial has finished at the full budget of {sweep.max_epochs} epochs yet, so there is "
            f"nothing to export: let it go on with `ubn-sweep resume {folder.typed}`"
        )
    if not sweep.candidates:
        raise UserError(
            f"{folder.name}: none of the {len(sweep.finished)} finished trials keeps "
            f"{' and '.join(sweep.constraints)}, so there is nothing to export: start a new sweep with other "
            "objective.constraints, which may --learn-from this one"
        )
    started, created = trials.started, {trial.number: trial.created for trial in trials}
    race = confirmation_of(folder, sweep.sweep_id, sweep.task.metrics[0])
    candidates, on_front = chosen(sweep, confirmed_first(candidates_of(sweep, created), race), top)
    choice = _Choice(
        candidates=len({config_text(created[trial.number]) for trial in sweep.candidates}),
        optimism=_optimism(sweep, read_correctness(table)),
        on_front=on_front,
    )
    spec = spec_in_todays_words(started.spec)
    task = find_task(spec.get("task", DEFAULT_TASK), spec.get("task_folder"))
    files, paths, history = dict[str, str](), list[Path](), history_of(events)
    for place, candidate in enumerate(candidates, start=1):
        trial = candidate.trial
        origin = _provenance(
            sweep,
            candidate,
            choice,
            started,
            workers=created[trial.number].workers,
            task_folder=spec.get("task_folder"),
            tracking_uri=tracking_uri,
            run_id=(run_ids or {}).get(trial.number),
        )
        if place == 1 and race is not None:
            origin = with_race(origin, race, sweep)
        config = _config(task, created[trial.number], folder)
        name = f"{sweep.name}-{place}-trial-{trial.number:04d}"
        header = header_of(sweep, origin, place, choice.on_front)
        paths.append(out / f"{name}.yaml")
        files[f"{name}.yaml"] = _text(header, replace(config, provenance=origin), paths[-1])
        bundle = bundle_files(
            sweep,
            candidate,
            task=task,
            config=config,
            origin=origin,
            text=_text(header, replace(config, provenance=origin), Path(name)),
            trials=trials,
            history=history,
            threads=threads(created[trial.number].config) if threads is not None else None,
            name=name,
        )
        files |= {f"{name}/{file}": text for file, text in bundle.items()}
    _write(out, files)
    return paths


def _text(header: Sequence[str], config: Any, path: Path) -> str:
    lines = [
        *header,
        "Train it for good, on train + validation, and test it once:",
        f"  ubn-sweep train {path}",
    ]
    return "".join(f"# {line}\n" for line in lines) + schema.dump_yaml(schema.to_plain(config))


@dataclass(frozen=True, kw_only=True)
class _Choice:
    """From how many configs those that are exported were picked, and how much that flatters the best."""

    candidates: int
    optimism: float | None
    on_front: frozenset[int]
    """The trials whose configs are on the front of two objectives; empty with one."""


def _optimism(sweep: SweepView, correct: Mapping[int, Bits]) -> float | None:
    """Of the promised metric; where another one was the objective, or one of two, the best was not picked for it."""
    if sweep.metric != sweep.task.metrics[0] or sweep.second is not None:
        return None
    return ranking(sweep, correct).optimism


def _config(task: Task, created: TrialCreated, folder: SweepFolder) -> Any:
    return schema.parse(task.Config, created.config, source=f"{folder.journal}, trial {created.trial}")


def _provenance(
    sweep: SweepView,
    candidate: Candidate,
    choice: _Choice,
    started: SweepStarted,
    *,
    workers: int,
    task_folder: str | None,
    tracking_uri: str | None,
    run_id: str | None,
) -> Provenance:
    revision: Any = started.environment.get("git_revision")
    trial, metric = candidate.trial, sweep.task.metrics[0]
    values = [_promised(sweep, trial) for trial in candidate.trials] if candidate.is_finished else []
    return Provenance(
        task=sweep.task.name,
        task_folder=task_folder,
        sweep=sweep.name,
        sweep_id=sweep.sweep_id,
        trial=trial.number,
        status=trial.status,
        epoch=trial.scored_epoch,
        metric=metric.name,
        promised=statistics.fmean(values) if values else None,
        also=_also(sweep, candidate, metric) if values else {},
        spread=_spread(candidate, values, metric) if values else None,
        seeds=max(len(values), 1) * sweep.repeats,
        workers=workers,
        validation_examples=sweep.validation_examples,
        candidates=choice.candidates,
        optimism=choice.optimism,
        run_id=run_id,
        tracking_uri=tracking_uri,
        git_revision=str(revision) if revision is not None else None,
    )


def _promised(sweep: SweepView, trial: TrialView) -> float:
    metric = sweep.task.metrics[0]
    value = trial.last_score if sweep.metric == metric else trial.metrics.get(metric.name)
    if value is None:
        raise UserError(
            f"{trial.label} reported no {metric.name} at epoch {trial.scored_epoch}, so there is nothing to promise: "
            "let the task report it"
        )
    return value


def _also(sweep: SweepView, candidate: Candidate, promised: Metric) -> dict[str, float]:
    """The objectives of a sweep with two, but for the promised metric, as means over the seeds."""
    if sweep.second is None:
        return {}
    means = zip((sweep.metric, sweep.second), candidate.means(sweep), strict=True)
    return {metric.name: mean for metric, mean in means if metric != promised}


def _spread(candidate: Candidate, values: Sequence[float], metric: Metric) -> float | None:
    """Over the seeds: of the repeats within trials, or of trials that differ in nothing else."""
    within = [trial.metrics[metric.spread] for trial in candidate.trials if metric.spread in trial.metrics]
    if within:
        return math.sqrt(statistics.fmean(spread**2 for spread in within))
    return statistics.stdev(values) if len(values) > 1 else None


def _write(out: Path, files: dict[str, str]) -> None:
    """All files, written beside their places first and renamed when all are whole."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out, prefix=".export-") as beside:
            for name, text in files.items():
                (Path(beside) / name).parent.mkdir(exist_ok=True)
                (Path(beside) / name).write_text(text, encoding="utf-8")
            for name in files:
                (out / name).parent.mkdir(exist_ok=True)
                (Path(beside) / name).replace(out / name)
    except OSError as error:
        raise UserError(
            f"--out: {out} cannot be written ({error.strerror}): choose a folder that you may write to"
        ) from error
