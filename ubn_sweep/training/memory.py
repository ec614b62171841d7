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
