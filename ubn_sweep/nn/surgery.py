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
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from ubn_sweep.nn.families import Family, family, make_norm
from ubn_sweep.nn.layers import GatedBatchNorm2d

HOOKS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_backward_hooks",
    "_backward_pre_hooks",
)

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")

Filter = str | Sequence[str] | Callable[[str, nn.Module], bool]


@dataclass(frozen=True, kw_only=True)
class Replacement:
    """One layer that was exchanged; `name` is its path in the model, the first one where it is shared."""

    name: str
    old: nn.Module
    new: nn.Module


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
    **options: Any,
) -> ConversionReport:
    """Replaces every BatchNorm2d of `model` in place, at any depth, and returns a report (not the model).

    convert_batchnorm(model)                                        UBN as in the paper
    convert_batchnorm(model, threshold=0.2, affine="pointwise")     options of the layer
    convert_batchnorm(model, norm="rbn")                            a relative by its name (NORM_NAMES)

    Weights, running statistics, eps, momentum, device, dtype, requires_grad, training mode and hooks are carried
    over. Where a parameter keeps its shape the very same Parameter object goes on, so that an optimizer that
    holds it stays right; a depthwise kernel takes the BN weight at its centre, and is a new Parameter. An
    optimizer made before the conversion does not know the new parameters: the report lists them. `bn` keeps the
    layers; `in` and `gn` have no running statistics. Where BN has no affine step, the new layer gets a new one.

    A layer stays, and the report says why, if it is not a BatchNorm2d (BatchNorm1d and 3d, SyncBatchNorm,
    FrozenBatchNorm2d, lazy layers, other subclasses), does not track running statistics, or is filtered out.

    Args:
        filter: which BatchNorm2d to replace: a regular expression, or several, searched in the layer's name
            (r"^layer[34]\\."), or a predicate (name, layer) -> bool. None: all.
        synchronized: share the statistics between all processes; only where the norm is a form of UBN.
        options: options of the new layer, over those of `norm`'s name. eps and momentum default to each BN's own.
    Raises: ValueError for an unknown norm, one that needs a condition, a model that is itself a BatchNorm2d,
        synchronized without UBN, or an option of a wrong type or outside its range. Nothing is replaced then.
    """
    row = family(norm)
    _check_conversion(model, norm, row, synchronized)
    if row.make is nn.BatchNorm2d:
        return ConversionReport(kept={n: f"norm is {norm}" for n, m in model.named_modules() if _is_norm(m)})
    wanted = _predicate(filter)
    kept: dict[str, str] = {}
    pairs: dict[int, Replacement] = {}
    for name, module in model.named_modules():
        reason = _reason_to_keep(name, module, wanted)
        if reason is None:
            new = _converted(module, norm, {"synchronized": synchronized, **options})
            pairs[id(module)] = Replacement(name=name, old=module, new=new)
        elif reason:
            kept[name] = reason
    _warn_about_optimizers(model)
    before = {id(p) for p in model.parameters()}
    old_names = {id(p): n for n, p in model.named_parameters()}
    _exchange(model, {key: pair.new for key, pair in pairs.items()})
    after = {id(p) for p in model.parameters()}
    return ConversionReport(
        replaced=tuple(pairs.values()),
        kept=kept,
        new_parameters=tuple(n for n, p in model.named_parameters() if id(p) not in before),
        dropped_parameters=tuple(n for key, n in old_names.items() if key not in after),
    )


def revert(model: nn.Module, report: ConversionReport) -> None:
    """Puts the layers back that `convert_batchnorm` replaced, in place.

    The BatchNorm2d objects are those of before; they take over the running statistics, the training mode, device
    and dtype, and the weights that the new layers have learned, as far as BN has a place for them (of a depthwise
    kernel the centre). What has none is lost: centering, scaling, the rest of a kernel.
    """
    for pair in report.replaced:
        _carry_back(pair.new, pair.old)
    _exchange(model, {id(pair.new): pair.old for pair in report.replaced})


def _check_conversion(model: nn.Module, norm: str, row: Family, synchronized: bool) -> None:
    if type(model) is nn.BatchNorm2d:
        raise ValueError(
            "the model is itself a BatchNorm2d and cannot be replaced in place: wrap it in a module"
        )
    if row.needs_condition:
        raise ValueError(
            f"{norm} layers take a condition, which a converted model would not hand them: build it in"
        )
    if synchronized and row.synchronized is None:
        raise ValueError(f"`synchronized` needs a form of UBN, but got norm={norm!r}")


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
    if type(module) is not nn.BatchNorm2d:
        return f"{type(module).__name__} is not a BatchNorm2d"
    if module.running_mean is None:
        return "does not track running statistics"
    return None if wanted(name, module) else "filtered out"


def _converted(old: nn.BatchNorm2d, norm: str, options: dict[str, Any]) -> nn.Module:
    assert old.running_mean is not None
    own: dict[str, Any] = {"eps": old.eps}
    if family(norm).running_statistics:
        own["momentum"] = old.momentum
    reference = old.running_mean if old.weight is None else old.weight
    arguments = {**own, **options, "device": reference.device, "dtype": reference.dtype}
    new = make_norm(norm, old.num_features, **arguments)
    _carry_over(old, new)
    return new


def _carry_over(old: nn.BatchNorm2d, new: nn.Module) -> None:
    for name in STATISTICS:
        if getattr(new, name, None) is not None and getattr(old, name) is not None:
            setattr(new, name, getattr(old, name).detach().clone())
    for name in ("weight", "bias"):
        ours, theirs = getattr(new, name), getattr(old, name)
        if ours is None or theirs is None:
            continue
        if ours.shape == theirs.shape:
            setattr(new, name, theirs)
        else:
            with torch.no_grad():
                ours[:, 0, ours.shape[2] // 2, ours.shape[3] // 2] = theirs
            ours.requires_grad_(theirs.requires_grad)
    new.train(old.training)
    for hooks in HOOKS:
        getattr(new, hooks).update(getattr(old, hooks))
    for flags in (
        "_forward_hooks_with_kwargs",
        "_forward_hooks_always_called",
        "_forward_pre_hooks_with_kwargs",
    ):
        getattr(new, flags).update(getattr(old, flags))


def _carry_back(new: nn.Module, old: nn.Module) -> None:
    reference = next((t for t in (*new.parameters(), *new.buffers()) if t.is_floating_point()), None)
    if reference is not None:
        old.to(device=reference.device, dtype=reference.dtype)
    with torch.no_grad():
        for name in STATISTICS:
            _copy(getattr(old, name), getattr(new, name, None))
        for name in ("weight", "bias"):
            ours, theirs = getattr(new, name), getattr(old, name)
            if ours is None or theirs is None or ours is theirs:
                continue
            centre = ours[:, 0, ours.shape[2] // 2, ours.shape[3] // 2] if ours.dim() == 4 else ours
            _copy(theirs, centre)
    old.train(new.training)


def _copy(target: Tensor | None, source: Tensor | None) -> None:
    if target is not None and source is not None:
        target.copy_(source)


def _exchange(model: nn.Module, exchanges: dict[int, nn.Module]) -> None:
    """Replaces children by identity, wherever they are: a shared layer stays shared."""
    for module in list(model.modules()):
        for name, child in module._modules.items():
            if child is not None and id(child) in exchanges:
                module._modules[name] = exchanges[id(child)]
