"""Inference: folding what evaluation mode leaves constant into the convolution before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor, nn

from ubn_sweep.nn.layers import GatedBatchNorm2d, UnifiedBatchNorm2d


@dataclass(frozen=True, kw_only=True)
class FoldingReport:
    """What fold_batchnorm did."""

    folded: tuple[str, ...] = ()
    """Layers that are gone (nn.Identity): wholly inside the convolution before them."""
    shortened: tuple[str, ...] = ()
    """Depthwise layers that are now a plain depthwise convolution, nn.Conv2d, at the place of the layer."""
    kept: dict[str, str] = field(default_factory=dict)
    """Layers that stay, by name, with the reason."""

    def __str__(self) -> str:
        lines = [f"folded {len(self.folded)}, shortened {len(self.shortened)}, kept {len(self.kept)}"]
        return "\n".join(lines + [f"  {name}: {reason}" for name, reason in self.kept.items()])


def fold_batchnorm(model: nn.Module) -> FoldingReport:
    """Folds normalization into convolutions, in place, for inference, and returns a report (not the model).

    In evaluation mode, without centering and scaling, y = affine((x - mean) * rstd) with constants. A pointwise
    affine step, or none, goes into the weight and bias of the nn.Conv2d directly before it; BatchNorm2d does too.
    A depthwise one becomes a depthwise nn.Conv2d, with rstd in its weight; the mean, which zero padding does not
    commute with, goes into the bias of the convolution before it. Centering and scaling depend on each sample's
    own mean and cannot be folded; nor can a condition.

    "Directly before": the previous child of the same nn.Sequential, or what torch.fx finds where it can trace the
    model. A convolution whose output anything else uses, or that is called twice, is left alone. Outputs in
    evaluation mode stay equal up to rounding; the model can no longer be trained as it was.
    Raises: ValueError if the model is in training mode.
    """
    if model.training:
        raise ValueError(
            "folding is for inference, but the model is in training mode: call model.eval() first"
        )
    folded: list[str] = []
    shortened: list[str] = []
    kept: dict[str, str] = {}
    before = dict(_pairs(model))
    for name, layer in list(model.named_modules()):
        if not isinstance(layer, GatedBatchNorm2d | nn.BatchNorm2d):
            continue
        convolution = before.get(name)
        reason = _obstacle(layer, convolution)
        if reason is not None:
            kept[name] = reason
            continue
        assert convolution is not None
        if isinstance(layer, UnifiedBatchNorm2d) and layer.affine == "depthwise":
            _replace(model, name, _shorten(convolution, layer))
            shortened.append(name)
        else:
            _fold(convolution, layer)
            _replace(model, name, nn.Identity())
            folded.append(name)
    return FoldingReport(folded=tuple(folded), shortened=tuple(shortened), kept=kept)


def _obstacle(layer: GatedBatchNorm2d | nn.BatchNorm2d, convolution: nn.Conv2d | None) -> str | None:
    if isinstance(layer, GatedBatchNorm2d):
        obstacle = layer.obstacle_to_folding()
        if obstacle is not None:
            return obstacle
    if layer.running_mean is None:
        return "does not track running statistics"
    return "no convolution of its own directly before it" if convolution is None else None


class _Tracer(torch.fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, GatedBatchNorm2d) or super().is_leaf_module(m, module_qualified_name)


def _pairs(model: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Conv2d]]:
    """(name of a normalization layer, the convolution that feeds it and nothing else).

    What cannot be traced as a whole is traced child by child.
    """
    try:
        graph = _Tracer().trace(model)
    except Exception:  # whatever user code does when it meets fx's proxies
        yield from _pairs_in_children(model, prefix)
        return
    nodes = [node for node in graph.nodes if node.op == "call_module"]
    calls = Counter(id(model.get_submodule(str(node.target))) for node in nodes)
    for node in nodes:
        source = node.args[0] if len(node.args) == 1 and not node.kwargs else None
        if not isinstance(source, torch.fx.Node) or source.op != "call_module" or len(source.users) != 1:
            continue
        layer, feeder = (model.get_submodule(str(n.target)) for n in (node, source))
        if type(feeder) is nn.Conv2d and calls[id(layer)] == calls[id(feeder)] == 1:
            yield f"{prefix}{node.target}", feeder


def _pairs_in_children(module: nn.Module, prefix: str) -> Iterator[tuple[str, nn.Conv2d]]:
    children = list(module.named_children())
    if type(module) is nn.Sequential:
        for (_, feeder), (name, _) in pairwise(children):
            if type(feeder) is nn.Conv2d:
                yield f"{prefix}{name}", feeder
    for name, child in children:
        if any(True for _ in child.children()):
            yield from _pairs(child, f"{prefix}{name}.")


def _constants(layer: GatedBatchNorm2d | nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """mean and rstd, (C,), in float64."""
    assert layer.running_mean is not None
    assert layer.running_var is not None
    return layer.running_mean.double(), torch.rsqrt(layer.running_var.double() + layer.eps)


@torch.no_grad()
def _fold(convolution: nn.Conv2d, layer: GatedBatchNorm2d | nn.BatchNorm2d) -> None:
    mean, rstd = _constants(layer)
    scale = rstd if layer.weight is None else rstd * layer.weight.double()
    constant = -mean * scale if layer.bias is None else layer.bias.double() - mean * scale
    old_bias = 0.0 if convolution.bias is None else convolution.bias.double()
    _set(convolution, "weight", convolution.weight.double() * scale[:, None, None, None])
    _set(convolution, "bias", old_bias * scale + constant)


@torch.no_grad()
def _shorten(convolution: nn.Conv2d, layer: UnifiedBatchNorm2d) -> nn.Conv2d:
    mean, rstd = _constants(layer)
    assert layer.weight is not None
    assert layer.bias is not None
    old_bias = 0.0 if convolution.bias is None else convolution.bias.double()
    _set(convolution, "bias", old_bias - mean)
    C, K = layer.num_features, layer.kernel_size
    factory = {"device": layer.weight.device, "dtype": layer.weight.dtype}
    depthwise = nn.Conv2d(C, C, K, padding=K // 2, groups=C, **factory).eval()  # type: ignore[arg-type]
    depthwise.weight.copy_(layer.weight.double() * rstd[:, None, None, None])
    assert depthwise.bias is not None
    depthwise.bias.copy_(layer.bias)
    return depthwise


def _set(convolution: nn.Conv2d, name: str, value: Tensor) -> None:
    setattr(convolution, name, nn.Parameter(value.to(convolution.weight.dtype)))


def _replace(model: nn.Module, name: str, new: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, new)
