"""The passes over the data, in the form that suits the tensors."""

from __future__ import annotations

from types import ModuleType

from torch import Tensor

from ubn_sweep.nn.kernels import plain


def kernels_for(*tensors: Tensor) -> ModuleType:
    """The fastest set of kernels that can take these tensors: `plain` can take any."""
    return plain
