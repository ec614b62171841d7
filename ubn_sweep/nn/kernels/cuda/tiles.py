"""How the Triton kernels cut their work: from sizes to blocks, by rule, since measuring would hold up the first step.

Blocks are powers of two. The numbers are meant for a GPU with some 130 multiprocessors: a few programs for each,
16-byte accesses where half precision lies channels_last, and registers for two or three programs at a time.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

TILE = 4096
"""Elements that a program of four warps holds at a time."""
ROW_TILE = 512
"""The same where each element brings K * K running sums along."""
PROGRAMS = 528
"""Enough to fill the multiprocessors: four each."""


class RowTile(NamedTuple):
    """BX columns times BC channels; segments, blocks and runs (of `run` rows) cover W, C and H."""

    segments: int
    blocks: int
    runs: int
    run: int
    options: dict[str, Any]


def power_of_two(n: int) -> int:
    """The least one that is not below n."""
    return 1 << max(n - 1, 0).bit_length()


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)


@lru_cache(maxsize=1024)
def pointwise_tile(N: int, C: int, HW: int, CL: bool) -> tuple[int, int, int]:
    """(pixels, channels, channel blocks); few channels where that is what fills the machine."""
    if CL:
        BC = min(power_of_two(C), max(64, TILE // power_of_two(HW)), TILE)
        while BC > 16 and N * ceil_div(C, BC) < PROGRAMS:
            BC //= 2
        BP = min(power_of_two(HW), max(TILE // BC, 1))
    else:
        BP = min(power_of_two(HW), 1024, TILE)
        BC = min(power_of_two(C), TILE // BP)
        while BC > 1 and N * ceil_div(C, BC) < PROGRAMS:
            BC //= 2
    return BP, BC, ceil_div(C, BC)


@lru_cache(maxsize=1024)
def directions_tile(N: int, CHW: int) -> tuple[int, int, int]:
    """(samples at a time, positions, programs)."""
    BP = min(512, TILE, power_of_two(CHW))
    while BP > 64 and ceil_div(CHW, BP) < PROGRAMS // 2:
        BP //= 2
    return min(power_of_two(N), max(TILE // BP, 1)), BP, ceil_div(CHW, BP)


@lru_cache(maxsize=1024)
def small_tile(N: int, C: int, elements: int) -> tuple[int, int, int]:
    """(samples at a time, channels, programs) over (N, C)."""
    BC = min(16, power_of_two(C))
    return min(power_of_two(N), max(min(elements, TILE) // BC, 1)), BC, ceil_div(C, BC)


@lru_cache(maxsize=1024)
def row_tile(C: int, H: int, W: int, CL: bool, kernel: int) -> RowTile:
    """Four rows at a time; `run` of some sixteen rows, so that few are loaded twice."""
    BX = min(power_of_two(W), 8 if CL else 32, ROW_TILE)
    BC = min(power_of_two(C), ROW_TILE // BX)
    rows = min(4, power_of_two(H))
    runs = ceil_div(H, 16)
    run = ceil_div(ceil_div(H, runs), rows) * rows
    # A larger kernel brings more running sums per element: fewer elements per thread.
    options = {"KERNEL": kernel, "ROWS": rows, "BX": BX, "BC": BC, "num_warps": 8 if kernel > 3 else 4}
    return RowTile(ceil_div(W, BX), ceil_div(C, BC), ceil_div(H, run), run, options)


def samples_per_program(N: int, programs: int) -> int:
    """How many samples a program sums over, where each sample has that many programs."""
    return max(1, min(16, N * programs // (4 * PROGRAMS)))
