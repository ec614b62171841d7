"""The best configs of a sweep as files: each trains for good with `ubn-sweep train FILE`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ubn_sweep import schema
from ubn_sweep.errors import UserError
from ubn_sweep.landscape.read import SweepView, TrialView, read_sweep
from ubn_sweep.landscape.views.ranking import ranked
from ubn_sweep.records.events import SweepStarted, TrialCreated
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import read_journal
from ubn_sweep.records.observations import observations
from ubn_sweep.records.trials import Trials
from ubn_sweep.training.finding import DEFAULT_TASK, find_task, spec_in_todays_words
from ubn_sweep.training.provenance import Provenance
from ubn_sweep.training.task import Task


def export_configs(
    folder: SweepFolder,
    *,
    top: int,
    out: Path,
    tracking_uri: str | None = None,
    run_ids: Mapping[int, str] | None = None,
) -> list[Path]:
    """Writes the `top` best configs, best first: finished trials, and stopped ones only where those are too few.

    `run_ids` names the trials' MLflow runs. Two trials that differ only in their seed are one config. All files are
    written, or none.

    Raises:
        UserError: top < 1, no trial has finished, or `out` cannot be written.
    """
    if top < 1:
        raise UserError(f"--top: `top >= 1` must hold, but got {top}: say how many configs to write")
    events = read_journal(folder.path)
    trials = Trials(events)
    sweep = read_sweep(observations(events))
    if not sweep.finished:
        raise UserError(
            f"{folder.name}: no trial has finished at the full budget of {sweep.max_epochs} epochs yet, so there is "
            f"nothing to export: let it go on with `ubn-sweep resume {folder.typed}`"
        )
    started, created = trials.started, {trial.number: trial.created for trial in trials}
    chosen = _distinct(ranked(sweep), created)[:top]
    spec = spec_in_todays_words(started.spec)
    task = find_task(spec.get("task", DEFAULT_TASK), spec.get("task_folder"))
    files = {}
    for place, trial in enumerate(chosen, start=1):
        run_id = (run_ids or {}).get(trial.number)
        origin = _provenance(
            sweep,
            trial,
            started,
            task_folder=spec.get("task_folder"),
            tracking_uri=tracking_uri,
            run_id=run_id,
        )
        config = _config(task, created[trial.number], folder)
        name = f"{sweep.name}-{place}-trial-{trial.number:04d}.yaml"
        files[name] = _text(replace(config, provenance=origin), origin, place, out / name, sweep)
    return _write(out, files)


def _distinct(trials: list[TrialView], created: dict[int, TrialCreated]) -> list[TrialView]:
    """The first trial of each config: seeds and their number aside, they are the same training."""
    first: dict[str, TrialView] = {}
    for trial in trials:
        config = {key: value for key, value in created[trial.number].config.items() if key != "seed"}
        first.setdefault(json.dumps(config, sort_keys=True), trial)
    return list(first.values())


def _config(task: Task, created: TrialCreated, folder: SweepFolder) -> Any:
    return schema.parse(task.Config, created.config, source=f"{folder.journal}, trial {created.trial}")


def _provenance(
    sweep: SweepView,
    trial: TrialView,
    started: SweepStarted,
    *,
    task_folder: str | None,
    tracking_uri: str | None,
    run_id: str | None,
) -> Provenance:
    revision: Any = started.environment.get("git_revision")
    epoch, metric = max(trial.curve), sweep.task.metrics[0]
    promised = trial.curve[epoch] if sweep.metric == metric else trial.metrics.get(metric.name)
    if promised is None:
        raise UserError(
            f"{trial.label} reported no {metric.name} at epoch {epoch}, so there is nothing to promise: "
            "let the task report it"
        )
    return Provenance(
        task=sweep.task.name,
        task_folder=task_folder,
        sweep=sweep.name,
        sweep_id=sweep.sweep_id,
        trial=trial.number,
        status=trial.status,
        epoch=epoch,
        metric=metric.name,
        promised=promised,
        spread=trial.metrics.get(metric.spread),
        validation_examples=sweep.validation_examples,
        candidates=len(sweep.finished),
        run_id=run_id,
        tracking_uri=tracking_uri,
        git_revision=str(revision) if revision is not None else None,
        exported_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _text(config: Any, origin: Provenance, place: int, path: Path, sweep: SweepView) -> str:
    finished, metric, promised = len(sweep.finished), sweep.task.metrics[0], origin.promised
    assert promised is not None
    rank = f"Number {place} of {finished} trials that finished"
    if origin.status != "completed":
        rank = f"Not finished ({origin.status}), exported because only {finished} trials finished"
    header = [
        f"{rank}: trial {origin.trial} of the sweep {origin.sweep},",
        f"{metric.label} {metric.text(promised)} after epoch {origin.epoch} of {sweep.max_epochs}.",
        "Train it for good, on train + validation, and test it once:",
        f"  ubn-sweep train {path}",
    ]
    return "".join(f"# {line}\n" for line in header) + schema.dump_yaml(schema.to_plain(config))


def _write(out: Path, files: dict[str, str]) -> list[Path]:
    """All files, written beside their places first and renamed when all are whole."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out, prefix=".export-") as beside:
            for name, text in files.items():
                (Path(beside) / name).write_text(text, encoding="utf-8")
            for name in files:
                (Path(beside) / name).replace(out / name)
    except OSError as error:
        raise UserError(
            f"--out: {out} cannot be written ({error.strerror}): choose a folder that you may write to"
        ) from error
    return [out / name for name in files]
