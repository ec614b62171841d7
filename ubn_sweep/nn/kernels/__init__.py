"""The passes over the data, in the form that suits the tensors."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from types import ModuleType

import torch
from torch import Tensor

from ubn_sweep.nn.kernels import plain

TYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def kernels_for(*tensors: Tensor) -> ModuleType:
    """The fastest set of kernels that can take these tensors: `plain` can take any."""
    if tensors[0].is_cuda and _are_ordinary(tensors):
        return _for_cuda()
    return plain


def _are_ordinary(tensors: tuple[Tensor, ...]) -> bool:
    """Neither fake nor wrapped nor traced: a compiler sees through `plain` alone."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    return all(type(t) in (Tensor, torch.nn.Parameter) and t.is_cuda and t.dtype in TYPES for t in tensors)


@cache
def _for_cuda() -> ModuleType:
    """Triton comes with PyTorch's CUDA builds for Linux, not with all others."""
    if find_spec("triton") is None:
        return plain
    from ubn_sweep.nn.kernels import cuda

    return cuda
