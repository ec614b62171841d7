"""The feature condensation threshold: whether a batch's statistics are used. Nothing waits for the device."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from ubn_sweep.nn.shapes import Bool, Float


UNSEEN = -0.0
"""No similarity: of running_similarity before the first, and of a batch where no process has a pair.

No cosine yields it (a difference of equal numbers is +0.0), and it compares as zero.
"""


class Gate(NamedTuple):
    """similarity: the running one, moved. open: use the batch's statistics; accept: and move the running."""

    similarity: Tensor
    open: Tensor
    accept: Tensor


def decide(
    observed: Float[Tensor, ""] | None,
    var: Float[Tensor, " C"],
    running_similarity: Float[Tensor, ""],
    accepted_batches: Tensor,
    threshold: float,
    similarity_momentum: float,
) -> Gate:
    """s = observed the first time, else (1 - momentum) * s + momentum * observed.

    open = s > threshold, or no similarity was seen yet, or no batch has been accepted yet.

    observed: None or UNSEEN where the batch has no pair; s then stays. A batch that is not finite does not move s.
    Source: arXiv 2311.15993, section 3.3.1.
    """
    s = running_similarity.to(var.dtype)
    if observed is None:
        finite = torch.isfinite(var.sum())
    else:
        finite = torch.isfinite(observed)
        # Adding zero turns a mean that has vanished from below, which would be UNSEEN, into 0.0.
        moved = torch.where(is_unseen(s), observed, torch.lerp(s, observed, similarity_momentum)) + 0.0
        s = torch.where(finite & ~is_unseen(observed), moved, s)
    is_open = (s > threshold) | is_unseen(s) | (accepted_batches == 0)
    return Gate(s, is_open, is_open & finite)


def is_unseen(similarity: Float[Tensor, ""]) -> Bool[Tensor, ""]:
    """Whether it is UNSEEN, which no batch with a pair leaves behind; compiled kernels test its sign likewise."""
    return (similarity == 0) & torch.signbit(similarity)


def in_recomputation() -> bool:
    """Whether this forward pass runs inside a backward pass, as activation checkpointing's second does."""
    if torch.compiler.is_compiling():
        return False
    return torch._C._current_graph_task_id() != -1
