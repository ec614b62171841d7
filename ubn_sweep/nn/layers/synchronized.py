"""The layers with statistics that all processes share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from ubn_sweep.nn.collectives import sum_over_processes, world_size
from ubn_sweep.nn.kernels import kernels_for, plain
from ubn_sweep.nn.kernels.interface import Statistics
from ubn_sweep.nn.layers.gated import GatedBatchNorm2d
from ubn_sweep.nn.layers.sandwich import SandwichBatchNorm2d
from ubn_sweep.nn.layers.unified import UnifiedBatchNorm2d
from ubn_sweep.nn.options import require

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


class _Totals(NamedTuple):
    """What the processes add up, in float64; u is empty where the gate is switched off.

    m, squares, v (C,): sum_n of m, m**2 and v. N (). nonzero (), u (C*H*W,): of the similarity.
    """

    m: Tensor
    squares: Tensor
    v: Tensor
    N: Tensor
    nonzero: Tensor
    u: Tensor


class _Synchronized(GatedBatchNorm2d):
    """Mean, variance and similarity of all processes' samples together."""

    process_group: ProcessGroup | None

    def __init__(
        self, num_features: int, *arguments: Any, process_group: ProcessGroup | None = None, **options: Any
    ) -> None:
        super().__init__(num_features, *arguments, **options)
        require(
            process_group is None or _is_group(process_group),
            "process_group is None or a torch.distributed.ProcessGroup of this process",
            process_group,
        )
        self.process_group = process_group

    def _group(self) -> ProcessGroup | None:
        return self.process_group

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "process_group": None}

    def _training_statistics(self, x: Tensor) -> tuple[Tensor, Statistics]:
        if world_size(self.process_group) == 1:
            return super()._training_statistics(x)
        group = self.process_group if self.process_group is not None else torch.distributed.group.WORLD
        m, own = self._own_totals(x)
        totals = _Totals(*sum_over_processes(*own, group=group))
        N = totals.N
        mean = totals.m / N
        one_plus_w_m = 1.0 if self.center_weight is None else self.center_weight.double() + 1.0
        between = (totals.squares / N - mean.square()).clamp_(min=0)
        var = totals.v / N + one_plus_w_m * one_plus_w_m * between
        similarity = None
        if self.threshold is not None:
            similarity = plain.similarity_of(totals.u, totals.nonzero, N).to(m.dtype)
        statistics, is_open = plain.settle_with(
            (one_plus_w_m * mean).to(m.dtype),
            var.to(m.dtype),
            similarity,
            self._gate_state(),
            self._gate_options(),
            (N * (x.shape[2] * x.shape[3])).to(m.dtype),
            self._decided(),
        )
        self._remember(is_open)
        return m, statistics._replace(group=group)

    def _own_totals(self, x: Tensor) -> tuple[Tensor, _Totals]:
        """m (N, C), and this process's part."""
        kernels = kernels_for(x, self.running_mean)
        m, v = kernels.moments(x)
        # float64: E[m**2] - E[m]**2 then cancels harmlessly, and one sum over the processes is enough.
        wide = m.double()
        nonzero, u = wide.new_zeros(()), wide.new_empty(0)
        if self.threshold is not None:
            u, nonzero = kernels.sum_of_directions(x, m, v)
        N = wide.new_full((), m.shape[0])
        sums = (wide.sum(0), wide.square().sum(0), v.double().sum(0))
        return m, _Totals(*sums, N, nonzero.double(), u.double())


def _is_group(value: object) -> bool:
    return torch.distributed.is_available() and isinstance(value, torch.distributed.ProcessGroup)


class SynchronizedUnifiedBatchNorm2d(_Synchronized, UnifiedBatchNorm2d):
    """UnifiedBatchNorm2d whose mean, variance and similarity are those of all processes' samples together.

    With the loss summed over the processes, outputs and gradients equal one process's on the whole batch
    (parameters' gradients after summing them over the processes), whatever each process's N. One all-reduce per
    direction: forward the sums and the direction u (C*H*W), backward two sums (C,). Without torch.distributed: its
    parent.

    Args: process_group: who shares; None means everyone. Not copied by copy.deepcopy, and not pickled. The other
        arguments are UnifiedBatchNorm2d's.
    """


class SynchronizedSandwichBatchNorm2d(_Synchronized, SandwichBatchNorm2d):
    """SandwichBatchNorm2d, synchronized as SynchronizedUnifiedBatchNorm2d is."""
