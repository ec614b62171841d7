"""The kernels for CUDA tensors: thin launchers of the Triton kernels beside this. `plain` says what each computes.

Nothing waits for the device. What the kernels do not take goes to `plain`: inputs that are dense in no layout,
a similarity that is missing, a decision that is remembered, statistics shared with other processes.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ubn_sweep.nn.kernels import plain
from ubn_sweep.nn.kernels.interface import (
    Coefficients,
    GateOptions,
    GateState,
    Gradients,
    Rectifiers,
    Statistics,
    Sums,
)
from ubn_sweep.nn.kernels.triton_backward import combine_kernel, reduce_kernel
from ubn_sweep.nn.kernels.triton_depthwise import (
    combine_depthwise_kernel,
    rectify_depthwise_kernel,
    reduce_depthwise_kernel,
)
from ubn_sweep.nn.kernels.triton_finalize import finalize_kernel
from ubn_sweep.nn.kernels.triton_forward import directions_kernel, moments_kernel, rectify_kernel
from ubn_sweep.nn.kernels.triton_small import (
    decide_kernel,
    norms_kernel,
    settle_kernel,
    similarity_kernel,
    slots_kernel,
)
from ubn_sweep.nn.kernels.triton_tiles import (
    directions_tile,
    pointwise_tile,
    row_tile,
    samples_per_program,
    small_tile,
)

if TYPE_CHECKING:
    from ubn_sweep.nn.shapes import Bool, Float

KERNEL_SIZES = (1, 3, 5)
STATISTICS = (torch.float32, torch.float64)
TYPES = (torch.float16, torch.bfloat16, *STATISTICS)


def takes(*tensors: Tensor) -> bool:
    return all(t.is_cuda and t.dtype in TYPES for t in tensors)


def _on_device_of(x: Tensor) -> AbstractContextManager[Any]:
    """Triton launches on the current device, whatever its arguments."""
    if not x.is_cuda or x.device.index == torch.cuda.current_device():
        return nullcontext()
    return torch.cuda.device(x.device)


def _is_dense(x: Tensor) -> bool:
    return x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last)


def _channels_last(x: Tensor) -> bool:
    return not x.is_contiguous()


def _takes(x: Tensor, R: Rectifiers) -> bool:
    kernel = R.weight.shape[-1] if R.weight is not None and R.depthwise else 1
    return x.numel() > 0 and _is_dense(x) and kernel in KERNEL_SIZES


def moments(x: Float[Tensor, "N C H W"]) -> tuple[Float[Tensor, "N C"], Float[Tensor, "N C"]]:
    """m = mean_hw(x) and v = mean_hw((x - m)**2). One read of x."""
    if x.numel() == 0 or not _is_dense(x):
        return plain.moments(x)
    N, C, H, W = x.shape
    CL = _channels_last(x)
    m = torch.empty((N, C), dtype=plain.accumulation_dtype(x), device=x.device)
    v = torch.empty_like(m)
    BP, BC, blocks = pointwise_tile(N, C, H * W, CL)
    with _on_device_of(x):
        moments_kernel[(N, blocks)](x, m, v, N, C, H * W, CL=CL, BP=BP, BC=BC)
    return m, v


def _inverse_norms(x: Tensor, m: Tensor, v: Tensor) -> Tensor:
    N, C = m.shape
    inverse_norm = m.new_empty(N)
    norms_kernel[(N,)](m, v, inverse_norm, N, C, x.shape[2] * x.shape[3], BC=1024)
    return inverse_norm


def _directions(x: Tensor, inverse_norm: Tensor, whole: bool) -> Tensor:
    """u, or the parts of |u|**2. One read of x."""
    N, K = x.shape[0], x[0].numel()
    BN, BK, programs = directions_tile(N, K)
    out = inverse_norm.new_empty(K if whole else programs)
    directions_kernel[(programs,)](x, inverse_norm, out, N, K, WHOLE=whole, BN=BN, BK=BK)
    return out


def sum_of_directions(
    x: Float[Tensor, "N C H W"], m: Float[Tensor, "N C"], v: Float[Tensor, "N C"]
) -> tuple[Float[Tensor, " K"], Float[Tensor, ""]]:
    """u = sum_i x_i / |x_i| and the number of samples that are not zero; K in the order of memory."""
    if x.numel() == 0 or not _is_dense(x):
        return plain.sum_of_directions(x, m, v)
    with _on_device_of(x):
        inverse_norm = _inverse_norms(x, m, v)
        return _directions(x, inverse_norm, True), inverse_norm.count_nonzero().to(m.dtype)


def similarity(
    x: Float[Tensor, "N C H W"], m: Float[Tensor, "N C"], v: Float[Tensor, "N C"]
) -> Float[Tensor, ""]:
    """c(x), without u ever in memory. One read of x."""
    if x.numel() == 0 or not _is_dense(x):
        return plain.similarity(x, m, v)
    found = m.new_empty(())
    with _on_device_of(x):
        inverse_norm = _inverse_norms(x, m, v)
        parts = _directions(x, inverse_norm, False)
        similarity_kernel[(1,)](parts, inverse_norm, found, x.shape[0], parts.shape[0], B=1024)
    return found


def settle(
    m: Float[Tensor, "N C"],
    v: Float[Tensor, "N C"],
    similarity: Float[Tensor, ""] | None,
    center: Float[Tensor, " C"] | None,
    state: GateState,
    options: GateOptions,
    elements: float,
    decided: Bool[Tensor, ""] | None = None,
) -> tuple[Statistics, Bool[Tensor, ""]]:
    """The decision in one program, then the statistics; the state moves in place."""
    gated = options.threshold is not None
    buffers = (state.running_mean, state.running_var, state.running_similarity)
    known = all(buffer.dtype in STATISTICS and buffer.is_contiguous() for buffer in buffers)
    if not known or m.numel() == 0 or decided is not None or (gated and similarity is None):
        return plain.settle(m, v, similarity, center, state, options, elements, decided)
    N, C = m.shape
    flags, (mean, rstd) = m.new_empty(3), m.new_empty((2, C)).unbind(0)
    is_open = torch.empty((), dtype=torch.bool, device=m.device)
    BN, BC, programs = small_tile(N, C, 4096)
    with _on_device_of(m):
        decide_kernel[(1,)](
            similarity if gated else None,
            state.running_similarity,
            state.num_batches_tracked,
            flags,
            is_open,
            options.threshold or 0.0,
            options.similarity_momentum,
            options.momentum or 0.0,
            GATED=gated,
            CUMULATIVE=options.momentum is None,
            num_warps=1,
        )
        settle_kernel[(programs,)](
            m,
            v,
            center,
            flags,
            state.running_mean,
            state.running_var,
            mean,
            rstd,
            N,
            C,
            options.eps,
            elements / (elements - 1),
            BN=BN,
            BC=BC,
            num_warps=8,
        )
    return Statistics(mean, rstd, flags[0] if gated else 1.0, elements), is_open


def _vectors(statistics: Statistics, R: Rectifiers) -> tuple[Tensor | None, ...]:
    """(mean, rstd, center, scale, scale_bias), as the kernels want them: contiguous."""
    values = (statistics.mean, statistics.rstd, R.center, R.scale, R.scale_bias)
    return tuple(None if value is None else value.contiguous() for value in values)


def _contiguous(values: tuple[Tensor | None, Tensor | None]) -> tuple[Tensor | None, Tensor | None]:
    first, second = values
    return None if first is None else first.contiguous(), None if second is None else second.contiguous()


def rectify(
    x: Float[Tensor, "N C H W"], m: Float[Tensor, "N C"], statistics: Statistics, R: Rectifiers
) -> Float[Tensor, "N C H W"]:
    """y = affine(r * (rstd * (x - m) + z)), in the type and layout of x. One read, one write."""
    if not _takes(x, R):
        return plain.rectify(x, m, statistics, R)
    N, C, H, W = x.shape
    CL, y, m = _channels_last(x), torch.empty_like(x), m.contiguous()
    weight, bias = _contiguous((R.weight, R.bias))
    vectors = _vectors(statistics, R)
    with _on_device_of(x):
        if R.depthwise:
            tile = row_tile(C, H, W, CL, R.weight.shape[-1])  # type: ignore[union-attr]
            sizes = (N, C, H, W, tile.run, tile.segments)
            rectify_depthwise_kernel[(N, tile.blocks, tile.segments * tile.runs)](
                x, y, m, *vectors, weight, bias, *sizes, INSTANCE=R.instance_scaling, CL=CL, **tile.options
            )
        else:
            BP, BC, blocks = pointwise_tile(N, C, H * W, CL)
            run = 4 * BP
            rectify_kernel[(N, blocks, -(-H * W // run))](
                x,
                y,
                m,
                *vectors,
                weight,
                bias,
                N,
                C,
                H * W,
                run,
                INSTANCE=R.instance_scaling,
                PER_SAMPLE=R.per_sample,
                CL=CL,
                BP=BP,
                BC=BC,
            )
    return y


def reduce(
    gy: Float[Tensor, "N C H W"],
    x: Float[Tensor, "N C H W"],
    m: Float[Tensor, "N C"],
    statistics: Statistics,
    R: Rectifiers,
) -> Sums:
    """sum_hw(g) and sum_hw(g * (x - m)). One read of gy and x; g itself is gy, and `combine` convolves it again."""
    if not _takes(x, R):
        return plain.reduce(gy, x, m, statistics, R)
    m = m.contiguous()
    if R.weight is not None and R.depthwise:
        return _reduce_depthwise(gy, x, m, statistics, R, R.weight)
    N, C, H, W = x.shape
    CL = _channels_last(x)
    S, D = m.new_empty((2, N, C)).unbind(0)
    BP, BC, blocks = pointwise_tile(N, C, H * W, CL)
    with _on_device_of(x):
        reduce_kernel[(N, blocks)](gy, x, m, S, D, N, C, H * W, CL=CL, BP=BP, BC=BC)
    return Sums(gy, S, D, None, None)


def _reduce_depthwise(
    gy: Tensor, x: Tensor, m: Tensor, statistics: Statistics, R: Rectifiers, weight: Tensor
) -> Sums:
    N, C, H, W = x.shape
    CL, kernel = _channels_last(x), weight.shape[-1]
    tile = row_tile(C, H, W, CL, kernel)
    samples = samples_per_program(N, tile.segments * tile.blocks)
    slots = -(-N // samples) * tile.segments
    sums = m.new_empty((tile.segments, 2, N, C))
    partial = m.new_empty((slots, kernel * kernel + 1, C))
    grad_weight, grad_bias = m.new_empty((C, 1, kernel, kernel)), m.new_empty(C)
    sizes = (N, C, H, W, samples, tile.segments)
    with _on_device_of(x):
        reduce_depthwise_kernel[(slots, tile.blocks)](
            gy,
            x,
            m,
            *_vectors(statistics, R),
            weight.contiguous(),
            sums,
            partial,
            *sizes,
            INSTANCE=R.instance_scaling,
            CL=CL,
            **tile.options,
        )
        slots_kernel[(-(-C // 64), kernel * kernel + 1)](
            partial, grad_weight, grad_bias, slots, C, TAPS=kernel * kernel, BS=32, BC=64
        )
        S, D = (sums[0] if tile.segments == 1 else sums.sum(0)).unbind(0)
    return Sums(gy, S, D, grad_weight, None if R.bias is None else grad_bias)


def finalize(
    sums: Sums, m: Float[Tensor, "N C"], statistics: Statistics, R: Rectifiers, M: int
) -> tuple[Coefficients, Gradients]:
    """From the sums over H, W to the parameters' gradients and what the gradient by x is made of. One launch."""
    flow, elements = statistics.flow, statistics.elements
    if statistics.group is not None or isinstance(elements, Tensor) or R.per_sample or m.numel() == 0:
        return plain.finalize(sums, m, statistics, R, M)
    N, C = m.shape
    weight, bias = _contiguous(R.pointwise)
    pivot, scale, shift = m.new_empty((3, N, C)).unbind(0)
    slope, *gradients = m.new_empty((6, C)).unbind(0)
    wanted = (R.center, R.scale, R.scale_bias, weight, bias)
    by = Gradients(*(None if p is None else g for p, g in zip(wanted, gradients, strict=True)))
    BN, BC, programs = small_tile(N, C, 2048)
    with _on_device_of(m):
        finalize_kernel[(programs,)](
            m.contiguous(),
            sums.total,
            sums.product,
            *_vectors(statistics, R)[:2],
            flow if isinstance(flow, Tensor) else None,
            *_vectors(statistics, R)[2:],
            weight,
            pivot,
            scale,
            shift,
            slope,
            *by,
            N,
            C,
            M,
            elements,
            0.0 if isinstance(flow, Tensor) else flow,
            INSTANCE=R.instance_scaling,
            BN=BN,
            BC=BC,
            num_warps=8,
        )
    return Coefficients(pivot, scale, slope, shift), by


