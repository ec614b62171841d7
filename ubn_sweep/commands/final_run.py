"""One final training from its beginning to its verdict: trained, tested once, recorded, copied."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ubn_sweep.commands.bars import counted
from ubn_sweep.commands.final_copies import following, sink_of
from ubn_sweep.commands.live import duration, say, warn
from ubn_sweep.errors import DivergedError, InterruptedSweepError, UserError
from ubn_sweep.export.confirmation import confirm, confirmation_seed
from ubn_sweep.export.final import FinalResult, prepare_folder, train_for_good, write_result
from ubn_sweep.export.judging import judge
from ubn_sweep.export.looks import Kind, Looks, count_looks, look_of, record_look
from ubn_sweep.export.verdict import Verdict
from ubn_sweep.plain_json import with_nulls
from ubn_sweep.records.environment import describe_environment
from ubn_sweep.records.events import FinalConfirmed
from ubn_sweep.records.final_training import FinalRecorder, recording
from ubn_sweep.records.folder import FinalFolder
from ubn_sweep.schema import to_plain
from ubn_sweep.tracking.delivery.follower import Followers
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
class FinalJob:
    """What is to be trained for good, and where all of it goes."""

    task: Task
    config: Any
    folder: FinalFolder
    workers: int
    to_confirm: bool
    uri: str
    """MLflow's store, as the user writes it."""
    home: Path
    """Where looks at test sets are counted."""
    parent: str = ""
    """The `final_id` of what several seeds have in common, for one of them."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What there is to tell when all is trained."""

    result: FinalResult
    confirmed: FinalConfirmed | None
    verdict: Verdict | None
    looks: Looks


def train_one(job: FinalJob) -> tuple[Outcome, str | None]:
    """Trains, tests once, records, and compares with the promise. Returns the id of the run in MLflow, too, where it
    has arrived there."""
    prepare_folder(job.folder, job.config)
    sink = sink_of(job.folder, job.uri, job.home)
    with recording(job.folder) as recorder:
        recorder.begin(
            name=f"final {job.folder.path.name}",
            task=job.task.name,
            config=to_plain(job.config),
            tracking_uri=job.uri,
            environment=describe_environment(),
            parent=job.parent,
        )
        one_of(recorder, job.folder, of_seeds=False)
        with following(job.folder, sink) as followers, counted():
            outcome = _train(job, recorder, followers.notice)
    tell_undelivered(followers, job.folder)
    return outcome, sink.run_id


def one_of(recorder: FinalRecorder, folder: FinalFolder, *, of_seeds: bool) -> None:
    """Looks whether a folder is of one training, or of what several have in common, as it is to be.

    Raises:
        UserError: it is the other.
    """
    started = recorder.record.start
    if started is not None and started.of_seeds != of_seeds:
        there = "one seed" if of_seeds else "several seeds"
        raise UserError(f"--out: {folder.path} holds a final training of {there}: choose another folder")


def tell_undelivered(followers: Followers, folder: FinalFolder) -> None:
    """A line for each store that has not taken all."""
    for store, why in followers.undelivered.items():
        warn(
            f"{store} has not taken the run ({why}); none of it is lost: "
            f"`ubn-sweep sync {folder.path}` delivers it"
        )


def _train(job: FinalJob, recorder: FinalRecorder, notice: Callable[[], str | None]) -> Outcome:
    """The trainings themselves. However they end, the record says so, unless the process is killed."""
    task, config, epochs = job.task, job.config, job.config.training.epochs
    try:
        result = train_for_good(
            task,
            config,
            folder=job.folder,
            recorders=(recorder, EpochLines(task, epochs, notice)),
            workers=job.workers,
            started=_tell_start,
            testing=lambda: _look(job, recorder, "final", config.seed),
            tell=warn,
        )
        _record_test(job, result, recorder)
        if job.to_confirm:
            say("once more under the sweep's own protocol, with a new seed:")
            confirm(
                task,
                config,
                folder=job.folder,
                recorder=recorder,
                recorders=(EpochLines(task, epochs, notice),),
                workers=job.workers,
                started=_tell_start,
                testing=lambda: _look(job, recorder, "confirmation", confirmation_seed(config)),
                tell=warn,
            )
        outcome = _judge(job, recorder, result)
    except KeyboardInterrupt as error:
        recorder.end("interrupted")
        raise InterruptedSweepError(
            f"interrupted; the same command goes on from the last epoch in {job.folder.path}"
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


def _look(job: FinalJob, recorder: FinalRecorder, kind: Kind, seed: int) -> None:
    assert recorder.record.start is not None
    final_id = recorder.record.start.final_id
    look = look_of(job.task, job.config, final_id=final_id, kind=kind, seed=seed, folder=job.folder.path)
    why_not = record_look(job.home, look)
    if why_not is not None:
        warn(f"this look at the test set is not counted ({why_not}): see that {job.home} can be written")


def _record_test(job: FinalJob, result: FinalResult, recorder: FinalRecorder) -> None:
    origin: Provenance | None = job.config.provenance
    promised = origin.promised if origin is not None else None
    difference = None
    if origin is not None and promised is not None:
        difference = result.test[job.task.metric(origin.metric).on_test] - promised
    recorder.tested(
        result.test,
        epoch=result.epochs,
        promised={origin.metric: promised} if origin is not None and promised is not None else None,
        test_minus_promised=difference,
        test_examples=result.test_examples,
        look=count_looks(job.home, job.task, job.config).of_sweep,
    )


def _judge(job: FinalJob, recorder: FinalRecorder, result: FinalResult) -> Outcome:
    """The verdict, recorded and beside the result; with the confirmation of an earlier attempt, where there was one."""
    confirmed = recorder.record.confirmed
    looks = count_looks(job.home, job.task, job.config)
    # Of several seeds none is judged by itself: n verdicts err n times as often as one.
    found = None if job.parent else judge(job.task, job.config, result, confirmed)
    more: dict[str, Any] = {"test_looks": dataclasses.asdict(looks)}
    if found is not None or confirmed is not None:
        more["confirmation"] = None if confirmed is None else dataclasses.asdict(confirmed)
    if found is not None:
        more["verdict"] = with_nulls(dataclasses.asdict(found))
        recorder.judged(more["verdict"])
    write_result(job.folder, job.task, job.config, test=result.test, **more)
    return Outcome(result=result, confirmed=confirmed, verdict=found, looks=looks)


def _tell_start(run: Run) -> None:
    again = f", going on from epoch {run.epoch}" if run.epoch else ""
    say(f"{run.summary}{again}")
