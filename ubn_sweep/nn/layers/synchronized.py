"""The layers with statistics that all processes share."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ubn_sweep.nn.collectives import all_have, sum_over_processes
from ubn_sweep.nn.gate import UNSEEN
from ubn_sweep.nn.kernels import kernels_for, plain
from ubn_sweep.nn.kernels.interface import Statistics
from ubn_sweep.nn.layers.gated import GatedBatchNorm2d
from ubn_sweep.nn.layers.sandwich import SandwichBatchNorm2d
from ubn_sweep.nn.layers.unified import UnifiedBatchNorm2d
from ubn_sweep.nn.options import require

Size = tuple[int, int, int]


class _Totals(NamedTuple):
    """What the processes add up: in float64 all but u, which is long, and empty where nobody sends it.

    m, squares, v (C,): the sums over all pixels of m, m**2 and v. elements (): the pixels.
    u (C*H*W,), N (), nonzero (): the directions of the samples of the size that all share, these samples, and those of
    them that are not zero. others, other_pairs (): sum of the cosines of pairs, and the pairs, within a process whose
    samples have another size; none across processes.
    """

    m: Tensor
    squares: Tensor
    v: Tensor
    elements: Tensor
    N: Tensor
    nonzero: Tensor
    others: Tensor
    other_pairs: Tensor
    u: Tensor


class _Synchronized(GatedBatchNorm2d):
    """Mean, variance and similarity of all processes' samples together."""

    def __init__(self, num_features: int, *arguments: Any, **options: Any) -> None:
        super().__init__(num_features, *arguments, **options)
        require(not self.local, "local is False where statistics are synchronized", self.local)
        self._agreed: Size | None = None
        self._all_agreed = False

    @property
    def can_defer(self) -> bool:
        return False

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_agreed": None, "_all_agreed": False}

    def _training_statistics(self, x: Tensor) -> tuple[Tensor, Statistics]:
        if self._processes() == 1:
            return super()._training_statistics(x)
        group = self.process_group if self.process_group is not None else torch.distributed.group.WORLD
        assert group is not None
        if self.threshold is not None and self._agreed is None:
            # Once: a host that asked at each batch would wait for the device each time.
            self._agreed = _size_of(x)
            self._all_agreed = all_have(self._agreed, x.device, group)
        m, own = self._own_totals(x)
        totals = _Totals(*sum_over_processes(*own, group=group))
        mean = totals.m / totals.elements
        one_plus_w_m = 1.0 if self.center_weight is None else self.center_weight.double() + 1.0
        between = (totals.squares / totals.elements - mean.square()).clamp_(min=0)
        var = totals.v / totals.elements + one_plus_w_m * one_plus_w_m * between
        similarity = None if self.threshold is None else _similarity_of(totals).to(m.dtype)
        statistics, is_open = plain.settle_with(
            (one_plus_w_m * mean).to(m.dtype),
            var.to(m.dtype),
            similarity,
            self._gate_state(),
            self._gate_options(),
            totals.elements.to(m.dtype),
            self._decided(),
        )
        self._remember(is_open)
        return m, statistics._replace(group=group)

    def _own_totals(self, x: Tensor) -> tuple[Tensor, _Totals]:
        """m (N, C), and this process's part."""
        kernels = kernels_for(x, self.running_mean)
        m, v = kernels.moments(x)
        N, pixels = x.shape[0], x.shape[2] * x.shape[3]
        # float64: E[m**2] - E[m]**2 then cancels harmlessly, and one sum over the processes is enough.
        wide = m.double()
        m_sum, squares, v_sum = (pixels * values.sum(0) for values in (wide, wide.square(), v.double()))
        zero, elements = wide.new_zeros(()), wide.new_tensor(float(N * pixels))
        totals = _Totals(m_sum, squares, v_sum, elements, zero, zero, zero, zero, m.new_empty(0))
        if self.threshold is None:
            return m, totals
        u, nonzero = kernels.sum_of_directions(x, m, v)
        if self._all_agreed and self._agreed == _size_of(x):
            return m, totals._replace(N=zero + N, nonzero=nonzero.double(), u=u)
        others = u.double().square().sum() - nonzero.double()
        totals = totals._replace(others=others, other_pairs=zero + N * (N - 1))
        if self._all_agreed:
            assert self._agreed is not None
            totals = totals._replace(u=u.new_zeros(x.shape[1] * self._agreed[0] * self._agreed[1]))
        return m, totals


def _size_of(x: Tensor) -> Size:
    """H, W and the layout, which decides the order of u."""
    return x.shape[2], x.shape[3], int(x.is_contiguous())


def _similarity_of(totals: _Totals) -> Tensor:
    """The mean cosine over all pairs that have one, (); nan where a sample is not finite, UNSEEN without a pair."""
    cosines = totals.u.double().square().sum() - totals.nonzero + totals.others
    pairs = totals.N * (totals.N - 1) + totals.other_pairs
    none = torch.where(cosines.isfinite(), UNSEEN, cosines)
    return torch.where(pairs > 0, cosines / pairs, none)


class SynchronizedUnifiedBatchNorm2d(_Synchronized, UnifiedBatchNorm2d):
    """UnifiedBatchNorm2d whose mean, variance and similarity are those of all processes' samples together.

    With the loss summed over the processes, outputs and gradients equal one process's on the whole batch
    (parameters' gradients after summing them over the processes), whatever each process's N, H and W: every pixel
    counts alike. One exchange per direction: forward the sums in float64 and the direction u (C*H*W) in the type of
    the statistics, backward two sums (C,). Without torch.distributed: its parent.

    Samples of different sizes have no cosine. At its first training batch the layer asks once whether all processes
    have the same H, W and layout; a process whose batch has another size than that counts the pairs among its own
    samples, and where the sizes differed at first all do.

    Args: process_group: who shares; None means everyone. The other arguments are UnifiedBatchNorm2d's, but `local`.
    """


class SynchronizedSandwichBatchNorm2d(_Synchronized, SandwichBatchNorm2d):
    """SandwichBatchNorm2d, synchronized as SynchronizedUnifiedBatchNorm2d is."""
