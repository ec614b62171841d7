"""Exchanging the normalization layers of a whole model, and back."""

from __future__ import annotations

import gc
import re
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.lazy import LazyModuleMixin

from ubn_sweep.nn.activated import steps_after, with_steps, without_steps
from ubn_sweep.nn.families import Family, family, make_norm
from ubn_sweep.nn.handover import (
    hand_back,
    hand_over,
    hand_over_hooks,
    has_seen_a_batch,
    scaling_at_the_start,
)
from ubn_sweep.nn.layers import GatedBatchNorm2d
from ubn_sweep.nn.options import require

Filter = str | Sequence[str] | Callable[[str, nn.Module], bool]


@dataclass(frozen=True, kw_only=True)
class Replacement:
    """One layer that was exchanged; `name` is its path in the model, the first one where it is shared."""

    name: str
    old: nn.Module
    new: nn.Module
    """At the place of `old`: the layer, or a Sequential of it (`norm`) and what a subclass did after it."""
    weight_divided: bool = False
    """By what scaling multiplies by at first, so that the function stays."""


@dataclass(frozen=True, kw_only=True)
class ConversionReport:
    """What convert_batchnorm did. `revert` undoes it."""

    replaced: tuple[Replacement, ...] = ()
    kept: dict[str, str] = field(default_factory=dict)
    """Normalization layers that stay, by name, with the reason."""
    new_parameters: tuple[str, ...] = ()
    """Parameters that the model did not have before: an optimizer made before the conversion lacks them."""
    dropped_parameters: tuple[str, ...] = ()
    """Parameters of the replaced layers that are no longer the model's: such an optimizer still holds them."""

    def __str__(self) -> str:
        lines = [f"replaced {len(self.replaced)} layers, kept {len(self.kept)}"]
        lines += [f"  {n} kept: {reason}" for reason, n in Counter(self.kept.values()).items()]
        if self.new_parameters or self.dropped_parameters:
            lines.append(
                f"  {len(self.new_parameters)} parameters are new, {len(self.dropped_parameters)} are gone: "
                "make the optimizer after the conversion, or hand it the model's parameters again"
            )
        return "\n".join(lines)


def convert_batchnorm(
    model: nn.Module,
    norm: str = "ubn",
    *,
    filter: Filter | None = None,
    synchronized: bool = False,
    keep_function: bool | None = None,
    **options: Any,
) -> ConversionReport:
    """Replaces every BatchNorm2d of `model` in place, at any depth, and returns a report (not the model).

    convert_batchnorm(model)                                        UBN as in the paper
    convert_batchnorm(model, threshold=0.2, affine="pointwise")     options of the layer
    convert_batchnorm(model, norm="rbn")                            a relative by its name (NORM_NAMES)

    Running statistics, weights, eps, momentum, device, dtype, requires_grad, training mode and hooks are carried
    over. A layer that has seen a batch keeps its function: in evaluation it computes what BN did, up to rounding,
    since its weight is divided by what scaling multiplies by at first (sigmoid(1), IEBN's sigmoid(-1)). A fresh
    layer starts as the paper says. `bn` keeps the layers; `in`, `gn` and `ln` have no running statistics, and
    compute something else. Where BN has no affine step, the new layer gets a new one.

    Where a parameter keeps its shape the very same Parameter object goes on, so that an optimizer that
    holds it stays right; a depthwise kernel takes the BN weight at its centre, and is a new Parameter. An
    optimizer made before the conversion does not know the new parameters: the report lists them.

    A subclass that calls its children after batch normalization (timm's BatchNormAct2d) becomes a Sequential of the
    new layer, as `norm`, and these children. A layer stays, and the report says why, if it is not a BatchNorm2d
    (BatchNorm1d and 3d, SyncBatchNorm, FrozenBatchNorm2d, lazy layers, subclasses that compute otherwise), does not
    track running statistics, or is filtered out.

    Args:
        filter: which BatchNorm2d to replace: a regular expression, or several, searched in the layer's name
            (r"^layer[34]\\."), or a predicate (name, layer) -> bool. None: all.
        synchronized: share the statistics between all processes; only where the norm is a form of UBN.
        keep_function: True or False decides for all layers whether they keep their function; None: as above.
        options: options of the new layer, over those of `norm`'s name. eps and momentum default to each BN's own.
    Raises: ValueError for an unknown norm, one that needs a condition, a model that is itself a BatchNorm2d,
        synchronized without UBN, a function that no layer of that norm can keep, or an option of a wrong type or
        outside its range. Nothing is replaced then.
    """
    row = family(norm)
    _check_conversion(model, norm, row, synchronized)
    _check_function(norm, row, keep_function, options)
    if row.make is nn.BatchNorm2d:
        return ConversionReport(kept={n: f"norm is {norm}" for n, m in model.named_modules() if _is_norm(m)})
    wanted = _predicate(filter)
    kept: dict[str, str] = {}
    chosen: list[tuple[str, nn.BatchNorm2d, nn.Module, dict[str, nn.Module]]] = []
    for name, module in model.named_modules():
        reason = _reason_to_keep(name, module, wanted)
        if reason is None:
            assert isinstance(module, nn.BatchNorm2d)
            steps = steps_after(module)
            if steps is None:
                kept[name] = f"{type(module).__name__} computes more than BatchNorm2d and then its children"
                continue
            new = _made_for(module, norm, {"synchronized": synchronized, **options})
            chosen.append((name, module, new, steps))
        elif reason:
            kept[name] = reason
    # All new layers are made: from here on nothing is refused, and the old weights may change.
    holders = Counter(id(p) for m in model.modules() for p in m._parameters.values())
    replaced = tuple(_handed_over(*layer, keep_function, holders) for layer in chosen)
    _warn_about_optimizers(model)
    before = {id(p) for p in model.parameters()}
    old_names = {id(p): n for n, p in model.named_parameters()}
    _exchange(model, {id(pair.old): pair.new for pair in replaced})
    after = {id(p) for p in model.parameters()}
    return ConversionReport(
        replaced=replaced,
        kept=kept,
        new_parameters=tuple(n for n, p in model.named_parameters() if id(p) not in before),
        dropped_parameters=tuple(n for key, n in old_names.items() if key not in after),
    )


