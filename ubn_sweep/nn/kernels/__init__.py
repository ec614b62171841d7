"""The passes over the data, in the form that suits the tensors."""

from __future__ import annotations

import os
import warnings
from functools import cache

import torch
from torch import Tensor
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from ubn_sweep.nn.kernels import plain
from ubn_sweep.nn.kernels.interface import Kernels

SWITCH = "UBN_SWEEP_KERNELS"
"""An environment variable: `plain` computes all with PyTorch's own operations."""


def kernels_for(*tensors: Tensor) -> Kernels:
    """The fastest set of kernels that can take these tensors; `plain` can take any."""
    if _observed() or any(type(t) not in (Tensor, torch.nn.Parameter) for t in tensors):
        return plain
    kind = "switched off" if _switched_off() else tensors[0].device.type
    chosen = _cpu() if kind == "cpu" else _cuda() if kind == "cuda" else None
    return plain if chosen is None or not chosen.takes(*tensors) else chosen


def _observed() -> bool:
    """Whether somebody wants to see the operations: a compiler, a tracer, a dispatch mode."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing() or is_in_torch_dispatch_mode()


@cache
def _switched_off() -> bool:
    return os.environ.get(SWITCH) == "plain"


@cache
def _cpu() -> Kernels | None:
    """None where numba is not installed: the layers need torch alone."""
    try:
        from ubn_sweep.nn.kernels import cpu
    except ImportError:
        return None
    return cpu


@cache
def _cuda() -> Kernels | None:
    """None where Triton is missing: it comes with PyTorch's CUDA builds for Linux, not with all others. And where it
    cannot work, for want of a C compiler for example, which it asks for at its first use: that is told once."""
    try:
        from ubn_sweep.nn.kernels import cuda

        cuda.probe()
    except ImportError:
        return None
    except Exception as error:  # whatever keeps Triton from working
        reason = next(iter(str(error).splitlines()), "")
        warnings.warn(
            f"Triton cannot be used ({type(error).__name__}: {reason}), so the layers take PyTorch's own operations, "
            f"which is slower: install a C compiler such as gcc, or set {SWITCH}=plain",
            stacklevel=2,
        )
        return None
    return cuda
