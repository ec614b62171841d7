"""The layers: state around the functions of functional.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from ubn_sweep.nn import functional
from ubn_sweep.nn.collectives import mean_similarity, sum_over_processes, world_size
from ubn_sweep.nn.gate import UNSEEN, in_recomputation
from ubn_sweep.nn.kernels import kernels_for, plain
from ubn_sweep.nn.kernels.interface import GateOptions, GateState, Statistics

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

    from ubn_sweep.nn.shapes import Float

Scaling = Literal["representative", "instance"] | None
Affine = Literal["pointwise", "depthwise", "sandwich"] | None
SCALINGS = (None, "representative", "instance")
AFFINES = (None, "pointwise", "depthwise", "sandwich")


class UnifiedBatchNorm2d(nn.Module):
    """Unified batch normalization: y = affine(scaling(normalize(centering(x)))), with gated batch statistics.

    centering     x_c  = x + center_weight * m                      m (N, C): the mean of x over H, W
    normalize     x_s  = (x_c - mean) / sqrt(var + eps)
    scaling       x_cs = x_s * sigmoid(scale_weight * k + scale_bias)
                  k = mean over H, W of x_s ("representative"), or m ("instance")
    affine        weight * x_cs + bias ("pointwise"), the depthwise k x k convolution of x_cs ("depthwise"), or
                  weight_i * (weight * x_cs + bias) + bias_i, i the sample's condition ("sandwich")

    In training, with c(x) the mean cosine similarity between the samples of x,
        s = c(x) the first time, then (1 - similarity_momentum) * s + similarity_momentum * c(x)
    and where s > threshold, or no batch has been accepted yet, mean and var are the batch's, and the running ones
    move by `momentum`; else they are the running ones, as constants, and stay. In evaluation they are the running
    ones. Both momenta are PyTorch's: new = (1 - momentum) * old + momentum * observed.

    A batch that is not finite moves neither s nor the running statistics; its output shows it.
    Under torch.distributed, s uses the mean of the processes' similarities, so that all decide alike.

    Args:
        num_features: C.
        momentum: None averages over all accepted batches, as in nn.BatchNorm2d.
        threshold: None switches the gate off: always the batch's statistics, as BN.
        kernel_size: of the depthwise convolution, odd; zero padding. Its weight starts as the identity.
        num_conditions: of the sandwich; `forward(x, condition)` then takes condition (N,), integers.
    Shapes: x, y (N, C, H, W). Parameters: `center_weight`, `scale_weight`, `scale_bias` (C,); `weight` (C,), or
        (C, 1, k, k) when depthwise; `bias` (C,); `condition_weight`, `condition_bias` (num_conditions, C).
        Buffers: `running_mean`, `running_var` (C,), `running_similarity` (), `num_batches_tracked` (): the accepted
        batches. `gate_open` (): whether the last training batch's statistics were used.
    Raises: ValueError for options outside their range, an input that is not (N, C, H, W), a training batch with one
        value per channel, a missing or superfluous condition.
    Source: arXiv 2311.15993, section 3.3.
    """

    running_mean: Tensor
    running_var: Tensor
    running_similarity: Tensor
    num_batches_tracked: Tensor
    gate_open: Tensor

    def __init__(
        self,
        num_features: int,
        *,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        threshold: float | None = 0.15,
        similarity_momentum: float = 0.1,
        centering: bool = True,
        scaling: Scaling = "representative",
        affine: Affine = "depthwise",
        kernel_size: int = 3,
        num_conditions: int | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        _check_options(
            num_features, eps, momentum, similarity_momentum, scaling, affine, kernel_size, num_conditions
        )
        self.num_features = num_features
        self.eps, self.momentum = eps, momentum
        self.threshold, self.similarity_momentum = threshold, similarity_momentum
        self.centering, self.scaling, self.affine = centering, scaling, affine
        self.kernel_size, self.num_conditions = kernel_size, num_conditions

        def parameter(wanted: bool, *shape: int) -> nn.Parameter | None:
            return nn.Parameter(torch.empty(shape, device=device, dtype=dtype)) if wanted else None

        C = num_features
        weight_shape = (C, 1, kernel_size, kernel_size) if affine == "depthwise" else (C,)
        conditions = (0 if num_conditions is None else num_conditions, C)
        self.center_weight = parameter(centering, C)
        self.scale_weight = parameter(scaling is not None, C)
        self.scale_bias = parameter(scaling is not None, C)
        self.weight = parameter(affine is not None, *weight_shape)
        self.bias = parameter(affine is not None, C)
        self.condition_weight = parameter(affine == "sandwich", *conditions)
        self.condition_bias = parameter(affine == "sandwich", *conditions)
        self.register_buffer("running_mean", torch.empty(C, device=device, dtype=dtype))
        self.register_buffer("running_var", torch.empty(C, device=device, dtype=dtype))
        self.register_buffer("running_similarity", torch.empty((), device=device, dtype=dtype))
        self.register_buffer("num_batches_tracked", torch.empty((), device=device, dtype=torch.long))
        self.gate_open = torch.ones((), device=device, dtype=torch.bool)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Back to the state before the first batch."""
        self.running_mean.zero_()
        self.running_var.fill_(1)
        self.running_similarity.fill_(UNSEEN)
        self.num_batches_tracked.zero_()
        self.gate_open = torch.ones_like(self.gate_open)

    def reset_parameters(self) -> None:
        """Starts where BN starts: no centering, constant scaling, identity kernel, conditions near one."""
        self.reset_running_stats()
        constants = {
            "center_weight": 0.0,
            "scale_weight": 0.0,
            "scale_bias": 1.0 if self.scaling == "representative" else -1.0,
            "bias": 0.0,
            "condition_bias": 0.0,
            "weight": 0.0 if self.affine == "depthwise" else 1.0,
        }
        for name, value in constants.items():
            if getattr(self, name) is not None:
                nn.init.constant_(getattr(self, name), value)
        if self.affine == "depthwise" and self.weight is not None:
            with torch.no_grad():
                self.weight[:, :, self.kernel_size // 2, self.kernel_size // 2] = 1.0
        if self.condition_weight is not None:
            nn.init.normal_(self.condition_weight, 1.0, 0.02)

    def forward(
        self, x: Float[Tensor, "N C H W"], condition: Tensor | None = None
    ) -> Float[Tensor, "N C H W"]:
        self._check_input(x, condition)
        if not (x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last)):
            x = x.contiguous()
        m: Tensor | None = None
        if self.training:
            functional.check_batch(x)
            with torch.no_grad():
                m, statistics = self._training_statistics(x.detach())
        else:
            # A clone: the graph may outlive the next training step.
            rstd = torch.rsqrt(self.running_var.to(plain.accumulation_dtype(x)) + self.eps)
            statistics = Statistics(self.running_mean.to(rstd.dtype, copy=True), rstd, 0.0, 1.0)
        weight, bias = self._affine_parameters(condition)
        return functional.unified_batch_norm(
            x,
            statistics,
            center_weight=self.center_weight,
            scale_weight=self.scale_weight,
            scale_bias=self.scale_bias,
            weight=weight,
            bias=bias,
            instance_scaling=self.scaling == "instance",
            m=m,
        )

    def _training_statistics(self, x: Tensor) -> tuple[Tensor, Statistics]:
        """m (N, C), and the batch's statistics, or where the gate is closed the running ones; moves the state."""
        kernels = kernels_for(x, self.running_mean)
        m, v = kernels.moments(x)
        center = None if self.center_weight is None else self.center_weight.detach().to(m.dtype)
        elements = float(x.numel() // x.shape[1])
        similarity, decided = None, self._decided()
        if self.threshold is not None and decided is None:
            if x.shape[0] > 1:
                similarity = kernels.similarity(x, m, v)
            if world_size(self._group()) > 1:
                similarity = mean_similarity(similarity, x, self._group())
        statistics, is_open = kernels.settle(
            m, v, similarity, center, self._gate_state(), self._gate_options(), elements, decided
        )
        self._remember(is_open)
        return m, statistics

    def _decided(self) -> Tensor | None:
        """Activation checkpointing computes a forward pass again: with the same decision, and no state moves."""
        return self.gate_open.to(self.running_mean.device) if in_recomputation() else None

    def _remember(self, is_open: Tensor) -> None:
        if self.threshold is not None and not torch.compiler.is_exporting():
            self.gate_open = is_open

    def _gate_state(self) -> GateState:
        return GateState(
            self.running_mean, self.running_var, self.running_similarity, self.num_batches_tracked
        )

    def _gate_options(self) -> GateOptions:
        return GateOptions(self.eps, self.momentum, self.threshold, self.similarity_momentum)

    def _affine_parameters(self, condition: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        if self.affine != "sandwich":
            return self.weight, self.bias
        assert condition is not None
        assert self.condition_weight is not None
        assert self.condition_bias is not None
        assert self.weight is not None
        assert self.bias is not None
        own = nn.functional.embedding(condition, self.condition_weight)
        return own * self.weight, torch.addcmul(
            nn.functional.embedding(condition, self.condition_bias), own, self.bias
        )

    def _group(self) -> ProcessGroup | None:
        return None

    def _check_input(self, x: Tensor, condition: Tensor | None) -> None:
        if x.dim() != 4:
            raise ValueError(
                f"expected 4D input (got {x.dim()}D input): UnifiedBatchNorm2d takes (N, C, H, W)"
            )
        if x.shape[1] != self.num_features:
            raise ValueError(f"`C == num_features` must hold, but got {x.shape[1]} != {self.num_features}")
        if (condition is not None) != (self.affine == "sandwich"):
            raise ValueError(
                f"`condition` is given where affine is 'sandwich', and only there, but got affine={self.affine!r} "
                f"{'with' if condition is not None else 'without'} a condition"
            )

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> UnifiedBatchNorm2d:
        super()._apply(fn, recurse)
        # Follows the buffers to another device; it is no buffer, so that state and DDP broadcasts stay BN's.
        if self.gate_open.device != self.running_mean.device:
            self.gate_open = torch.ones_like(self.running_mean, dtype=torch.bool).all()
        return self

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, metadata: dict[str, Any], strict: bool, *rest: Any
    ) -> None:
        """A BatchNorm2d's state lacks the rectifiers: they and the similarity then stay as they are."""
        keys = {name for name, value in self.named_parameters(recurse=False)} | set(self._buffers)
        from_batch_norm = {"running_mean", "running_var"} <= {
            key.removeprefix(prefix) for key in state_dict
        } and prefix + "running_similarity" not in state_dict
        if from_batch_norm:
            defaults = {
                "center_weight",
                "scale_weight",
                "scale_bias",
                "running_similarity",
                "num_batches_tracked",
            }
            for name in defaults & keys:
                state_dict.setdefault(prefix + name, getattr(self, name).detach())
        super()._load_from_state_dict(state_dict, prefix, metadata, strict, *rest)

    def extra_repr(self) -> str:
        names = ("eps", "momentum", "threshold", "similarity_momentum", "centering", "scaling", "affine")
        shown = [f"{name}={getattr(self, name)!r}" for name in names]
        if self.affine == "depthwise":
            shown.append(f"kernel_size={self.kernel_size}")
        if self.affine == "sandwich":
            shown.append(f"num_conditions={self.num_conditions}")
        return ", ".join([str(self.num_features), *shown])


class SynchronizedUnifiedBatchNorm2d(UnifiedBatchNorm2d):
    """UnifiedBatchNorm2d whose mean, variance and similarity are those of all processes' samples together.

    With the loss summed over processes, outputs and gradients equal one process's on the whole batch (parameters'
    gradients after summing them over processes), whatever each process's N. One all-reduce per direction: forward
    the sums and the direction u (C*H*W), backward two sums (C,). Without torch.distributed: its parent.

    Args: process_group: who shares; None means everyone. Not copied by copy.deepcopy, and not pickled.
    """

    process_group: ProcessGroup | None

    def __init__(
        self, num_features: int, *, process_group: ProcessGroup | None = None, **options: Any
    ) -> None:
        super().__init__(num_features, **options)
        self.process_group = process_group

    def _group(self) -> ProcessGroup | None:
        return self.process_group

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "process_group": None}

    def _training_statistics(self, x: Tensor) -> tuple[Tensor, Statistics]:
        if world_size(self.process_group) == 1:
            return super()._training_statistics(x)
        kernels = kernels_for(x, self.running_mean)
        m, v = kernels.moments(x)
        # float64: E[m**2] - E[m]**2 then cancels harmlessly, and one sum over processes is enough.
        wide = m.double()
        sums = [wide.sum(0), wide.square().sum(0), v.double().sum(0)]
        sums.append(wide.new_tensor([m.shape[0]]) if not m.is_cuda else wide.new_full((1,), m.shape[0]))
        if self.threshold is not None:
            direction, nonzero = kernels.sum_of_directions(x, m, v)
            sums += [nonzero.double().view(1), direction.double()]
        group = self.process_group if self.process_group is not None else torch.distributed.group.WORLD
        total, squares, within, samples, *rest = sum_over_processes(*sums, group=group)
        mean = total / samples
        gain = 1.0 if self.center_weight is None else self.center_weight.double() + 1.0
        between = (squares / samples - mean.square()).clamp_(min=0)
        mean, var = (gain * mean).to(m.dtype), (within / samples + gain * gain * between).to(m.dtype)
        elements = (samples[0] * (x.shape[2] * x.shape[3])).to(m.dtype)
        similarity = None
        if rest:
            similarity = plain.similarity_of(rest[1], rest[0][0], samples[0]).to(m.dtype)
        statistics, is_open = plain.settle_with(
            mean, var, similarity, self._gate_state(), self._gate_options(), elements, self._decided()
        )
        self._remember(is_open)
        return m, statistics._replace(group=group)


