"""The kernels for float32 and float64 on a CPU: loops compiled by numba."""

from ubn_sweep.nn.kernels.cpu.arrays import takes
from ubn_sweep.nn.kernels.cpu.backward import combine, finalize, reduce
from ubn_sweep.nn.kernels.cpu.forward import moments, rectify, settle, similarity, sum_of_directions

__all__ = [
    "combine",
    "finalize",
    "moments",
    "rectify",
    "reduce",
    "settle",
    "similarity",
    "sum_of_directions",
    "takes",
]
