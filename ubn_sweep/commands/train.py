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
from ubn_sweep.commands.final_seeds import SeedsOutcome, train_seeds
from ubn_sweep.commands.live import duration, print_json, say
from ubn_sweep.commands.registering import register_trained
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
    seeds: int = 1,
    register_as: str | None = None,
) -> None:
    """Trains, tests once, records, and compares with the promise. `workers` None: as many as the trial had.

    Several seeds are trained one after another, each tested once; of them the first is registered, since the best would
    be picked by the test set.
    """
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
        folder=FinalFolder(folder=(out if out is not None else _usual(config_path, seeds)).absolute()),
        workers=workers,
        to_confirm=to_confirm,
        uri=store_of(origin, tracking_uri, place),
        home=place,
    )
    begun_s = time.monotonic()
    if seeds > 1:
        found = train_seeds(job, seeds)
        trained = next(one.folder for one in found.seeds if one.test is not None)
        version = None if register_as is None else register_trained(job, trained, register_as)
        _tell_seeds(job, found, version, took_s=time.monotonic() - begun_s, as_json=as_json)
        _tell_version(register_as, version, as_json=as_json)
        return
    outcome, run_id = train_one(job)
    version = None if register_as is None else register_trained(job, job.folder, register_as)
    _tell(job, outcome, run_id, version, took_s=time.monotonic() - begun_s, as_json=as_json)
    _tell_version(register_as, version, as_json=as_json)


def _usual(path: Path, seeds: int) -> Path:
    """By the name of the config's file, without the ending, or of the bundle's folder; several seeds lie by themselves,
    however many they become."""
    name = path.resolve().name if path.is_dir() else path.stem
    return Path("runs") / (name if seeds == 1 else f"{name}-seeds")


def _workers(config: Any) -> int:
    """As many as the trial had that the config was exported from: its batches are theirs together."""
    origin: Provenance | None = config.provenance
    return 1 if origin is None else origin.workers


def _tell_version(name: str | None, version: str | None, *, as_json: bool) -> None:
    if version is not None and not as_json:
        say(f"registered as {name}, version {version}: mlflow.pytorch.load_model('models:/{name}/{version}')")


def _tell(
    job: FinalJob, outcome: Outcome, run_id: str | None, version: str | None, *, took_s: float, as_json: bool
) -> None:
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
                "model_version": version,
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


def _tell_seeds(
    job: FinalJob, outcome: SeedsOutcome, version: str | None, *, took_s: float, as_json: bool
) -> None:
    metric, summary = outcome.metric, outcome.summary
    if as_json:
        print_json(
            {
                "task": job.task.name,
                "metric": metric.on_test,
                **dataclasses.asdict(summary),
                "seeds": [
                    {
                        "seed": one.seed,
                        "test": None if one.test is None else one.test[metric.on_test],
                        "confirmation": one.confirmed,
                        "folder": str(one.folder.path),
                    }
                    for one in outcome.seeds
                ],
                "verdict": None
                if outcome.verdict is None
                else with_nulls(dataclasses.asdict(outcome.verdict)),
                "test_looks": dataclasses.asdict(outcome.looks),
                "run_id": outcome.run_id,
                "model_version": version,
            }
        )
        return
    assert summary.mean is not None
    apart = "" if summary.spread is None else f", standard deviation {metric.difference(summary.spread)}"
    lost = f", and {summary.diverged} diverged" if summary.diverged else ""
    say(
        f"\n{metric.on_test} ",
        (metric.text(summary.mean), "bold"),
        f": mean of {summary.n} seeds{apart}{lost}",
    )
    say(f"each: {', '.join(metric.text(value) for value in summary.values)}; after {duration(took_s)}")
    if outcome.verdict is not None:
        say(outcome.verdict.sentence)
    if outcome.looks.sentence:
        say(outcome.looks.sentence)
    say(f"one folder for each seed below {job.folder.path}")
    if outcome.run_id is not None:
        say(f"MLflow run {outcome.run_id}; look at it with ", ("ubn-sweep ui", "bold"))
