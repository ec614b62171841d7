"""Promises that sweeps made and final trainings settled: one record for each training, and how often they were kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ubn_sweep.records.events import FinalStarted
from ubn_sweep.records.final_training import FinalTraining


@dataclass(frozen=True, kw_only=True)
class Settled:
    """A final training of a config that promised something; or several, which differ in their seed alone."""

    final_id: str
    sweep_id: str
    sweep: str
    trial: int
    time_s: float
    """When it began."""
    kept: bool | None
    """None where no verdict was reached: the sweep's own protocol was not trained, or a margin is not known."""

    @property
    def promise(self) -> tuple[str, int]:
        """Several trainings may settle the same one."""
        return self.sweep_id, self.trial


@dataclass(frozen=True, kw_only=True)
class Tally:
    """How often promises were kept. Each counts once: by the first verdict that was reached, since who tries again
    until one is kept would keep them all."""

    promises: tuple[Settled, ...]
    kept: int
    broken: int

    @property
    def decided(self) -> int:
        return self.kept + self.broken

    @property
    def undecided(self) -> int:
        return len(self.promises) - self.decided

    @property
    def sweeps(self) -> int:
        """That made those that were decided."""
        return len({one.sweep_id for one in self.promises if one.kept is not None})


def settled_by(record: FinalTraining) -> Settled | None:
    """What a final training's record says; None where nothing was promised, and of one seed among several."""
    if record.start is None or record.start.parent or not _promises(record.start):
        return None
    origin = record.start.config["provenance"]
    verdict = record.judged.verdict if record.judged is not None else {}
    return Settled(
        final_id=record.start.final_id,
        sweep_id=str(origin["sweep_id"]),
        sweep=str(origin["sweep"]),
        trial=int(origin["trial"]),
        time_s=record.start.time_s,
        kept=verdict.get("kept"),
    )


def tally(found: Iterable[Settled]) -> Tally:
    """Counts them; the same training from two sources is one."""
    trainings: dict[str, Settled] = {}
    for one in found:
        before = trainings.get(one.final_id)
        if before is None or before.kept is None:
            trainings[one.final_id] = one
    promises: dict[tuple[str, int], Settled] = {}
    for one in sorted(trainings.values(), key=lambda item: (item.time_s, item.final_id)):
        before = promises.get(one.promise)
        if before is None or (before.kept is None and one.kept is not None):
            promises[one.promise] = one
    kept = [one.kept for one in promises.values()]
    return Tally(promises=tuple(promises.values()), kept=kept.count(True), broken=kept.count(False))


def _promises(started: FinalStarted) -> bool:
    origin = started.config.get("provenance")
    return isinstance(origin, dict) and origin.get("promised") is not None
