"""`train`: a config for good, and whether it kept what the sweep had promised."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ubn_sweep.commands.common import home_folder
from ubn_sweep.commands.live import console, duration, print_json
from ubn_sweep.errors import DivergedError, InterruptedSweepError
from ubn_sweep.export.final import FinalResult, prepare_folder, train_for_good
from ubn_sweep.export.verdict import Verdict, verdict
from ubn_sweep.records.environment import describe_environment
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.metrics import Metric
from ubn_sweep.schema import to_plain
from ubn_sweep.tracking.mlflow.client import check_uri
from ubn_sweep.tracking.mlflow.final import FinalRun
from ubn_sweep.training.loading import load_config
from ubn_sweep.training.provenance import Provenance
from ubn_sweep.training.task import Run, Task


class EpochLines:
    """A line for each epoch: what the task tells of a training, and the time left."""

    def __init__(self, task: Task, epochs: int) -> None:
        self._told = (*task.told, *task.metrics)
        self._epochs = epochs
        self._begun_s = time.monotonic()
        self._first: int | None = None

    def epoch(self, epoch: int, metrics: dict[str, float]) -> None:
        first = self._first = self._first if self._first is not None else epoch
        each_s = (time.monotonic() - self._begun_s) / (epoch - first + 1)
        left = duration(each_s * (self._epochs - epoch))
        told = [f"{m.label} {m.text(metrics[m.name])}" for m in self._told if m.name in metrics]
        console.print("  ".join([f"epoch {epoch}/{self._epochs}", *told, f"{left} left"]))


def train_final(
    config_path: Path,
    *,
    out: Path | None,
    tracking_uri: str | None,
    assignments: Sequence[str],
    task_name: str | None,
    home: Path | None,
    as_json: bool,
) -> None:
    """Trains, tests once, records, and compares with the promise."""
    task, config = load_config(config_path, assignments, task=task_name)
    task.check(config)
    out = (out if out is not None else Path("runs") / config_path.stem).absolute()
    prepare_folder(out, config)
    recording = _recording(config, out, tracking_uri, home)
    begun_s = time.monotonic()
    try:
        result = train_for_good(
            task,
            config,
            out=out,
            recorders=(EpochLines(task, config.training.epochs), recording),
            started=_tell_start,
        )
    except KeyboardInterrupt as error:
        recording.end("interrupted")
        raise InterruptedSweepError(
            f"interrupted; the same command goes on from the last epoch in {out}"
        ) from error
    except DivergedError:
        recording.end("diverged")
        raise
    except BaseException:
        recording.end("failed")
        raise
    recording.result(result.test, step=result.epochs)
    recording.artifacts([out / "config.yaml", result.checkpoint])
    if not recording.end():
        console.print(
            f"[yellow]MLflow has not taken the run ({recording.last_error}); the same command tries again[/yellow]"
        )
    _tell(task, config, result, recording, took_s=time.monotonic() - begun_s, as_json=as_json)


def _recording(config: Any, out: Path, tracking_uri: str | None, home: Path | None) -> FinalRun:
    """Into the store of the sweep that the config came from; without one, into the store of this folder."""
    place = SweepFolder(home=home_folder(home), name="")
    origin = config.provenance.tracking_uri if config.provenance is not None else None
    uri = next(item for item in (tracking_uri, origin, place.default_tracking_uri) if item is not None)
    check_uri(uri)
    local = uri == place.default_tracking_uri
    if local:
        place.home.mkdir(parents=True, exist_ok=True)
    return FinalRun(
        out,
        name=f"final {out.name}",
        config=to_plain(config),
        tracking_uri=uri,
        artifact_root=place.default_artifact_root if local else None,
        environment=describe_environment(),
    )


def _tell_start(run: Run) -> None:
    again = f", going on from epoch {run.epoch}" if run.epoch else ""
    console.print(f"{run.summary}{again}", soft_wrap=True)


def _tell(
    task: Task, config: Any, result: FinalResult, recording: FinalRun, *, took_s: float, as_json: bool
) -> None:
    origin: Provenance | None = config.provenance
    metric = task.promise if origin is None else task.metric(origin.metric)
    value = result.test[metric.test or metric.name]
    promised = origin.promised if origin is not None else None
    if as_json:
        print_json(
            {
                "task": task.name,
                "metric": metric.test or metric.name,
                "test": value,
                "promised": promised,
                "checkpoint": str(result.checkpoint),
                "run_id": recording.run_id,
            }
        )
        return
    console.print(
        f"\n{metric.test or metric.name} [bold]{metric.text(value)}[/bold] after {duration(took_s)}"
    )
    if origin is not None and promised is not None:
        console.print(_verdict(metric, origin, promised, value, result).sentence)
    console.print(f"checkpoint {result.checkpoint}", soft_wrap=True)
    console.print(f"MLflow run {recording.run_id}; look at it with [bold]ubn-sweep ui[/bold]", soft_wrap=True)


def _verdict(
    metric: Metric, origin: Provenance, promised: float, value: float, result: FinalResult
) -> Verdict:
    return verdict(
        metric,
        test=value,
        promised=promised,
        validation_examples=origin.validation_examples,
        test_examples=result.test_examples,
        candidates=origin.candidates,
        repeats_std=origin.spread,
    )
