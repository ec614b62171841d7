"""A final training's record: what its events add up to, and how they come into its journal, each once."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from ubn_sweep.errors import UserError
from ubn_sweep.file_lock import HeldError, file_lock
from ubn_sweep.masking import has_password
from ubn_sweep.records.events import (
    AttemptStarted,
    Event,
    FinalConfirmed,
    FinalEnded,
    FinalEpoch,
    FinalJudged,
    FinalStarted,
    FinalStatus,
    FinalSummed,
    FinalTested,
)
from ubn_sweep.records.folder import FinalFolder
from ubn_sweep.records.journal import Journal, stream


class FinalTraining:
    """A fold of a final training's events, whose parts may be added one by one. The same twice changes nothing."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.start: FinalStarted | None = None
        """None where the events are a later part of a journal."""
        self.attempts = 0
        """How often its process had started, by the last one told of."""
        self.epochs: dict[int, FinalEpoch] = {}
        self.tested: FinalTested | None = None
        self.confirmed: FinalConfirmed | None = None
        self.summed: FinalSummed | None = None
        self.judged: FinalJudged | None = None
        self.ended: FinalEnded | None = None
        """How the last attempt ended; None while it runs."""
        for event in events:
            self.apply(event)

    def apply(self, event: Event) -> None:
        """Takes up the next event."""
        if isinstance(event, FinalStarted):
            self.start = event
        elif isinstance(event, AttemptStarted):
            self.attempts, self.ended = event.attempt, None
        elif isinstance(event, FinalEpoch):
            self.epochs[event.epoch] = event
        elif isinstance(event, FinalTested):
            self.tested = event
        elif isinstance(event, FinalConfirmed):
            self.confirmed = event
        elif isinstance(event, FinalSummed):
            self.summed = event
        elif isinstance(event, FinalJudged):
            self.judged = event
        elif isinstance(event, FinalEnded):
            self.ended = event

    @property
    def completed(self) -> bool:
        return self.ended is not None and self.ended.status == "completed"


class FinalRecorder:
    """Writes a final training into its journal. What is there already, from before a kill, is not written again."""

    def __init__(self, journal: Journal, before: Iterable[Event]) -> None:
        self.record = FinalTraining(before)
        self._journal = journal

    def begin(
        self,
        *,
        name: str,
        config: Mapping[str, Any],
        tracking_uri: str | None,
        environment: Mapping[str, Any],
        task: str = "",
        of_seeds: bool = False,
        parent: str = "",
    ) -> None:
        """The first attempt, or the next one; nothing where the training is complete."""
        if has_password(tracking_uri):
            self._journal.keep_private()
        if self.record.start is None:
            self._add(
                FinalStarted(
                    time_s=time.time(),
                    final_id=uuid.uuid4().hex,
                    name=name,
                    config=dict(config),
                    task=task,
                    tracking_uri=tracking_uri,
                    environment=dict(environment),
                    of_seeds=of_seeds,
                    parent=parent,
                )
            )
        if not self.record.completed:
            self._add(AttemptStarted(time_s=time.time(), attempt=self.record.attempts + 1))

    def epoch(self, epoch: int, metrics: Mapping[str, Any]) -> None:
        """An epoch's metrics, on the disk when this returns: a checkpoint may then take their place."""
        if epoch not in self.record.epochs:
            self._add(FinalEpoch(time_s=time.time(), epoch=epoch, metrics=_floats(metrics)))
            self._journal.sync()

    def tested(
        self,
        metrics: Mapping[str, Any],
        *,
        epoch: int,
        promised: Mapping[str, float] | None = None,
        test_minus_promised: float | None = None,
        test_examples: int | None = None,
        look: int | None = None,
    ) -> None:
        """The test set's metrics, and what had been promised where something was."""
        if self.record.tested is None:
            self._add(
                FinalTested(
                    time_s=time.time(),
                    epoch=epoch,
                    metrics=_floats(metrics),
                    promised=_floats(promised) if promised is not None else None,
                    test_minus_promised=test_minus_promised,
                    test_examples=test_examples,
                    look=look,
                )
            )

    def confirmed(self, metrics: Mapping[str, Any], *, seed: int, test_examples: int | None) -> None:
        """What the training under the sweep's protocol came to."""
        self._add(
            FinalConfirmed(
                time_s=time.time(), seed=seed, metrics=_floats(metrics), test_examples=test_examples
            )
        )

    def summed(self, metrics: Mapping[str, Any], *, seeds: int, diverged: int) -> None:
        """What several seeds came to, where it is not what stands there."""
        event = FinalSummed(time_s=time.time(), seeds=seeds, metrics=_floats(metrics), diverged=diverged)
        before = self.record.summed
        if before is None or replace(before, time_s=event.time_s) != event:
            self._add(event)

    def judged(self, verdict: Mapping[str, Any]) -> None:
        """The verdict, where it is not the one that stands there."""
        before = self.record.judged
        if before is None or before.verdict != dict(verdict):
            self._add(FinalJudged(time_s=time.time(), verdict=dict(verdict)))

    def end(self, status: FinalStatus) -> None:
        """How the attempt ended."""
        if self.record.ended is None:
            self._add(FinalEnded(time_s=time.time(), status=status))

    def _add(self, event: Event) -> None:
        self._journal.append(event)
        self.record.apply(event)


def _floats(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Numbers of any kind as JSON takes them: tensors and NumPy's own among them."""
    return {name: float(value) for name, value in metrics.items()}


@contextmanager
def recording(folder: FinalFolder) -> Iterator[FinalRecorder]:
    """Opens a final training's journal, which is made where there is none, for one process alone.

    Raises:
        UserError: another process trains there, the folder cannot be written, or the journal cannot be read.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock(folder.lock))
            journal = stack.enter_context(Journal(folder.path, go_on="the same command again"))
        except HeldError as error:
            raise UserError(
                f"{folder.path}: the training is running already, in process {error.holder}: wait for it or stop it"
            ) from error
        except OSError as error:
            raise UserError(
                f"{folder.path}: the journal cannot be written ({error.strerror}): "
                "choose a folder that you may write to"
            ) from error
        yield FinalRecorder(journal, stream(folder.path))
