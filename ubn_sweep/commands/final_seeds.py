"""`train --seeds N`: the same config with several seeds, one run each below a common one, and what they come to."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ubn_sweep.commands.final_copies import following, sink_of
from ubn_sweep.commands.final_run import FinalJob, one_of, tell_undelivered, train_one
from ubn_sweep.commands.live import say
from ubn_sweep.errors import DivergedError, InterruptedSweepError
from ubn_sweep.export.final import prepare_folder, write_result
from ubn_sweep.export.looks import Looks, count_looks
from ubn_sweep.export.seeds import (
    SeedsVerdict,
    Summary,
    other_experiment,
    seeds_of,
    seeds_verdict,
    summary_of,
)
from ubn_sweep.plain_json import with_nulls
from ubn_sweep.records.environment import describe_environment
from ubn_sweep.records.final_training import FinalRecorder, FinalTraining, recording
from ubn_sweep.records.folder import FinalFolder
from ubn_sweep.records.journal import stream
from ubn_sweep.records.metrics import Metric
from ubn_sweep.schema import to_plain
from ubn_sweep.training.provenance import Provenance


@dataclass(frozen=True, kw_only=True)
class OneSeed:
    """What the training of one seed came to."""

    seed: int
    folder: FinalFolder
    record: FinalTraining

    @property
    def test(self) -> dict[str, float] | None:
        """None where it diverged."""
        return None if self.record.tested is None else self.record.tested.metrics

    @property
    def confirmed(self) -> dict[str, float] | None:
        """Under the sweep's own protocol; empty where that diverged, None where it was not asked for."""
        return None if self.record.confirmed is None else self.record.confirmed.metrics


@dataclass(frozen=True, kw_only=True)
class SeedsOutcome:
    """What there is to tell when all seeds are trained."""

    metric: Metric
    seeds: tuple[OneSeed, ...]
    summary: Summary
    """Of the final trainings' tests."""
    verdict: SeedsVerdict | None
    """None where nothing was promised."""
    looks: Looks
    run_id: str | None


def train_seeds(job: FinalJob, count: int) -> SeedsOutcome:
    """Trains one seed after another; those that are trained are passed over, so the same command goes on, also with
    more seeds.

    Raises:
        UserError: the folder holds something else, or a training failed.
        DivergedError: all of them diverged.
        InterruptedSweepError: the user interrupted it.
    """
    prepare_folder(job.folder, job.config)
    sink = sink_of(job.folder, job.uri, job.home)
    with recording(job.folder) as recorder:
        recorder.begin(
            name=f"final {job.folder.path.name}",
            task=job.task.name,
            config=to_plain(job.config),
            tracking_uri=job.uri,
            environment=describe_environment(),
            of_seeds=True,
        )
        one_of(recorder, job.folder, of_seeds=True)
        with following(job.folder, sink) as followers, _told_how_it_ended(recorder):
            seeds = seeds_of(job.config, count)
            done = [_trained(job, recorder, seed, f"{n}/{count}") for n, seed in enumerate(seeds, start=1)]
            outcome = _outcome(job, done)
            _record(job, recorder, outcome)
    tell_undelivered(followers, job.folder)
    return dataclasses.replace(outcome, run_id=sink.run_id)


def _trained(job: FinalJob, recorder: FinalRecorder, seed: int, place: str) -> OneSeed:
    assert recorder.record.start is not None
    one = dataclasses.replace(
        job,
        config=dataclasses.replace(job.config, seed=seed),
        folder=job.folder.of_seed(seed),
        parent=recorder.record.start.final_id,
    )
    prepare_folder(one.folder, one.config)
    if not _is_done(one):
        say(f"seed {place}: {seed}")
        try:
            train_one(one)
        except DivergedError as error:
            say(str(error))
    return OneSeed(seed=seed, folder=one.folder, record=FinalTraining(stream(one.folder.path)))


def _is_done(job: FinalJob) -> bool:
    if not job.folder.journal.exists():
        return False
    record = FinalTraining(stream(job.folder.path))
    if record.ended is not None and record.ended.status == "diverged":
        return True  # it would again
    return record.completed and (record.confirmed is not None or not job.to_confirm)


def _outcome(job: FinalJob, done: Sequence[OneSeed]) -> SeedsOutcome:
    origin: Provenance | None = job.config.provenance
    metric = job.task.promise if origin is None else job.task.metric(origin.metric)
    summary = _summary([one.test for one in done], metric)
    if summary.mean is None:
        raise DivergedError(
            f"{job.folder.path}: the trainings of all {len(done)} seeds diverged: lower optimizer.lr, or take another "
            "config"
        )
    return SeedsOutcome(
        metric=metric,
        seeds=tuple(done),
        summary=summary,
        verdict=None if origin is None or origin.promised is None else _verdict(job, metric, done, summary),
        looks=count_looks(job.home, job.task, job.config),
        run_id=None,
    )


def _summary(tests: Sequence[dict[str, float] | None], metric: Metric) -> Summary:
    values = [test[metric.on_test] for test in tests if test is not None and metric.on_test in test]
    return summary_of(values, diverged=len(tests) - len(values))


def _verdict(job: FinalJob, metric: Metric, done: Sequence[OneSeed], finals: Summary) -> SeedsVerdict:
    origin: Provenance = job.config.provenance
    if not job.to_confirm:
        return other_experiment(metric, finals, origin)
    # A final training that diverged was not confirmed: the promise is none of its.
    confirmed = [one.record.confirmed for one in done if one.record.confirmed is not None]
    return seeds_verdict(
        metric,
        _summary([item.metrics for item in confirmed], metric),
        origin=origin,
        examples=next((item.test_examples for item in confirmed), None),
        repeats=job.task.seeds_per_trial(job.config),
    )


def _record(job: FinalJob, recorder: FinalRecorder, outcome: SeedsOutcome) -> None:
    tests = [one.test for one in outcome.seeds if one.test is not None]
    metrics = _means(tests)
    again = [one.confirmed for one in outcome.seeds if one.confirmed]
    metrics |= {f"confirmation/{name}": value for name, value in _means(again).items()}
    recorder.summed(metrics, seeds=outcome.summary.n, diverged=outcome.summary.diverged)
    verdict = None
    if outcome.verdict is not None:
        verdict = with_nulls(dataclasses.asdict(outcome.verdict))
        recorder.judged(verdict)
    write_result(
        job.folder,
        job.task,
        job.config,
        test=_means(tests),
        seeds=[{"seed": one.seed, "test": one.test, "confirmation": one.confirmed} for one in outcome.seeds],
        summary=dataclasses.asdict(outcome.summary),
        verdict=verdict,
        test_looks=dataclasses.asdict(outcome.looks),
    )


def _means(tests: Sequence[dict[str, float]]) -> dict[str, float]:
    """Each metric's mean, and its sample standard deviation behind `_std`."""
    found: dict[str, float] = {}
    for name in tests[0] if tests else ():
        values = [test[name] for test in tests if name in test]
        found[name] = statistics.fmean(values)
        if len(values) > 1:
            found[f"{name}_std"] = statistics.stdev(values)
    return found


@contextmanager
def _told_how_it_ended(recorder: FinalRecorder) -> Any:
    """However the seeds end, the common record says so, unless the process is killed."""
    try:
        yield
    except (KeyboardInterrupt, InterruptedSweepError):
        recorder.end("interrupted")
        raise
    except DivergedError:
        recorder.end("diverged")
        raise
    except BaseException:
        recorder.end("failed")
        raise
    recorder.end("completed")