def condensation(model: nn.Module) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Yields (name, running_similarity, gate_open) of every UBN layer whose gate is on. Tensors: no host wait."""
    for name, module in model.named_modules():
        if isinstance(module, UnifiedBatchNorm2d) and module.threshold is not None:
            yield name, module.running_similarity, module.gate_open


def _check_options(
    num_features: int,
    eps: float,
    momentum: float | None,
    similarity_momentum: float,
    scaling: Scaling,
    affine: Affine,
    kernel_size: int,
    num_conditions: int | None,
) -> None:
    def require(holds: bool, rule: str, value: object) -> None:
        if not holds:
            raise ValueError(f"`{rule}` must hold, but got {value!r}")

    require(num_features >= 1, "num_features >= 1", num_features)
    require(eps >= 0, "eps >= 0", eps)
    require(momentum is None or 0 <= momentum <= 1, "momentum is None or in [0, 1]", momentum)
    require(0 <= similarity_momentum <= 1, "0 <= similarity_momentum <= 1", similarity_momentum)
    require(scaling in SCALINGS, f"scaling in {SCALINGS}", scaling)
    require(affine in AFFINES, f"affine in {AFFINES}", affine)
    require(kernel_size >= 1 and kernel_size % 2 == 1, "kernel_size is odd and positive", kernel_size)
    sandwich = affine == "sandwich"
    require(
        (num_conditions is not None and num_conditions >= 1) if sandwich else num_conditions is None,
        "num_conditions >= 1 where affine is 'sandwich', None elsewhere",
        num_conditions,
    )
