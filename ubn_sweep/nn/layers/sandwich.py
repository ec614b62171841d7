"""Sandwich batch normalization."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ubn_sweep.nn.layers.gated import GatedBatchNorm2d, Scaling
from ubn_sweep.nn.options import is_integer, require

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

    from ubn_sweep.nn.shapes import Float

INDICES = (torch.int32, torch.int64)


class SandwichBatchNorm2d(GatedBatchNorm2d):
    """Sandwich batch normalization: one affine step for all samples, then one of each sample's condition.

    y = condition_weight[i] * (weight * x_cs + bias) + condition_bias[i],   i = condition[n] for sample n

    x_cs is the normalized x. The gate, centering and scaling of UnifiedBatchNorm2d can be switched on, as its
    arguments of these names say; as they are by default, x_cs is BN's.

    Args:
        num_features: C.
        num_conditions: how many conditions there are; theirs are 0, 1, ..., num_conditions - 1.
    Shapes: x, y (N, C, H, W); condition (N,), integers. Parameters: `weight`, `bias` (C,), `condition_weight`,
        `condition_bias` (num_conditions, C), and with centering and scaling UnifiedBatchNorm2d's. Buffers: as its.
    Raises: ValueError for options of a wrong type or outside their range, an input that is not (N, C, H, W), a
        training batch with one value per channel, a condition that is not (N,) integers; IndexError, on a CPU, for
        a condition that there is not.
    Source: arXiv 2102.11382; the conditions' start is that of its authors' code.
    """

    def __init__(
        self,
        num_features: int,
        num_conditions: int,
        *,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        threshold: float | None = None,
        similarity_momentum: float = 0.1,
        centering: bool = False,
        scaling: Scaling = None,
        process_group: ProcessGroup | None = None,
        local: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            num_features,
            eps=eps,
            momentum=momentum,
            threshold=threshold,
            similarity_momentum=similarity_momentum,
            centering=centering,
            scaling=scaling,
            process_group=process_group,
            local=local,
            device=device,
            dtype=dtype,
        )
        positive = is_integer(num_conditions) and num_conditions >= 1
        require(positive, "num_conditions is an integer >= 1", num_conditions)
        self.num_conditions = num_conditions
        self.affine = True

        def parameter(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape, device=device, dtype=dtype))

        self.weight: nn.Parameter = parameter(num_features)
        self.bias: nn.Parameter = parameter(num_features)
        self.condition_weight = parameter(num_conditions, num_features)
        self.condition_bias = parameter(num_conditions, num_features)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Starts near BN: no centering, constant scaling, weights 1 and biases 0, the conditions' from N(1, 0.02)."""
        super().reset_parameters()
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)
        nn.init.normal_(self.condition_weight, 1.0, 0.02)
        nn.init.zeros_(self.condition_bias)

    def forward(  # type: ignore[override]
        self, x: Float[Tensor, "N C H W"], condition: Tensor
    ) -> Float[Tensor, "N C H W"]:
        self._check_input(x)
        self._check_condition(x, condition)
        own_weight = nn.functional.embedding(condition, self.condition_weight)
        own_bias = nn.functional.embedding(condition, self.condition_bias)
        bias = torch.addcmul(own_bias, own_weight, self.bias)
        return self._normalized(x, own_weight * self.weight, bias)

    def _check_condition(self, x: Tensor, condition: Tensor) -> None:
        is_tensor = isinstance(condition, Tensor)
        if not is_tensor or condition.shape != x.shape[:1] or condition.dtype not in INDICES:
            got = f"{tuple(condition.shape)} of {condition.dtype}" if is_tensor else repr(condition)
            raise ValueError(f"`condition is a tensor (N,) of int64 or int32` must hold, but got {got}")

    def obstacle_to_folding(self) -> str | None:
        varies = super().obstacle_to_folding()
        return "a condition is known only when the layer is called" if varies is None else varies

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, num_conditions={self.num_conditions}"
