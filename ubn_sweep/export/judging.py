"""What a final training, and one under the sweep's own protocol beside it, say of the promise."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from ubn_sweep.errors import UserError
from ubn_sweep.export.final import FinalResult
from ubn_sweep.export.verdict import Judged, Verdict, verdict
from ubn_sweep.records.events import FinalConfirmed
from ubn_sweep.records.metrics import Metric
from ubn_sweep.training.provenance import Provenance
from ubn_sweep.training.task import Task


def check_promise(config: Any) -> None:
    """Looks whether a config promises anything that a confirmation could be compared with.

    Raises:
        UserError: it does not.
    """
    origin: Provenance | None = config.provenance
    if origin is None or origin.promised is None:
        raise UserError(
            "--confirm: the config promises nothing that a training could be compared with: export one of a trial at "
            "the full budget, and change no key of it"
        )


def judge(
    task: Task, config: Any, result: FinalResult, confirmed: FinalConfirmed | None = None
) -> Verdict | None:
    """The verdict; None where nothing was promised."""
    origin: Provenance | None = config.provenance
    if origin is None or origin.promised is None:
        return None
    metric, seeds = task.metric(origin.metric), task.seeds_per_trial(config)
    final = Judged(test=result.test[metric.on_test], examples=result.test_examples, seeds=seeds)
    if confirmed is None:
        return verdict(metric, judged=final, origin=origin)
    if metric.on_test not in confirmed.metrics:
        return _diverged(origin)
    again = Judged(
        test=confirmed.metrics[metric.on_test],
        examples=confirmed.test_examples,
        seeds=seeds,
        same_protocol=True,
    )
    found = verdict(metric, judged=again, origin=origin)
    gain = final.test - again.test
    return dataclasses.replace(
        found, gain_from_data=gain, sentence=f"{found.sentence} {_of_data(metric, gain, final)}"
    )


def _of_data(metric: Metric, gain: float, final: Judged) -> str:
    size = metric.difference(abs(gain), digits=1)
    side = "better" if metric.better(gain) >= 0 else "worse"
    seeds = "one seed" if final.seeds == 1 else f"{final.seeds} seeds"
    return (
        f"The final training, with the validation examples too, is {size} {side} than that on the same test examples "
        f"({seeds} each)."
    )


def _diverged(origin: Provenance) -> Verdict:
    assert origin.promised is not None
    return Verdict(
        test=math.nan,
        promised=origin.promised,
        difference=math.nan,
        same_protocol=True,
        margin=None,
        seeds_known=False,
        optimism=origin.optimism,
        kept=False,
        sentence="Under the sweep's own protocol a new seed diverged: the promise was not kept.",
    )
