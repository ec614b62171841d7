"""Memory between two trainings in one process."""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping
from typing import Any


def release_memory() -> None:
    """Collects what the training before left in cycles, and gives unused GPU memory back to others on the GPU."""
    gc.collect()
    torch = sys.modules.get("torch")  # where nothing has imported it, there is nothing to give back
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def out_of_memory_in_words(error: Exception, config: Mapping[str, Any]) -> str:
    """`out of memory`, with the batch size of a plain config where it has one, and the first line of the error."""
    batch_size = config.get("training", {}).get("batch_size")
    with_batch = "" if batch_size is None else f" with training.batch_size {batch_size}"
    return f"out of memory{with_batch}: {str(error).partition(chr(10))[0]}"


def is_out_of_memory(error: Exception) -> bool:
    """Whether there was not enough memory, of the machine or of a GPU."""
    # PyTorch's own class goes by this name; without PyTorch nothing else does. Of a CPU it has none.
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error))
    )
