"""A final training in MLflow: one run for its folder, whatever interrupts the training or the store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ubn_sweep.errors import UserError
from ubn_sweep.masking import masked
from ubn_sweep.records.events import Event, FinalJudged, FinalStarted, FinalTested
from ubn_sweep.records.final_training import FinalTraining
from ubn_sweep.records.folder import FinalFolder
from ubn_sweep.tracking.mlflow import entries
from ubn_sweep.tracking.mlflow.client import DEFAULT_EXPERIMENT
from ubn_sweep.tracking.mlflow.entries import milliseconds
from ubn_sweep.tracking.mlflow.runs import PARENT, OfFinal, Runs
from ubn_sweep.tracking.mlflow.store import Batch, MlflowStore


class FinalSink:
    """Writes a final training's events to MLflow; use it through a Follower, or `sync`.

    Everything written follows from the events alone, times included: writing it again changes nothing. The config,
    the result and the checkpoint follow when the training is complete.
    """

    store = "MLflow"
    resumes_from = (FinalStarted,)

    def __init__(
        self,
        folder: FinalFolder,
        tracking_uri: str,
        experiment: str = DEFAULT_EXPERIMENT,
        *,
        artifact_root: Path | None = None,
    ) -> None:
        """`artifact_root` is for a local store whose experiment does not exist yet."""
        self.address = masked(tracking_uri)
        self.cursor = folder.delivered("mlflow", tracking_uri, experiment)
        self._store = MlflowStore(tracking_uri, experiment, artifact_root)
        self._folder = folder
        self._runs: Runs | None = None
        self._started: FinalStarted | None = None

    @property
    def run_id(self) -> str | None:
        """None until the store has answered."""
        run = self._runs.get(PARENT) if self._runs is not None else None
        return run.run_id if run is not None else None

    def attach(self, paths: Iterable[Path]) -> int:
        return self._store.attach(self._runs.get(PARENT) if self._runs is not None else None, paths)

    def load(self) -> None:
        self._store.load()

    def resume(self, events: Iterable[Event]) -> bool:
        before = FinalTraining(events)
        self._store.connected()
        if before.start is None:
            return False
        self._started = before.start
        return self._runs_of(before.start).get(PARENT) is not None

    def deliver(self, events: Sequence[Event]) -> None:
        new = FinalTraining(events)
        started = new.start if new.start is not None else self._started
        assert started is not None, "a journal begins with the final training's record"
        run = self._runs_of(started).ensure(PARENT, lambda: self._create(started))
        self._store.write(run, _batch(new))
        self._started = started
        # A verdict, or more seeds, may follow a training that was complete: then the files have changed.
        later = new.summed is not None or (new.judged is not None and new.tested is None)
        if new.completed or (later and new.attempts == 0):
            # Last, since files may live elsewhere than runs. Where that fails, all of this comes again.
            self.attach(self._folder.results)

    # ---------------------------------------------------------------- inside

    def _runs_of(self, started: FinalStarted) -> Runs:
        if self._runs is None:
            self._runs = self._store.runs(OfFinal(started.final_id))
        return self._runs

    def _create(self, started: FinalStarted) -> str:
        tags = entries.final_tags(started.config, started.environment)
        if started.of_seeds:
            tags[entries.TAG_KIND] = entries.OF_SEEDS
        if started.parent:
            tags[entries.TAG_PARENT] = self._run_of(started.parent)
        return self._store.create(
            started.name, started.time_s, tags | {entries.TAG_FINAL_ID: started.final_id}
        )

    def _run_of(self, parent: str) -> str:
        run = self._store.runs(OfFinal(parent)).get(PARENT)
        if run is None:
            whole = self._folder.path.parent
            raise UserError(
                f"the run that all seeds share is not there yet: `ubn-sweep sync {whole}` delivers it"
            )
        return run.run_id


def _batch(new: FinalTraining) -> Batch:
    batch = Batch()
    if new.start is not None:
        batch.params = entries.params(new.start.config)
    for epoch, report in new.epochs.items():
        batch.add_metrics(report.metrics, time_s=report.time_s, step=epoch)
    if new.tested is not None:
        batch.add_metrics(_result(new.tested), time_s=new.tested.time_s, step=new.tested.epoch)
    if new.confirmed is not None:
        of_it = {f"confirmation/{name}": value for name, value in new.confirmed.metrics.items()}
        batch.add_metrics(of_it, time_s=new.confirmed.time_s, step=0)
    if new.summed is not None:
        counts = {"seeds": float(new.summed.seeds), "diverged": float(new.summed.diverged)}
        batch.add_metrics(counts | new.summed.metrics, time_s=new.summed.time_s, step=new.summed.seeds)
    if new.judged is not None:
        batch.add_metrics(_verdict(new.judged), time_s=new.judged.time_s, step=0)
        batch.tags[entries.TAG_VERDICT] = entries.verdict_text(new.judged.verdict)
    if new.attempts > 0:
        batch.tags[entries.TAG_ATTEMPTS] = str(new.attempts)
        batch.tags[entries.TAG_STATUS] = "running"
        batch.again = new.ended is None
    if new.ended is not None:
        batch.tags[entries.TAG_STATUS] = new.ended.status
        batch.end = entries.RUN_STATUS[new.ended.status], milliseconds(new.ended.time_s)
    return batch


def _verdict(judged: FinalJudged) -> dict[str, float]:
    kept = judged.verdict.get("kept")
    return {} if kept is None else {"promise_kept": float(kept)}


def _result(tested: FinalTested) -> dict[str, float]:
    found = dict(tested.metrics)
    if tested.promised is not None:
        found |= {f"promised_{name}": value for name, value in tested.promised.items()}
    if tested.test_minus_promised is not None:
        found["test_minus_promised"] = tested.test_minus_promised
    if tested.look is not None:
        found["test_looks"] = float(tested.look)
    return found
