"""What happens in a sweep, or in a final training, as records.

The journal holds them in order; everything else is made from them.
"""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Status = Literal["completed", "stopped", "failed", "diverged"]
STATUSES: tuple[str, ...] = get_args(Status)
FaultKind = Literal["error", "memory", "died", "stuck", "checkpoint"]
"""The task raised; it ran out of memory; its process died; it reported nothing for too long; a checkpoint is broken."""
StoppedBy = Literal["rungs", "user", "rule", "target"]
"""Early stopping, `stop --trial`, or a rule that ended the whole sweep while the trial ran."""
FinalStatus = Literal["completed", "interrupted", "failed", "diverged"]
OPTUNA_STATES: dict[str, str] = {
    "completed": "COMPLETE",
    "stopped": "PRUNED",
    "failed": "FAIL",
    "diverged": "FAIL",
}
"""How Optuna calls a trial's end, for the sampler's study and for the copy in a storage: names of its TrialState."""


@dataclass(frozen=True, kw_only=True)
class SweepStarted:
    """The first record: what is swept, by which code."""

    time_s: float
    """Seconds since the epoch, as in all records."""
    sweep_id: str
    """Unique for ever; names may be used again in other folders."""
    name: str
    spec: dict[str, Any]
    """The whole checked spec, as plain mappings."""
    environment: dict[str, Any] = field(default_factory=dict)
    """git_revision, python, versions of the libraries, platform."""
    task: dict[str, Any] = field(default_factory=dict)
    """A TaskRecord, as plain mappings; empty in journals of version 0.1."""


@dataclass(frozen=True, kw_only=True)
class AttemptStarted:
    """The process of a sweep, or of a final training, started: for the first time or again after a kill."""

    time_s: float
    attempt: int
    """From 1."""
    environment: dict[str, Any] = field(default_factory=dict)
    """As in SweepStarted; empty in journals of version 0.1, and for the first attempt of a final training."""


@dataclass(frozen=True, kw_only=True)
class PriorTrial:
    """A finished trial of an earlier sweep that the sampler learns from. It is no trial of this sweep."""

    time_s: float
    sweep: str
    trial: int
    params: dict[str, Any]
    values: dict[int, float]
    """Epoch -> objective, higher is better."""
    status: Status


@dataclass(frozen=True, kw_only=True)
class TrialCreated:
    """A trial was sampled."""

    time_s: float
    trial: int
    """Its number in the sweep, from 0, without gaps."""
    params: dict[str, Any]
    """Dotted key -> value, of the parameters that are active in this trial."""
    config: dict[str, Any]
    """The whole trial config that follows from them."""
    origin: str
    """`point 1` for the user's own, `warm start: paper` for the task's, else the sampler's name."""
    workers: int = 1
    """Processes that train it together, each on batches of the config's size."""
    audit: bool = False
    """Whether early stopping never ends it, so that it shows what early scores are worth."""


@dataclass(frozen=True, kw_only=True)
class PointRefused:
    """A point was suggested that the trial's config does not allow. It is no trial, and another one is drawn."""

    time_s: float
    params: dict[str, Any]
    """As of a trial."""
    origin: str
    """As of a trial."""
    reason: str


@dataclass(frozen=True, kw_only=True)
class EpochReported:
    """A trial finished an epoch."""

    time_s: float
    trial: int
    epoch: int
    """From 1."""
    metrics: dict[str, float]
    """val_top1 and val_top5 (0 to 1), val_loss, val_examples, train_loss, train_top1, lr, epoch_s, similarity (mean
    over the layers), gate_open (share of batches, mean over the layers), similarity/<layer>, gate_open/<layer>;
    over several repeats their means, and val_top1_std."""
    checkpoint: str | None = None
    """Folder that the trial can continue from after this epoch."""
    diverged: bool = False
    """Whether the trial itself says so, whatever its objective; its end follows."""