def combine(
    sums: Sums, x: Float[Tensor, "N C H W"], m: Float[Tensor, "N C"], by: Coefficients, R: Rectifiers
) -> Float[Tensor, "N C H W"]:
    """gx = (g - g_pivot) * g_scale + (x - m) * x_scale + shift. One read of gy and x, one write."""
    if not _takes(x, R):
        return plain.combine(sums, x, m, by, R)
    N, C, H, W = x.shape
    CL, gx = _channels_last(x), torch.empty_like(x)
    small = tuple(
        value.contiguous() for value in (m, by.g_pivot, by.g_scale.expand_as(m), by.shift, by.x_scale)
    )
    with _on_device_of(x):
        if R.weight is not None and R.depthwise:
            tile = row_tile(C, H, W, CL, R.weight.shape[-1])
            sizes = (N, C, H, W, tile.run, tile.segments)
            combine_depthwise_kernel[(N, tile.blocks, tile.segments * tile.runs)](
                sums.g, x, gx, *small, R.weight.contiguous(), *sizes, CL=CL, **tile.options
            )
        else:
            BP, BC, blocks = pointwise_tile(N, C, H * W, CL)
            run = 4 * BP
            combine_kernel[(N, blocks, -(-H * W // run))](
                sums.g, x, gx, *small, N, C, H * W, run, CL=CL, BP=BP, BC=BC
            )
    return gx
