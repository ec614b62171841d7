"""How many images a sweep's validation split holds: as its trials recorded it, or as the dataset's config tells."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

COUNT = "metrics.val_examples"
TRAINING_SETS = {"digits": 1437, "cifar10": 50_000, "cifar100": 50_000}
"""Of digits, 1,797 in all, a fifth is the test set."""


def counted_examples(table: pa.Table) -> int | None:
    """What the epochs of the trials recorded; None in a journal from before they did."""
    if COUNT not in table.column_names:
        return None
    largest = pc.max(table[COUNT]).as_py()
    return None if largest is None else round(largest)


def estimated_examples(dataset: dict[str, Any]) -> int | None:
    """The share held out, of the training set or of the subset that the config names; None where neither is known.

    Rounded over the whole set, while the split rounds class by class: a few images more or less.
    """
    total = dataset.get("train_examples")
    if total is None:
        total = TRAINING_SETS.get(dataset.get("name", ""))
    fraction = dataset.get("validation_fraction")
    if total is None or fraction is None:
        return None
    return max(1, round(total * fraction))
