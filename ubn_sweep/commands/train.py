"""`train`: a config for good, and whether it kept what the sweep had promised."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ubn_sweep.commands.common import home_folder
from ubn_sweep.commands.final_copies import store_of
from ubn_sweep.commands.final_run import FinalJob, Outcome, train_one
from ubn_sweep.commands.live import duration, print_json, say
from ubn_sweep.export.bundle import config_of
from ubn_sweep.export.judging import check_promise
from ubn_sweep.plain_json import with_nulls
from ubn_sweep.records.folder import FinalFolder
from ubn_sweep.training.loading import load_config
from ubn_sweep.training.provenance import Provenance


def train_final(
    config_path: Path,
    *,
    out: Path | None,
    to_confirm: bool,
    tracking_uri: str | None,
    assignments: Sequence[str],
    task_name: str | None,
    home: Path | None,
    as_json: bool,
    workers: int | None = None,
) -> None:
    """Trains, tests once, records, and compares with the promise. `workers` None: as many as the trial had."""
    task, config = load_config(config_of(config_path), assignments, task=task_name)
    task.check(config)
    workers = _workers(config) if workers is None else workers
    task.check_workers(workers)
    if to_confirm:
        check_promise(config)
    origin = config.provenance.tracking_uri if config.provenance is not None else None
    place = home_folder(home)
    job = FinalJob(
        task=task,
        config=config,
        folder=FinalFolder(
            folder=(out if out is not None else Path("runs") / _name_of(config_path)).absolute()
        ),
        workers=workers,
        to_confirm=to_confirm,
        uri=store_of(origin, tracking_uri, place),
        home=place,
    )
    begun_s = time.monotonic()
    outcome, run_id = train_one(job)
    _tell(job, outcome, run_id, took_s=time.monotonic() - begun_s, as_json=as_json)


def _name_of(path: Path) -> str:
    """Of a config's file, without the ending, or of a bundle's folder."""
    return path.resolve().name if path.is_dir() else path.stem


def _workers(config: Any) -> int:
    """As many as the trial had that the config was exported from: its batches are theirs together."""
    origin: Provenance | None = config.provenance
    return 1 if origin is None else origin.workers


def _tell(job: FinalJob, outcome: Outcome, run_id: str | None, *, took_s: float, as_json: bool) -> None:
    origin: Provenance | None = job.config.provenance
    metric = job.task.promise if origin is None else job.task.metric(origin.metric)
    value, checkpoint = outcome.result.test[metric.on_test], outcome.result.checkpoint
    if as_json:
        found, confirmed = outcome.verdict, outcome.confirmed
        print_json(
            {
                "task": job.task.name,
                "metric": metric.on_test,
                "test": value,
                "promised": origin.promised if origin is not None else None,
                "verdict": None if found is None else with_nulls(dataclasses.asdict(found)),
                "confirmation": None if confirmed is None else with_nulls(dataclasses.asdict(confirmed)),
                "test_looks": dataclasses.asdict(outcome.looks),
                "checkpoint": str(checkpoint),
                "run_id": run_id,
            }
        )
        return
    say(f"\n{metric.on_test} ", (metric.text(value), "bold"), f" after {duration(took_s)}")
    if outcome.verdict is not None:
        say(outcome.verdict.sentence)
    if outcome.looks.sentence:
        say(outcome.looks.sentence)
    say(f"checkpoint {checkpoint}")
    if run_id is not None:
        say(f"MLflow run {run_id}; look at it with ", ("ubn-sweep ui", "bold"))
