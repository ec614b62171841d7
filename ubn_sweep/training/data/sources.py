"""Encoded images that do not fit into memory, by their position: files, or several sources one after another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Protocol, overload

import numpy as np
import numpy.typing as npt


class Source(Protocol):
    """Where encoded images come from. It is copied into the processes that decode them, and is small."""

    @property
    def stretches(self) -> npt.NDArray[np.int64] | None:
        """Where stretches end that are read as a whole, ascending; None where each image is read by itself."""
        ...

    def __len__(self) -> int: ...

    def open(self, position: int) -> str | IO[bytes]:
        """A file's path, or its content."""
        ...

    def name(self, position: int) -> str:
        """For messages: `path`, or `row 3 of path`."""
        ...


class PackedPaths(Sequence[Path]):
    """Paths as one array of bytes: a million of them in a hundred megabytes, which processes share untouched."""

    stretches = None

    def __init__(self, paths: Iterable[str]) -> None:
        encoded = [path.encode(errors="surrogateescape") for path in paths]
        self._ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        self._bytes = np.frombuffer(b"".join(encoded), dtype=np.uint8)

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, position: int) -> Path: ...
    @overload
    def __getitem__(self, position: slice) -> list[Path]: ...
    def __getitem__(self, position: int | slice) -> Path | list[Path]:
        if isinstance(position, slice):
            return [self[i] for i in range(*position.indices(len(self)))]
        return Path(self.open(range(len(self))[position]))

    def open(self, position: int) -> str:
        """The path itself."""
        begin, end = self._ends[position : position + 2]
        return self._bytes[begin:end].tobytes().decode(errors="surrogateescape")

    def name(self, position: int) -> str:
        """The same."""
        return self.open(position)


class Joined:
    """Two sources, one behind the other."""

    def __init__(self, first: Source, second: Source) -> None:
        self._first, self._second = first, second

    @property
    def stretches(self) -> npt.NDArray[np.int64] | None:
        """Those of both, where both have any."""
        ends = self._first.stretches, self._second.stretches
        if ends[0] is None or ends[1] is None:
            return None
        return np.concatenate([ends[0], ends[1] + len(self._first)])

    def __len__(self) -> int:
        return len(self._first) + len(self._second)

    def open(self, position: int) -> str | IO[bytes]:
        """Of the one that has it."""
        source, at = self._place(position)
        return source.open(at)

    def name(self, position: int) -> str:
        """Of the one that has it."""
        source, at = self._place(position)
        return source.name(at)

    def _place(self, position: int) -> tuple[Source, int]:
        border = len(self._first)
        return (self._first, position) if position < border else (self._second, position - border)


def some_positions(source: Source, positions: npt.NDArray[np.int64], count: int, stretches: int) -> list[int]:
    """At most `count` of the positions, evenly spaced; where stretches are read as a whole, out of at most so many."""
    ends = source.stretches
    if ends is not None:
        inside = np.searchsorted(ends, positions, side="right")
        there = np.unique(inside)
        chosen = there[:: -(-len(there) // stretches)]
        positions = positions[np.isin(inside, chosen)]
    return [int(i) for i in positions[:: max(1, -(-len(positions) // count))]]
