"""Unified batch normalization."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import nn

from ubn_sweep.nn.layers.gated import GatedBatchNorm2d, Scaling
from ubn_sweep.nn.options import is_integer, is_one_of, require

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

    from ubn_sweep.nn.shapes import Float

Affine = Literal["pointwise", "depthwise"] | None
AFFINES = (None, "pointwise", "depthwise")


class UnifiedBatchNorm2d(GatedBatchNorm2d):
    """Unified batch normalization: y = affine(scaling(normalize(centering(x)))), with gated batch statistics.

    centering     x_c  = x + center_weight * m                      m (N, C): the mean of x over H, W
    normalize     x_s  = (x_c - mean) / sqrt(var + eps)
    scaling       x_cs = x_s * sigmoid(scale_weight * k + scale_bias)
                  k = mean over H, W of x_s ("representative"), or m ("instance")
    affine        weight * x_cs + bias ("pointwise"), or the depthwise K x K convolution of x_cs ("depthwise")

    In training, with c(x) the mean cosine similarity between the samples of x,
        s = c(x) the first time, then (1 - similarity_momentum) * s + similarity_momentum * c(x)
    and where s > threshold, or there was no pair of samples yet, or no accepted batch, mean and var are the batch's,
    and the running ones move by `momentum`; else they are the running ones, as constants, and stay. In evaluation
    they are the running ones. Both momenta are PyTorch's: new = (1 - momentum) * old + momentum * observed.

    A batch that is not finite moves neither s nor the running statistics; its output shows it.
    Under torch.distributed, s uses the mean of the processes' similarities, so that all decide alike: each training
    batch of a layer with a gate is then a collective.

    Args:
        num_features: C.
        momentum: None averages over all accepted batches, as in nn.BatchNorm2d.
        threshold: None switches the gate off: always the batch's statistics, as BN.
        kernel_size: K, of the depthwise convolution, odd; zero padding. Its weight starts as the identity.
        process_group: whose gates decide alike; None means everyone's. Not copied by copy.deepcopy, and not pickled.
        local: True decides by this process's samples alone, without any communication.
    Shapes: x, y (N, C, H, W). Parameters: `center_weight`, `scale_weight`, `scale_bias` (C,); `weight` (C,), or
        (C, 1, K, K) when depthwise; `bias` (C,).
        Buffers: `running_mean`, `running_var` (C,), `running_similarity` (), `num_batches_tracked` (): the accepted
        batches. `gate_open` (): whether the last training batch's statistics were used.
    Raises: ValueError for options of a wrong type or outside their range, an input that is not (N, C, H, W), a
        training batch with one value per channel.
    Source: arXiv 2311.15993, section 3.3.
    """

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
        require(is_one_of(affine, AFFINES), f"affine in {AFFINES}", affine)
        odd = is_integer(kernel_size) and kernel_size >= 1 and kernel_size % 2 == 1
        require(odd, "kernel_size is an odd and positive integer", kernel_size)
        self.affine: Affine = affine  # type: ignore[assignment]
        self.kernel_size = kernel_size
        self.weight = self.bias = None
        if affine is not None:
            kernel = (1, kernel_size, kernel_size) if affine == "depthwise" else ()
            self.weight = nn.Parameter(torch.empty(num_features, *kernel, device=device, dtype=dtype))
            self.bias = nn.Parameter(torch.empty(num_features, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Starts where BN starts: no centering, constant scaling, weight 1 or the identity kernel, bias 0."""
        super().reset_parameters()
        if self.weight is None or self.bias is None:
            return
        nn.init.zeros_(self.bias)
        if self.affine == "pointwise":
            nn.init.ones_(self.weight)
        else:
            centre = self.kernel_size // 2
            with torch.no_grad():
                self.weight.zero_()[:, :, centre, centre] = 1.0

    def forward(self, x: Float[torch.Tensor, "N C H W"]) -> Float[torch.Tensor, "N C H W"]:
        self._check_input(x)
        return self._normalized(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        kernel = f", kernel_size={self.kernel_size}" if self.affine == "depthwise" else ""
        return f"{super().extra_repr()}, affine={self.affine!r}{kernel}"
