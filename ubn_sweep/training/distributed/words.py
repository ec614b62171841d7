"""What rank 0 tells the workers behind it: words, in order, beside the exchanges of the training.

An exchange has a time-out, and the sweep may take its time to answer a report: a worker that waits for a decision
waits here, for as long as rank 0 lives.
"""

from __future__ import annotations

import time

import torch.distributed as dist

OVER = "over"
"""There is nothing more to do: the training ended, or was stopped."""
LISTEN_S = 0.01
"""How often a worker that listens asks; PyTorch's own wait prints a warning whenever its time is over."""


class OverError(BaseException):
    """Leaves a task's `train` from within. No Exception, so that the task does not catch it by chance."""


class Speaker:
    """Rank 0's side."""

    def __init__(self, store: dist.Store) -> None:
        self._store = store
        self._told = 0

    def tell(self, word: str) -> None:
        self._store.set(f"word/{self._told}", word)
        self._told += 1


class Listener:
    """The side of a worker behind it."""

    def __init__(self, store: dist.Store) -> None:
        self._store = store
        self._heard = 0

    def hear(self) -> str:
        """The next word.

        Raises:
            OverError: it is OVER.
            torch.distributed.DistNetworkError: rank 0 is gone.
        """
        key = f"word/{self._heard}"
        while not self._store.check([key]):
            time.sleep(LISTEN_S)
        self._heard += 1
        word = self._store.get(key).decode()
        if word == OVER:
            raise OverError
        return word