@dataclass(frozen=True, kw_only=True)
class TrialPromoted:
    """A trial that had waited at a rung goes on."""

    time_s: float
    trial: int
    epoch: int
    """The last one reported."""


@dataclass(frozen=True, kw_only=True)
class TrialFault:
    """Something went wrong with a trial; whether that ends it is told by another record."""

    time_s: float
    trial: int
    kind: FaultKind
    epoch: int
    """The last one reported before; 0 where there was none."""
    reason: str


@dataclass(frozen=True, kw_only=True)
class TrialRetried:
    """A trial is taken up again, because the user asked for it or changed what it was ended by."""

    time_s: float
    trial: int
    was: Status | None = "failed"
    """How it had ended; null where it had not, and goes on in another way."""
    epoch: int | None = None
    """The last epoch that stands: those after it are trained anew and reported again. null: all stand."""
    changes: dict[str, Any] = field(default_factory=dict)
    """Dotted key -> value of its config from here on."""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class TrialEnded:
    """A trial is over for good."""

    time_s: float
    trial: int
    status: Status
    epoch: int
    """The last one reported; 0 where there was none."""
    reason: str = ""
    correct: dict[str, Any] = field(default_factory=dict)
    """Which validation examples it got right after that epoch, as `records.correctness` packs them; empty where its
    task does not tell, and where the sweep was killed between the epoch and the end."""
    stopped_by: StoppedBy = "rungs"
    """Of a stopped one."""


@dataclass(frozen=True, kw_only=True)
class SweepEnded:
    """All trials of the sweep are over."""

    time_s: float
    reason: str = ""
    """The stop rule that ended it, in a line; empty where all that were asked for came to their ends."""


@dataclass(frozen=True, kw_only=True)
class SweepInterrupted:
    """An attempt ended early, by the user's will; another one may follow. A killed process cannot say so."""

    time_s: float
    word: str
    """`interrupted`, `stopped` or `paused`."""


@dataclass(frozen=True, kw_only=True)
class SpecChanged:
    """The user changed the spec on a resume, as far as trials stay comparable."""

    time_s: float
    spec: dict[str, Any]
    """The whole of it from here on."""
    changes: dict[str, Any]
    """Dotted key -> its new value."""


@dataclass(frozen=True, kw_only=True)
class FinalStarted:
    """The first record of a final training: a config that is trained for good, in a folder of its own."""

    time_s: float
    final_id: str
    """Unique for ever; names may be used again in other folders."""
    name: str
    config: dict[str, Any]
    """The whole trial config as plain mappings, its provenance included."""
    task: str = ""
    """The task that the config is of, as a spec names it; empty where nothing says it."""
    tracking_uri: str | None = None
    """The store that it is copied to."""
    environment: dict[str, Any] = field(default_factory=dict)
    """As in SweepStarted."""
    of_seeds: bool = False
    """Whether it is what several trainings, which differ in their seed alone, have in common."""
    parent: str = ""
    """The `final_id` of that, for one of them."""


@dataclass(frozen=True, kw_only=True)
class FinalEpoch:
    """A final training finished an epoch."""

    time_s: float
    epoch: int
    """From 1."""
    metrics: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class FinalTested:
    """The one look at the test set, and what the sweep had promised."""

    time_s: float
    epoch: int
    """The one that it was tested after."""
    metrics: dict[str, float]
    promised: dict[str, float] | None = None
    """Name of the promised metric -> its value; null where nothing was promised."""
    test_minus_promised: float | None = None
    test_examples: int | None = None
    look: int | None = None
    """How many looks at this test set by trainings of its sweep there were by then, this one included."""


@dataclass(frozen=True, kw_only=True)
class FinalConfirmed:
    """The config was trained once more, under the sweep's own protocol and with a new seed, and tested."""

    time_s: float
    seed: int
    metrics: dict[str, float]
    """Of the validation split, and of the test set; empty where it diverged."""
    test_examples: int | None = None


