"""Encoded images in Parquet shards, read a row group at a time as they are asked for."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from ubn_sweep.errors import UserError
from ubn_sweep.training.data.batch_order import OPEN_IMAGES, OPEN_STRETCHES
from ubn_sweep.training.data.parquet_layout import layout_of


class ParquetRows:
    """A source of images. Each process keeps the row groups that it reads from at the time."""

    def __init__(self, shards: Sequence[Path]) -> None:
        self._shards = [str(shard) for shard in shards]
        self._columns = [layout_of(shard).image for shard in shards]
        groups = [
            (number, group, metadata.row_group(group).num_rows)
            for number, shard in enumerate(shards)
            for metadata in [pq.read_metadata(shard)]
            for group in range(metadata.num_row_groups)
        ]
        self._shard_of = np.array([number for number, _, _ in groups])
        self._group_of = np.array([group for _, group, _ in groups])
        self._ends = np.cumsum([rows for _, _, rows in groups], dtype=np.int64)
        most = max((rows for _, _, rows in groups), default=1)
        # One more than a batch order holds open, where all are of one size.
        self._keeps = max(OPEN_STRETCHES, -(-OPEN_IMAGES // max(most, 1))) + 1
        self._open: OrderedDict[int, Any] = OrderedDict()

    @property
    def stretches(self) -> npt.NDArray[np.int64]:
        """The row groups' ends."""
        return self._ends

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": OrderedDict()}

    def open(self, position: int) -> io.BytesIO:
        """The encoded image of a row.

        Raises:
            UserError: it is only a path.
        """
        group = int(np.searchsorted(self._ends, position, side="right"))
        begin = int(self._ends[group - 1]) if group else 0
        encoded = self._column(group)[position - begin].as_py()
        if encoded is None:
            raise UserError(
                f"dataset.root: images must lie in the Parquet files, but that of {self.name(position)} is only a "
                "path: save the dataset with its images embedded"
            )
        return io.BytesIO(encoded)

    def name(self, position: int) -> str:
        """`row 3 of FILE`, counted in its file."""
        group = int(np.searchsorted(self._ends, position, side="right"))
        shard = int(self._shard_of[group])
        first = int(np.searchsorted(self._shard_of, shard))
        begin = int(self._ends[first - 1]) if first else 0
        return f"row {position - begin} of {self._shards[shard]}"

    def _column(self, group: int) -> Any:
        """The encoded images of a row group; those read from longest ago go first."""
        if group in self._open:
            self._open.move_to_end(group)
            return self._open[group]
        shard = int(self._shard_of[group])
        name = self._columns[shard]
        with pq.ParquetFile(self._shards[shard], memory_map=True) as file:
            column = file.read_row_group(int(self._group_of[group]), columns=[f"{name}.bytes"])[name]
        self._open[group] = column.combine_chunks().field("bytes")
        while len(self._open) > self._keeps:
            self._open.popitem(last=False)
        return self._open[group]
