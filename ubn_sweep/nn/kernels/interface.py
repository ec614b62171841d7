"""What passes between the layer and the kernels that compute it, in the names of docs/layer.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from torch import Tensor

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


class Rectifiers(NamedTuple):
    """The learned part of a layer, in the type of the statistics; None where a step is left out.

    w_m, w_v, w_b (C,): the layer's center_weight, scale_weight, scale_bias. weight (C,) or, per sample, (N, C):
    pointwise; (C, 1, K, K): depthwise. bias (C,), or (N, C) with such a weight. instance_scaling: r depends on m
    (IEBN), not on z.
    """

    w_m: Tensor | None
    w_v: Tensor | None
    w_b: Tensor | None
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
    elements: per channel that the statistics average over, over all processes of the group that shares them.
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
    """As the layer's arguments of these names."""

    eps: float
    momentum: float | None
    threshold: float | None
    similarity_momentum: float


class Sums(NamedTuple):
    """What `reduce` found. g is the gradient by x_cs (depthwise) or by y (pointwise), in a form for `combine`.

    S, D (N, C): sum_hw(g) and sum_hw(g * (x - m)). Only of a depthwise step: weight (C, 1, K, K) and bias (C,),
    its gradients.
    """

    g: Tensor
    S: Tensor
    D: Tensor
    weight: Tensor | None
    bias: Tensor | None


class Coefficients(NamedTuple):
    """gx = (g - g_mean) * g_scale + (x - m) * x_scale + gx_mean. x_scale (C,), the others (N, C).

    Tensors, or what the same set's `combine` understands.
    """

    g_mean: Any
    g_scale: Any
    x_scale: Any
    gx_mean: Any


class Gradients(NamedTuple):
    """By the parameters of Rectifiers; those of a depthwise weight and bias are in Sums."""

    w_m: Tensor | None
    w_v: Tensor | None
    w_b: Tensor | None
    weight: Tensor | None
    bias: Tensor | None


class Kernels(Protocol):
    """A set of kernels: a module with these functions. `plain` states what each of them computes.

    Five pass over the data: `moments`, `similarity` (or `sum_of_directions`, for processes to add up), `rectify`, and
    in the backward pass `reduce` and `combine`. Two work on (N, C) and smaller: `settle`, forward, and `finalize`,
    backward. x, y, gy, gx (N, C, H, W); m, v (N, C); M = H*W.
    """

    def takes(self, *tensors: Tensor) -> bool:
        """Whether the set computes with these tensors; `kernels_for` asks before it chooses."""

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """m and v."""

    def similarity(self, x: Tensor, m: Tensor, v: Tensor) -> Tensor:
        """c(x), (); N >= 2."""

    def sum_of_directions(self, x: Tensor, m: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """u (C*H*W,), in the order of memory, and how many samples are not zero, ()."""

    def settle(
        self,
        m: Tensor,
        v: Tensor,
        similarity: Tensor | None,
        w_m: Tensor | None,
        state: GateState,
        options: GateOptions,
        elements: float,
        decided: Tensor | None = None,
    ) -> tuple[Statistics, Tensor]:
        """The statistics to normalize with, and whether the gate is open, (); moves the state.

        similarity: None where the batch has no pair, or the gate is switched off. decided (): what the gate was,
        where a forward pass is computed again; then no state moves.
        """

    def rectify(self, x: Tensor, m: Tensor, statistics: Statistics, R: Rectifiers) -> Tensor:
        """y, in the type and layout of x."""

    def reduce(self, gy: Tensor, x: Tensor, m: Tensor, statistics: Statistics, R: Rectifiers) -> Sums:
        """The sums over H, W; gy lies as x does."""

    def finalize(
        self, sums: Sums, m: Tensor, statistics: Statistics, R: Rectifiers, M: int
    ) -> tuple[Coefficients, Gradients]:
        """What `combine` needs, and the parameters' gradients; one collective where statistics.group is given."""

    def combine(self, sums: Sums, x: Tensor, m: Tensor, coefficients: Coefficients, R: Rectifiers) -> Tensor:
        """gx, in the type and layout of x; it may lie where a sums.g lay that `reduce` made."""
