"""How many examples a sweep's validation split holds, as its trials counted them."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from ubn_sweep.records.metrics import Metric


def counted_examples(table: pa.Table, metric: Metric) -> int | None:
    """What the epochs recorded beside a share; None for other metrics, and in a journal from before they did."""
    column = f"metrics.{metric.count}"
    if metric.count is None or column not in table.column_names:
        return None
    largest = pc.max(table[column]).as_py()
    return None if largest is None else round(largest)
