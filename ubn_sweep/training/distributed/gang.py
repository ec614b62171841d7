"""The processes of the workers behind rank 0, whoever starts them. Importing it needs no torch."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal, Protocol

from ubn_sweep.training.share import Share

FaultKind = Literal["error", "memory", "died", "stuck"]
POLL_S = 0.02


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a worker behind rank 0 is asked to do, small enough to travel as text."""

    rank: int
    count: int
    address: str
    """Where rank 0 listens."""
    port: int
    timeout_s: float
    whole_gpus: bool
    local_ranks: bool
    """Whether of the GPUs that it sees the one of its rank is its own; else it sees no other."""
    work: str
    """`module:function` that takes `payload`, and gives what trains by what hears rank 0's words."""
    payload: str

    @property
    def share(self) -> Share:
        """Its part of the training."""
        return Share(rank=self.rank, count=self.count)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Request:
        return Request(**json.loads(text))


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a worker behind rank 0 came back."""

    kind: FaultKind | None = None
    """None where it came to its end, or was told that all is over."""
    reason: str = ""
    """The error in the first line, the end of its traceback below."""
    by_others: bool = False
    """Whether it failed because another worker did not answer."""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Ending:
        return Ending(**json.loads(text))


class Gang(Protocol):
    """Workers 1, 2, ... of a training. They stay for the next one, unless one of them came to harm."""

    @property
    def host(self) -> str:
        """An address of this machine at which all of them reach rank 0."""
        ...

    @property
    def local_ranks(self) -> bool:
        """Whether all workers see the same GPUs, of which each takes that of its rank."""
        ...

    def begin(self, requests: Mapping[int, Request]) -> None:
        """Hands each rank its request."""
        ...

    def endings(self) -> dict[int, Ending]:
        """Those that have come back, by rank; `died` where the process is gone."""
        ...

    def kill(self) -> None:
        """Ends the processes at once, whatever they do."""
        ...


class WorkerFailedError(Exception):
    """A worker behind rank 0 failed, and with it the training. The first line says which one, and why."""

    def __init__(self, kind: FaultKind, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


def endings_within(gang: Gang, ranks: int, seconds: float) -> dict[int, Ending]:
    """The endings as soon as all ranks but the first have one, or after so long."""
    deadline = time.monotonic() + seconds
    while len(found := gang.endings()) < ranks - 1 and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return found


def why(endings: Mapping[int, Ending], *, count: int, timeout_s: float) -> WorkerFailedError:
    """What became of a training whose rank 0 got no answer.

    A worker that failed by itself is the reason, else those that neither failed nor came back.
    """
    own = [(rank, end) for rank, end in endings.items() if end.kind is not None and not end.by_others]
    if own:
        rank, end = min(own, key=lambda item: (item[1].kind != "died", item[0]))
        assert end.kind is not None
        return WorkerFailedError(end.kind, f"worker {rank} of {count}: {end.reason}")
    silent = [str(rank) for rank in range(1, count) if rank not in endings]
    if silent:
        who = f"worker {' and '.join(silent)} of {count}"
        return WorkerFailedError(
            "stuck", f"{who} gave no answer for {timeout_s:g} s: it hangs, or is cut off"
        )
    return WorkerFailedError("stuck", f"the {count} workers did not find each other within {timeout_s:g} s")
