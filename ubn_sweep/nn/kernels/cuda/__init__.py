"""The kernels for a GPU: launchers of Triton kernels. `plain` says what each of them computes.

What they do not take goes to `plain`: inputs that are dense in no layout or too large, other kernel sizes than 1, 3 and
5, a similarity that is missing, a decision that is remembered, statistics shared with other processes.
"""

from ubn_sweep.nn.kernels.cuda.backward import combine, finalize, reduce
from ubn_sweep.nn.kernels.cuda.forward import moments, rectify, settle, similarity, sum_of_directions
from ubn_sweep.nn.kernels.cuda.probing import probe
from ubn_sweep.nn.kernels.cuda.tensors import takes

__all__ = [
    "combine",
    "finalize",
    "moments",
    "probe",
    "rectify",
    "reduce",
    "settle",
    "similarity",
    "sum_of_directions",
    "takes",
]
