"""BLAS on one thread: matrices of a sweep are small, and threads that wait for busy cores cost seconds."""

import functools
from contextlib import AbstractContextManager

from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]


def one_thread() -> AbstractContextManager[object]:
    """Inside, matrices are multiplied and solved by one thread."""
    return _thread_pools().limit(limits=1, user_api="blas")


@functools.cache
def _thread_pools() -> ThreadpoolController:
    """Looks through all loaded libraries, once."""
    return ThreadpoolController()
