"""`train`: a config for good, and whether it kept what the sweep had promised."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ubn_sweep.commands.bars import counted
from ubn_sweep.commands.common import home_folder
from ubn_sweep.commands.final_copies import following, sink_of, store_of
from ubn_sweep.commands.live import duration, print_json, say, warn
from ubn_sweep.errors import DivergedError, InterruptedSweepError, UserError
from ubn_sweep.export.bundle import config_of
from ubn_sweep.export.confirmation import confirm
from ubn_sweep.export.final import FinalResult, prepare_folder, train_for_good, write_result
from ubn_sweep.export.judging import check_promise, judge
from ubn_sweep.export.verdict import Verdict
from ubn_sweep.plain_json import with_nulls
from ubn_sweep.records.environment import describe_environment
from ubn_sweep.records.events import FinalConfirmed
from ubn_sweep.records.final_training import FinalRecorder, recording
from ubn_sweep.records.folder import FinalFolder
from ubn_sweep.schema import to_plain
from ubn_sweep.training.loading import load_config
from ubn_sweep.training.memory import is_out_of_memory, out_of_memory_in_words
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


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What there is to tell when all is trained."""

    result: FinalResult
    confirmed: FinalConfirmed | None
    verdict: Verdict | None


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
    uri = store_of(origin, tracking_uri, place)
    folder = FinalFolder(folder=(out if out is not None else Path("runs") / _name_of(config_path)).absolute())
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
        with following(folder, sink) as followers, counted():
            outcome = _train(
                task,
                config,
                folder,
                recorder,
                workers=workers,
                to_confirm=to_confirm,
                notice=followers.notice,
            )
    for store, why in followers.undelivered.items():
        warn(
            f"{store} has not taken the run ({why}); none of it is lost: "
            f"`ubn-sweep sync {folder.path}` delivers it"
        )
    _tell(task, config, outcome, sink.run_id, took_s=time.monotonic() - begun_s, as_json=as_json)


def _train(
    task: Task,
    config: Any,
    folder: FinalFolder,
    recorder: FinalRecorder,
    *,
    workers: int,
    to_confirm: bool,
    notice: Callable[[], str | None],
) -> Outcome:
    """The trainings themselves. However they end, the record says so, unless the process is killed."""
    epochs = config.training.epochs
    try:
        lines = EpochLines(task, epochs, notice)
        result = train_for_good(
            task,
            config,
            folder=folder,
            recorders=(recorder, lines),
            workers=workers,
            started=_tell_start,
            tell=warn,
        )
        _record_test(task, config, result, recorder)
        if to_confirm:
            say("once more under the sweep's own protocol, with a new seed:")
            lines = EpochLines(task, epochs, notice)
            confirm(
                task,
                config,
                folder=folder,
                recorder=recorder,
                recorders=(lines,),
                workers=workers,
                started=_tell_start,
                tell=warn,
            )
        outcome = _judge(task, config, folder, recorder, result)
    except KeyboardInterrupt as error:
        recorder.end("interrupted")
        raise InterruptedSweepError(
            f"interrupted; the same command goes on from the last epoch in {folder.path}"
        ) from error
    except DivergedError:
        recorder.end("diverged")
        raise
    except BaseException as error:
        recorder.end("failed")
        if not isinstance(error, Exception) or not is_out_of_memory(error):
            raise
        words = out_of_memory_in_words(error, to_plain(config))
        raise UserError(f"{words}: lower it, or training.eval_batch_size, and take another --out") from error
    recorder.end("completed")
    return outcome


def _record_test(task: Task, config: Any, result: FinalResult, recorder: FinalRecorder) -> None:
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


def _judge(
    task: Task, config: Any, folder: FinalFolder, recorder: FinalRecorder, result: FinalResult
) -> Outcome:
    """The verdict, recorded and beside the result; with the confirmation of an earlier attempt, where there was one."""
    confirmed = recorder.record.confirmed
    found = judge(task, config, result, confirmed)
    if found is not None:
        content = with_nulls(dataclasses.asdict(found))
        write_result(
            folder,
            task,
            config,
            test=result.test,
            verdict=content,
            confirmation=None if confirmed is None else dataclasses.asdict(confirmed),
        )
        recorder.judged(content)
    return Outcome(result=result, confirmed=confirmed, verdict=found)


def _name_of(path: Path) -> str:
    """Of a config's file, without the ending, or of a bundle's folder."""
    return path.resolve().name if path.is_dir() else path.stem


def _workers(config: Any) -> int:
    """As many as the trial had that the config was exported from: its batches are theirs together."""
    origin: Provenance | None = config.provenance
    return 1 if origin is None else origin.workers


def _tell_start(run: Run) -> None:
    again = f", going on from epoch {run.epoch}" if run.epoch else ""
    say(f"{run.summary}{again}")


def _tell(
    task: Task, config: Any, outcome: Outcome, run_id: str | None, *, took_s: float, as_json: bool
) -> None:
    origin: Provenance | None = config.provenance
    metric = task.promise if origin is None else task.metric(origin.metric)
    value, checkpoint = outcome.result.test[metric.on_test], outcome.result.checkpoint
    if as_json:
        found, confirmed = outcome.verdict, outcome.confirmed
        print_json(
            {
                "task": task.name,
                "metric": metric.on_test,
                "test": value,
                "promised": origin.promised if origin is not None else None,
                "verdict": None if found is None else with_nulls(dataclasses.asdict(found)),
                "confirmation": None if confirmed is None else with_nulls(dataclasses.asdict(confirmed)),
                "checkpoint": str(checkpoint),
                "run_id": run_id,
            }
        )
        return
    say(f"\n{metric.on_test} ", (metric.text(value), "bold"), f" after {duration(took_s)}")
    if outcome.verdict is not None:
        say(outcome.verdict.sentence)
    say(f"checkpoint {checkpoint}")
    if run_id is not None:
        say(f"MLflow run {run_id}; look at it with ", ("ubn-sweep ui", "bold"))