@dataclass(frozen=True, kw_only=True)
class FinalSummed:
    """What the trainings of several seeds came to; a later one, with more seeds perhaps, counts."""

    time_s: float
    seeds: int
    """How many came to their ends."""
    metrics: dict[str, float]
    """Of the test set: means over the seeds, and behind `_std` their standard deviations; those of the trainings under
    the sweep's own protocol behind `confirmation/`."""
    diverged: int = 0


@dataclass(frozen=True, kw_only=True)
class FinalJudged:
    """Whether the sweep's promise was kept; a later one counts."""

    time_s: float
    verdict: dict[str, Any]
    """An `export.verdict.Verdict`, as plain mappings."""


@dataclass(frozen=True, kw_only=True)
class FinalEnded:
    """An attempt at a final training is over; after any status but `completed` another one may follow."""

    time_s: float
    status: FinalStatus


SweepEvent = (
    SweepStarted
    | AttemptStarted
    | PriorTrial
    | TrialCreated
    | PointRefused
    | EpochReported
    | TrialPromoted
    | TrialFault
    | TrialRetried
    | TrialEnded
    | SweepEnded
    | SweepInterrupted
    | SpecChanged
)
FinalEvent = (
    FinalStarted
    | AttemptStarted
    | FinalEpoch
    | FinalTested
    | FinalConfirmed
    | FinalSummed
    | FinalJudged
    | FinalEnded
)
Event = SweepEvent | FinalEvent

_NAMES: dict[str, type] = {
    "sweep": SweepStarted,
    "attempt": AttemptStarted,
    "prior": PriorTrial,
    "trial": TrialCreated,
    "refused": PointRefused,
    "epoch": EpochReported,
    "promoted": TrialPromoted,
    "fault": TrialFault,
    "retry": TrialRetried,
    "end": TrialEnded,
    "sweep_end": SweepEnded,
    "sweep_break": SweepInterrupted,
    "spec": SpecChanged,
    "final": FinalStarted,
    "final_epoch": FinalEpoch,
    "final_test": FinalTested,
    "final_confirmed": FinalConfirmed,
    "final_sum": FinalSummed,
    "final_verdict": FinalJudged,
    "final_end": FinalEnded,
}
_NAME_OF = {kind: name for name, kind in _NAMES.items()}


def line_begin(kind: type[Event]) -> bytes:
    """How the lines of a kind of record begin in a journal."""
    return f'{{"event":"{_NAME_OF[kind]}",'.encode()


def to_dict(event: Event) -> dict[str, Any]:
    """The event as a JSON object with its kind under `event`."""
    return {"event": _NAME_OF[type(event)], **dataclasses.asdict(event)}


def from_dict(content: dict[str, Any]) -> Event:
    """The inverse of to_dict. Fields that this version does not know are passed over, so that it reads later ones.

    Raises:
        ValueError: the kind is unknown, or a field is missing.
    """
    kind = _NAMES.get(content.get("event", ""))
    if kind is None:
        raise ValueError(f"unknown kind of record {content.get('event')!r}; known: {', '.join(_NAMES)}")
    names = {item.name for item in dataclasses.fields(kind)}
    fields = {key: value for key, value in content.items() if key in names}
    fields |= {key: _numbers(fields[key]) for key in ("metrics", "values", "promised") if key in fields}
    if kind is PriorTrial:  # JSON turns the epochs into text
        fields["values"] = {int(epoch): value for epoch, value in fields["values"].items()}
    if fields.get("test_minus_promised") is not None:
        fields["test_minus_promised"] = float(fields["test_minus_promised"])
    try:
        event: Event = kind(**fields)
    except TypeError as error:
        raise ValueError(f"a {content['event']} record lacks a field: {error}") from error
    return event


def _numbers(values: dict[str, Any] | None) -> dict[str, float] | None:
    """What JSON has no number for was written as text: `nan`, `inf`. All records share the names' text."""
    return None if values is None else {sys.intern(name): float(value) for name, value in values.items()}
