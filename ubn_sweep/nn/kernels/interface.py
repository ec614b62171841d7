"""What passes between the layer and the kernels that compute it.

A set of kernels is a module with seven functions; `plain` states what each of them computes. Five pass over the data:
`moments`, `similarity` (or `sum_of_directions`, for replicas to add up), `rectify`, and in the backward pass `reduce`
and `combine`. Two work on (N, C) and smaller: `settle`, forward, and `finalize`, backward.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


class Rectifiers(NamedTuple):
    """The learned part of a layer, in the type of the statistics; None where a step is left out.

    center, scale, scale_bias (C,): w_m, w_v, w_b. weight (C,) or, per sample, (N, C): pointwise; (C, 1, k, k):
    depthwise. bias (C,), or (N, C) with such a weight. instance_scaling: r depends on m (IEBN), not on z.
    """

    center: Tensor | None
    scale: Tensor | None
    scale_bias: Tensor | None
    weight: Tensor | None
    bias: Tensor | None
    instance_scaling: bool

    @property
    def depthwise(self) -> bool:
        return self.weight is not None and self.weight.dim() == 4

    @property
    def per_sample(self) -> bool:
        return self.weight is not None and self.weight.dim() == 2

    @property
    def pointwise(self) -> tuple[Tensor | None, Tensor | None]:
        """weight and bias of a pointwise step, (None, None) where there is none."""
        return (None, None) if self.depthwise else (self.weight, self.bias)


class Statistics(NamedTuple):
    """What x_c = x + w_m * m is normalized with.

    mean, rstd (C,): of x_c, rstd = (var + eps)**-0.5 with the biased variance. flow (): 1 where they are the
    batch's own, so that gradients flow through them, 0 where they are constants; a float where the host knows.
    elements: per channel that the statistics average over, over all replicas that share them.
    """

    mean: Tensor
    rstd: Tensor
    flow: Tensor | float
    elements: Tensor | float
    group: ProcessGroup | None = None


class GateState(NamedTuple):
    """The buffers that a training batch moves, in place. (C,), (C,), (), ()."""

    running_mean: Tensor
    running_var: Tensor
    running_similarity: Tensor
    num_batches_tracked: Tensor


class GateOptions(NamedTuple):
    eps: float
    momentum: float | None
    threshold: float | None
    similarity_momentum: float


class Sums(NamedTuple):
    """What `reduce` found. g is the gradient by x_cs (depthwise) or by y (pointwise), in a form for `combine`.

    total, product (N, C): sum_hw(g) and sum_hw(g * (x - m)). Only of a depthwise step: weight (C, 1, k, k) and
    bias (C,), its gradients.
    """

    g: Tensor
    total: Tensor
    product: Tensor
    weight: Tensor | None
    bias: Tensor | None


class Coefficients(NamedTuple):
    """gx = (g - g_pivot) * g_scale + (x - m) * x_scale + shift. x_scale (C,), the others (N, C).

    Tensors, or what the same set's `combine` understands.
    """

    g_pivot: Any
    g_scale: Any
    x_scale: Any
    shift: Any


class Gradients(NamedTuple):
    """By the parameters of Rectifiers; those of a depthwise weight and bias are in Sums."""

    center: Tensor | None
    scale: Tensor | None
    scale_bias: Tensor | None
    weight: Tensor | None
    bias: Tensor | None
