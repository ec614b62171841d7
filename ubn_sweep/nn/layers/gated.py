"""What the layers share: batch statistics behind the gate, centering and scaling, and the state of all that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ubn_sweep.nn import functional
from ubn_sweep.nn.collectives import mean_similarity, world_size
from ubn_sweep.nn.gate import UNSEEN, in_recomputation
from ubn_sweep.nn.kernels import kernels_for, plain
from ubn_sweep.nn.kernels.interface import GateOptions, GateState, Statistics
from ubn_sweep.nn.options import is_integer, is_number, is_one_of, require

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

Scaling = Literal["representative", "instance"] | None
SCALINGS = (None, "representative", "instance")


class GatedBatchNorm2d(_BatchNorm):
    """x -> x_cs, by UnifiedBatchNorm2d's formula and with its state; a subclass adds the affine step.

    A `_BatchNorm` to whoever looks for one: torch.optim.swa_utils.update_bn, what freezes statistics by `eval()`,
    what takes weight decay off normalization. It shares nothing with it but these names. What would put another
    layer in its place, as nn.SyncBatchNorm.convert_sync_batchnorm does, asks for `track_running_stats`, and fails:
    there is none.

    A subclass registers `weight` and `bias`, calls `reset_parameters` at the end of its constructor, and hands
    `_normalized` from its `forward` what the affine step takes: pointwise or depthwise, or one per sample.

    Args: as UnifiedBatchNorm2d's of these names.
    Raises: ValueError for options of a wrong type or outside their range, an input that is not (N, C, H, W), a
        training batch with one value per channel.
    """

    weight: nn.Parameter | None  # type: ignore[assignment]
    bias: nn.Parameter | None  # type: ignore[assignment]
    running_mean: Tensor
    running_var: Tensor
    running_similarity: Tensor
    num_batches_tracked: Tensor
    gate_open: Tensor
    process_group: ProcessGroup | None

    def __init__(
        self,
        num_features: int,
        *,
        eps: float,
        momentum: float | None,
        threshold: float | None,
        similarity_momentum: float,
        centering: bool,
        scaling: Scaling,
        process_group: ProcessGroup | None,
        local: bool,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        nn.Module.__init__(self)  # _BatchNorm's own would make its parameters and buffers
        require(
            is_integer(num_features) and num_features >= 1, "num_features is an integer >= 1", num_features
        )
        require(is_number(eps) and eps >= 0, "eps is a number >= 0", eps)
        require(momentum is None or _is_share(momentum), "momentum is None or a number in [0, 1]", momentum)
        require(threshold is None or is_number(threshold), "threshold is None or a finite number", threshold)
        require(
            _is_share(similarity_momentum), "similarity_momentum is a number in [0, 1]", similarity_momentum
        )
        require(isinstance(centering, bool), "centering is True or False", centering)
        require(is_one_of(scaling, SCALINGS), f"scaling in {SCALINGS}", scaling)
        require(
            process_group is None or _is_group(process_group),
            "process_group is None or a torch.distributed.ProcessGroup of this process",
            process_group,
        )
        require(isinstance(local, bool), "local is True or False", local)
        require(not local or process_group is None, "local is False where there is a process_group", local)
        self.process_group, self.local = process_group, local
        self.deferred: Tensor | None = None
        self.num_features = num_features
        self.eps, self.momentum = eps, momentum
        self.threshold, self.similarity_momentum = threshold, similarity_momentum
        self.centering, self.scaling = centering, scaling
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        C = num_features
        self.center_weight = nn.Parameter(torch.empty(C, **factory)) if centering else None
        self.scale_weight = nn.Parameter(torch.empty(C, **factory)) if scaling is not None else None
        self.scale_bias = nn.Parameter(torch.empty(C, **factory)) if scaling is not None else None
        self.register_buffer("running_mean", torch.empty(C, **factory))
        self.register_buffer("running_var", torch.empty(C, **factory))
        self.register_buffer("running_similarity", torch.empty((), **factory))
        self.register_buffer("num_batches_tracked", torch.empty((), device=device, dtype=torch.long))
        self.gate_open = torch.ones((), device=device, dtype=torch.bool)

    def reset_running_stats(self) -> None:
        """Back to the state before the first batch."""
        self.running_mean.zero_()
        self.running_var.fill_(1)
        self.running_similarity.fill_(UNSEEN)
        self.num_batches_tracked.zero_()
        self.gate_open = torch.ones_like(self.gate_open)

    def reset_parameters(self) -> None:
        """Starts where BN starts: no centering, constant scaling; a subclass adds its affine step's identity."""
        self.reset_running_stats()
        if self.center_weight is not None:
            nn.init.zeros_(self.center_weight)
        if self.scale_weight is not None and self.scale_bias is not None:
            nn.init.zeros_(self.scale_weight)
            nn.init.constant_(self.scale_bias, 1.0 if self.scaling == "representative" else -1.0)

    def obstacle_to_folding(self) -> str | None:
        """Why evaluation mode does not leave a constant scale and shift per channel; None where it does."""
        if self.centering or self.scaling is not None:
            return "centering and scaling depend on each sample and cannot be folded"
        return None

    def _normalized(self, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
        """y, with weight and bias as `unified_batch_norm` takes them; moves the state in training."""
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
        w_m = None if self.center_weight is None else self.center_weight.detach().to(m.dtype)
        elements = float(x.numel() // x.shape[1])
        similarity, decided = None, self._decided()
        if self.threshold is not None and decided is None:
            if x.shape[0] > 1:
                similarity = kernels.similarity(x, m, v)
            if self.deferred is not None:
                similarity = self._defer(similarity)
            elif self._processes() > 1:
                similarity = mean_similarity(similarity, v, self.process_group)
        statistics, is_open = kernels.settle(
            m, v, similarity, w_m, self._gate_state(), self._gate_options(), elements, decided
        )
        self._remember(is_open)
        return m, statistics

    def _processes(self) -> int:
        """How many gates decide alike."""
        return 1 if self.local else world_size(self.process_group)

    @property
    def can_defer(self) -> bool:
        """Whether a GateExchange may hold the similarities back until a step's end."""
        return not self.local

    def _defer(self, similarity: Tensor | None) -> Tensor | None:
        """Leaves the similarity to a GateExchange; nothing is observed then, unless that the batch is not finite."""
        if similarity is None:
            return None
        assert self.deferred is not None
        self.deferred = self.deferred + torch.stack([similarity, torch.ones_like(similarity)])
        return (similarity * 0.0).abs().neg()  # UNSEEN, or nan

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "process_group": None, "deferred": None}

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

    def _check_input(self, x: Tensor) -> None:
        if x.dim() != 4:
            raise ValueError(
                f"expected 4D input (got {x.dim()}D input): {type(self).__name__} takes (N, C, H, W)"
            )
        if x.shape[1] != self.num_features:
            raise ValueError(f"`C == num_features` must hold, but got {x.shape[1]} != {self.num_features}")

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> GatedBatchNorm2d:
        super()._apply(fn, recurse)
        # Follows the buffers to another device; it is no buffer, so that state and DDP broadcasts stay BN's.
        if self.gate_open.device != self.running_mean.device:
            self.gate_open = torch.ones_like(self.running_mean, dtype=torch.bool).all()
        return self

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, metadata: dict[str, Any], strict: bool, *rest: Any
    ) -> None:
        """A BatchNorm2d's state lacks the rectifiers: they and the similarity then stay as they are."""
        has_statistics = all(prefix + name in state_dict for name in ("running_mean", "running_var"))
        if has_statistics and prefix + "running_similarity" not in state_dict:
            ours = (
                "center_weight",
                "scale_weight",
                "scale_bias",
                "running_similarity",
                "num_batches_tracked",
            )
            for name in ours:
                value = getattr(self, name)
                if value is not None:
                    state_dict.setdefault(prefix + name, value.detach())
        nn.Module._load_from_state_dict(self, state_dict, prefix, metadata, strict, *rest)

    def extra_repr(self) -> str:
        names = ("eps", "momentum", "threshold", "similarity_momentum", "centering", "scaling")
        return ", ".join([str(self.num_features), *(f"{name}={getattr(self, name)!r}" for name in names)])


def condensation(model: nn.Module) -> Iterator[tuple[str, GatedBatchNorm2d]]:
    """Yields (name, layer) of every layer whose gate is on.

    After each training batch the layer's `running_similarity` and `gate_open` () say how alike the samples are, and
    whether the batch's own statistics were used. They are tensors, so that the host need not wait for the device.
    """
    for name, module in model.named_modules():
        if isinstance(module, GatedBatchNorm2d) and module.threshold is not None:
            yield name, module


def _is_group(value: object) -> bool:
    return torch.distributed.is_available() and isinstance(value, torch.distributed.ProcessGroup)


def _is_share(value: object) -> bool:
    return is_number(value) and 0 <= value <= 1
