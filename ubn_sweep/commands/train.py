"""`train`: a config for good, and whether it kept what the sweep had promised."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ubn_sweep.commands.common import home_folder
from ubn_sweep.commands.final_copies import following, sink_of, store_of
from ubn_sweep.commands.live import duration, print_json, say, warn
from ubn_sweep.errors import DivergedError, InterruptedSweepError
from ubn_sweep.export.final import FinalResult, prepare_folder, train_for_good
from ubn_sweep.export.verdict import Verdict, verdict
from ubn_sweep.records.environment import describe_environment
from ubn_sweep.records.final_training import FinalRecorder, recording
from ubn_sweep.records.folder import FinalFolder
from ubn_sweep.records.metrics import Metric
from ubn_sweep.schema import to_plain
from ubn_sweep.training.loading import load_config
from ubn_sweep.training.provenance import Provenance
from ubn_sweep.training.run import Run
from ubn_sweep.training.task import Task


class EpochLines:
    """A line for each epoch: what the task tells of a training, and the time left.

    And one when the copy of the records first lags behind.
    """

    def __init__(self, task: Task, epochs: int, notice: Callable[[], str | None]) -> None:
        self._metrics = (*task.told, *task.metrics)
        self._epochs = epochs
        self._notice = notice
        self._told = False
        self._begun_s = time.monotonic()
        self._first: int | None = None

    def epoch(self, epoch: int, metrics: dict[str, float]) -> None:
        first = self._first = self._first if self._first is not None else epoch
        each_s = (time.monotonic() - self._begun_s) / (epoch - first + 1)
        left = duration(each_s * (self._epochs - epoch))
        told = [f"{m.label} {m.text(metrics[m.name])}" for m in self._metrics if m.name in metrics]
        say("  ".join([f"epoch {epoch}/{self._epochs}", *told, f"{left} left"]))
        notice = None if self._told else self._notice()
        if notice is not None:
            warn(f"{notice}: it is tried again")
            self._told = True


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
    origin = config.provenance.tracking_uri if config.provenance is not None else None
    place = home_folder(home)
    uri = store_of(origin, tracking_uri, place)
    folder = FinalFolder(folder=(out if out is not None else Path("runs") / config_path.stem).absolute())
    prepare_folder(folder, config)
    sink = sink_of(folder, uri, place)
    begun_s = time.monotonic()
    with recording(folder) as recorder:
        recorder.begin(
            name=f"final {folder.path.name}",
            task=task.name,
            config=to_plain(config),
            tracking_uri=uri,
            environment=describe_environment(),
        )
        with following(folder, sink) as followers:
            result = _train(task, config, folder, recorder, notice=followers.notice)
    for store, why in followers.undelivered.items():
        warn(
            f"{store} has not taken the run ({why}); none of it is lost: "
            f"`ubn-sweep sync {folder.path}` delivers it"
        )
    _tell(task, config, result, sink.run_id, took_s=time.monotonic() - begun_s, as_json=as_json)


def _train(
    task: Task,
    config: Any,
    folder: FinalFolder,
    recorder: FinalRecorder,
    *,
    notice: Callable[[], str | None],
) -> FinalResult:
    """The training itself. However it ends, the record says so, unless the process is killed."""
    lines = EpochLines(task, config.training.epochs, notice)
    try:
        result = train_for_good(
            task, config, folder=folder, recorders=(recorder, lines), started=_tell_start, tell=warn
        )
    except KeyboardInterrupt as error:
        recorder.end("interrupted")
        raise InterruptedSweepError(
            f"interrupted; the same command goes on from the last epoch in {folder.path}"
        ) from error
    except DivergedError:
        recorder.end("diverged")
        raise
    except BaseException:
        recorder.end("failed")
        raise
    origin: Provenance | None = config.provenance
    promised = origin.promised if origin is not None else None
    difference = None
    if origin is not None and promised is not None:
        difference = result.test[task.metric(origin.metric).on_test] - promised
    recorder.tested(
        result.test,
        epoch=result.epochs,
        promised={origin.metric: promised} if origin is not None and promised is not None else None,
        test_minus_promised=difference,
    )
    recorder.end("completed")
    return result


def _tell_start(run: Run) -> None:
    again = f", going on from epoch {run.epoch}" if run.epoch else ""
    say(f"{run.summary}{again}")


def _tell(
    task: Task, config: Any, result: FinalResult, run_id: str | None, *, took_s: float, as_json: bool
) -> None:
    origin: Provenance | None = config.provenance
    metric = task.promise if origin is None else task.metric(origin.metric)
    value = result.test[metric.on_test]
    promised = origin.promised if origin is not None else None
    if as_json:
        print_json(
            {
                "task": task.name,
                "metric": metric.on_test,
                "test": value,
                "promised": promised,
                "checkpoint": str(result.checkpoint),
                "run_id": run_id,
            }
        )
        return
    say(f"\n{metric.on_test} ", (metric.text(value), "bold"), f" after {duration(took_s)}")
    if origin is not None and promised is not None:
        say(_verdict(metric, origin, promised, value, result).sentence)
    say(f"checkpoint {result.checkpoint}")
    if run_id is not None:
        say(f"MLflow run {run_id}; look at it with ", ("ubn-sweep ui", "bold"))


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
