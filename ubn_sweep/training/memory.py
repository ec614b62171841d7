"""Memory between two trainings in one process."""

from __future__ import annotations

import gc
import sys


def release_memory() -> None:
    """Collects what the training before left in cycles, and gives unused GPU memory back to others on the GPU."""
    gc.collect()
    torch = sys.modules.get("torch")  # where nothing has imported it, there is nothing to give back
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def is_out_of_memory(error: Exception) -> bool:
    """Whether there was not enough memory, of the machine or of a GPU."""
    # PyTorch's own class goes by this name; without PyTorch nothing else does.
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