def revert(model: nn.Module, report: ConversionReport) -> None:
    """Puts the layers back that `convert_batchnorm` replaced, in place.

    The BatchNorm2d objects are those of before; they take over the running statistics, the training mode, device
    and dtype, and the weights that the new layers have learned, as far as BN has a place for them (of a depthwise
    kernel the centre). What has none is lost: centering, scaling, the rest of a kernel. Where the conversion kept the
    function, the constant part of the scaling has a place: it goes back into the weight.
    """
    for pair in report.replaced:
        new, old = without_steps(pair.new), pair.old
        assert isinstance(old, nn.BatchNorm2d)
        hand_back(new, old, factor=scaling_at_the_start(new) if pair.weight_divided else None)
    _exchange(model, {id(pair.new): pair.old for pair in report.replaced})


def _check_conversion(model: nn.Module, norm: str, row: Family, synchronized: bool) -> None:
    if isinstance(model, nn.BatchNorm2d):
        raise ValueError(
            "the model is itself a BatchNorm2d and cannot be replaced in place: wrap it in a module"
        )
    if row.needs_condition:
        raise ValueError(
            f"{norm} layers take a condition, which a converted model would not hand them: build it in"
        )
    if synchronized and row.synchronized is None:
        raise ValueError(f"`synchronized` needs a form of UBN, but got norm={norm!r}")


def _check_function(norm: str, row: Family, keep_function: bool | None, options: dict[str, Any]) -> None:
    require(keep_function in (None, True, False), "keep_function is True, False or None", keep_function)
    if keep_function and not row.running_statistics:
        raise ValueError(
            f"{norm} has no running statistics and cannot keep a function that uses them: leave keep_function out"
        )
    if keep_function and options.get("affine", "given") is None:
        raise ValueError(
            "without an affine step there is no place for BN's weights: leave affine=None or keep_function out"
        )


def _warn_about_optimizers(model: nn.Module) -> None:
    ours = {id(parameter) for parameter in model.parameters()}
    for candidate in gc.get_objects():
        # type(), not isinstance(): a lazy proxy may do anything when asked for its class
        if issubclass(type(candidate), torch.optim.Optimizer):
            held = {id(p) for group in getattr(candidate, "param_groups", ()) for p in group["params"]}
            if ours & held:
                warnings.warn(
                    f"a {type(candidate).__name__} was made before the conversion and does not know the new "
                    "parameters: make it after the conversion",
                    stacklevel=3,
                )


def _predicate(chosen: Filter | None) -> Callable[[str, nn.Module], bool]:
    if chosen is None:
        return lambda name, module: True
    if isinstance(chosen, str):
        chosen = [chosen]
    if isinstance(chosen, Sequence):
        patterns = [re.compile(pattern) for pattern in chosen]
        return lambda name, module: any(pattern.search(name) for pattern in patterns)
    return chosen


def _is_norm(module: nn.Module) -> bool:
    return isinstance(module, _NormBase) or "BatchNorm" in type(module).__name__


def _reason_to_keep(name: str, module: nn.Module, wanted: Callable[[str, nn.Module], bool]) -> str | None:
    """None: replace it. "": no batch normalization at all."""
    if not _is_norm(module) or isinstance(module, GatedBatchNorm2d | nn.modules.instancenorm._InstanceNorm):
        return ""
    if not isinstance(module, nn.BatchNorm2d) or isinstance(module, LazyModuleMixin):
        return f"{type(module).__name__} is not a BatchNorm2d"
    if module.running_mean is None:
        return "does not track running statistics"
    return None if wanted(name, module) else "filtered out"


def _made_for(old: nn.BatchNorm2d, norm: str, options: dict[str, Any]) -> nn.Module:
    """A new layer of the old one's width, eps, momentum, device and dtype."""
    assert old.running_mean is not None
    own: dict[str, Any] = {"eps": old.eps}
    if family(norm).running_statistics:
        own["momentum"] = old.momentum
    reference = old.running_mean if old.weight is None else old.weight
    arguments = {**own, **options, "device": reference.device, "dtype": reference.dtype}
    return make_norm(norm, old.num_features, **arguments)


def _handed_over(
    name: str,
    old: nn.BatchNorm2d,
    new: nn.Module,
    steps: dict[str, nn.Module],
    keep_function: bool | None,
    holders: Counter[int],
) -> Replacement:
    keeps = has_seen_a_batch(old) if keep_function is None else keep_function
    divisor = scaling_at_the_start(new) if keeps and new.weight is not None else None
    hand_over(old, new, divisor=divisor, weight_is_shared=holders[id(old.weight)] > 1)
    chain = with_steps(new, steps)
    hand_over_hooks(old, chain)
    return Replacement(name=name, old=old, new=chain, weight_divided=divisor is not None)


def _exchange(model: nn.Module, exchanges: dict[int, nn.Module]) -> None:
    """Replaces children by identity, wherever they are: a shared layer stays shared."""
    for module in list(model.modules()):
        for name, child in module._modules.items():
            if child is not None and id(child) in exchanges:
                module._modules[name] = exchanges[id(child)]
