"""Does a bundle train as it is recorded to have trained? Its first epochs once more, beside the recorded ones.

On the same machine with the same versions a training is the same bit for bit. Elsewhere it may drift apart from a last
digit on, as far as another seed at most: where the sweep trained several seeds, their spread is the tolerance.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from scipy import stats

from ubn_sweep.errors import UserError
from ubn_sweep.export.bundle import BundleFolder, Curve, changed_files
from ubn_sweep.landscape.views.numbers import CONFIDENCE
from ubn_sweep.records.metrics import Metric

ROUNDING = 1e-6
"""Relative; smaller differences are none."""
Basis = Literal["seeds", "repeats", "rounding"]


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A metric after an epoch, recorded and found; null for what was not finite."""

    epoch: int
    metric: str
    recorded: float | None
    found: float | None
    is_same: bool
    """But for rounding."""
    middle: float | None = None
    """Of the values that replicates explain."""
    tolerance: float | None = None
    """How far from there they explain; None where nothing says it."""
    holds: bool | None = None
    """Whether it lies there; None where nothing says it."""


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What the comparison came to."""

    reproduced: bool
    is_same: bool
    """Whether all values are the same but for rounding."""
    basis: Basis
    replicates: int
    """Seeds that the tolerance comes from; 1 where it comes from none."""
    epochs: int
    compared: tuple[Compared, ...]
    sentence: str


def differences(folder: BundleFolder, *, environment: Mapping[str, Any], data: str | None) -> list[str]:
    """A line for each thing that is here other than it was: files, data, versions, code, machine."""
    bundle = folder.bundle
    versions = {
        "python": environment.get("python"),
        "ubn-sweep": environment.get("ubn_sweep"),
        **environment.get("versions", {}),
    }
    lines = [f"{name} is not what was exported" for name in changed_files(folder)]
    if bundle.data is None:
        lines.append("data: no fingerprint is recorded, so that whether they are the same is not known")
    elif bundle.data != data:
        lines.append(f"data: fingerprint {bundle.data} -> {data or 'unknown'}")
    lines += [
        f"{name} {was} -> {versions.get(name) or 'absent'}"
        for name, was in bundle.pins.items()
        if was != versions.get(name)
    ]
    now = {"git_revision": environment.get("git_revision"), "system": environment.get("system")}
    was = {"git_revision": bundle.git_revision, "system": bundle.system}
    lines += [
        f"{name} {was[name]} -> {now[name] or 'unknown'}"
        for name in was
        if was[name] is not None and was[name] != now[name]
    ]
    if bundle.mixed_versions:
        lines.append("the trial went on with other versions than those of its first epoch")
    return lines


def check_epochs(folder: BundleFolder, epochs: int | None, *, usual: int) -> int:
    """How many epochs are trained again.

    Raises:
        UserError: the bundle records fewer, or none that its config trained from the beginning.
    """
    curve = folder.curves[0]
    if curve.changed_after is not None:
        raise UserError(
            f"{folder.path}: a setting was changed after epoch {curve.changed_after} of its trial, so that the config "
            "did not train the first epochs: nothing can be compared"
        )
    known = 0
    while known + 1 in curve.epochs:
        known += 1
    if known == 0:
        raise UserError(f"{folder.path}: records no first epoch: export a trial that reported one")
    if epochs is not None and epochs > known:
        raise UserError(f"--epochs: {folder.path} records {known} epochs, but got {epochs}: lower it")
    return min(usual, known) if epochs is None else epochs


def verified(
    folder: BundleFolder, metrics: Sequence[Metric], found: Mapping[int, Mapping[str, float]]
) -> Verification:
    """The verdict over `found`: epoch -> metric -> value, of the first epochs trained again."""
    own, curves = folder.curves[0], folder.curves
    names = [metric.name for metric in metrics]
    pairs = [
        (epoch, name, _finite(own.epochs[epoch].get(name)), _finite(values.get(name)))
        for epoch, values in found.items()
        for name in names
        if name in own.epochs[epoch] and name in values
    ]
    basis = _basis(curves)
    judged = sum(_spread(basis, curves, epoch, name) is not None for epoch, name, _, _ in pairs)
    compared = tuple(_compared(basis, curves, *pair, looks=max(judged, 1)) for pair in pairs)
    is_same = bool(compared) and all(item.is_same for item in compared)
    holds = [item.holds for item in compared if item.holds is not None]
    reproduced = is_same or (bool(holds) and all(holds))
    result = Verification(
        reproduced=reproduced,
        is_same=is_same,
        basis=basis,
        replicates={"seeds": len(curves), "repeats": own.repeats, "rounding": 1}[basis],
        epochs=len(found),
        compared=compared,
        sentence="",
    )
    titles = {metric.name: metric for metric in metrics}
    return Verification(**{**vars(result), "sentence": _sentence(result, titles)})


def _basis(curves: Sequence[Curve]) -> Basis:
    """Trials that differ in their seed tell most; repeats within one tell of their own metric alone."""
    if len(curves) > 2:
        return "seeds"
    if curves[0].repeats > 1:
        return "repeats"
    return "seeds" if len(curves) > 1 else "rounding"


def _spread(basis: Basis, curves: Sequence[Curve], epoch: int, name: str) -> tuple[float, float, int] | None:
    """Where replicates expect the value, the standard error of its distance from there, and degrees of freedom; None
    where they do not tell."""
    if basis == "seeds":
        values = [curve.epochs.get(epoch, {}).get(name) for curve in curves]
        known = [value for value in values if value is not None]
        if len(known) < 2:
            return None
        error = statistics.stdev(known) * math.sqrt(1 + 1 / len(known))
        return statistics.fmean(known), error, len(known) - 1
    own = curves[0]
    value, spread = own.epochs[epoch].get(name), own.epochs[epoch].get(f"{name}_std")
    if basis == "rounding" or value is None or spread is None:
        return None
    return value, spread * math.sqrt(2 / own.repeats), own.repeats - 1


def _compared(
    basis: Basis,
    curves: Sequence[Curve],
    epoch: int,
    name: str,
    recorded: float | None,
    found: float | None,
    *,
    looks: int,
) -> Compared:
    """`looks`: by how many such comparisons the 5 of 100 false alarms are shared."""
    both = recorded is not None and found is not None
    same = (
        math.isclose(recorded, found, rel_tol=ROUNDING, abs_tol=ROUNDING**2)  # type: ignore[arg-type]
        if both
        else recorded is found
    )
    row = Compared(epoch=epoch, metric=name, recorded=recorded, found=found, is_same=same)
    explained = _spread(basis, curves, epoch, name)
    if explained is None:
        return row if basis != "rounding" else Compared(**{**vars(row), "holds": same})
    middle, error, freedom = explained
    tolerance = float(stats.t.ppf(1 - (1 - CONFIDENCE) / 2 / looks, freedom)) * error
    holds = same or (found is not None and abs(found - middle) <= tolerance)
    return Compared(**{**vars(row), "middle": middle, "tolerance": tolerance, "holds": holds})


def _sentence(result: Verification, metrics: Mapping[str, Metric]) -> str:
    epochs = "the first epoch" if result.epochs == 1 else f"the first {result.epochs} epochs"
    count = f"{len(result.compared)} values"
    if not result.compared:
        return f"Not reproduced: {epochs} reported none of the recorded metrics."
    if result.is_same:
        verb = "is" if result.epochs == 1 else "are"
        return f"Reproduced: {epochs} {verb} the same as recorded to six digits, all {count}."
    if result.basis == "rounding":
        worst = next(item for item in result.compared if not item.is_same)
        return (
            f"Not reproduced: {_told(worst, metrics)}. The sweep trained one seed, so that the tolerance is rounding, "
            "which holds on the same machine with the same versions alone: elsewhere this may be chance."
        )
    of = "seeds" if result.basis == "seeds" else "repeats"
    rule = (
        f"the spread of {result.replicates} {of}, such that a faithful training lies outside in 5 of 100 cases, over "
        "all values together"
    )
    judged = [item for item in result.compared if item.tolerance is not None]
    if not judged:
        return f"Not reproduced: {_told(result.compared[0], metrics)}, and no spread of {of} is recorded."
    if result.reproduced:
        widest = max(judged, key=lambda item: item.tolerance or 0.0)
        metric = metrics[widest.metric]
        return (
            f"Reproduced, not to the digit: {epochs} lie within {rule}. A difference of less than "
            f"{metric.difference(widest.tolerance or 0.0)} of {metric.label} after epoch {widest.epoch} would not have "
            "shown."
        )
    worst = next(item for item in judged if not item.holds)
    return f"Not reproduced: {_told(worst, metrics)}, which is outside of {rule}."


def _told(item: Compared, metrics: Mapping[str, Metric]) -> str:
    metric = metrics[item.metric]
    values = ["not finite" if v is None else metric.text(v) for v in (item.found, item.recorded)]
    return f"{metric.label} after epoch {item.epoch} is {values[0]}, and {values[1]} is recorded"


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
