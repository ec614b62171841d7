"""Hugging Face's image layout in Parquet: which files are a part, and which columns hold images and labels."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from ubn_sweep.errors import UserError
from ubn_sweep.training.data.dataset import Part

USUAL_IMAGE_NAMES = ("img", "image")
USUAL_LABEL_NAMES = ("label", "labels", "fine_label")
TEST_PREFIXES = ("test", "validation", "valid", "val")
"""A published dataset without a test split calls the set that results are told on `validation`."""


@dataclass(frozen=True, kw_only=True)
class ParquetLayout:
    """The columns of a shard that matter."""

    image: str
    """A struct with the encoded image in its field `bytes`."""
    label: str
    """Integers from 0."""
    class_names: tuple[str, ...] | None
    """From the schema's metadata; None where it names none."""


def shards_of(root: Path, part: Part, *, own_validation: bool = False) -> list[Path]:
    """The shards of a part. With a validation set of its own, `validation` cannot be the test set.

    Raises:
        UserError: there is none.
    """
    if part == "train":
        return _shards(root, ["train"], what="training")
    if part == "validation":
        return _shards(root, TEST_PREFIXES[1:], what="validation")
    return _shards(root, TEST_PREFIXES[:1] if own_validation else TEST_PREFIXES, what="test")


def layout_of(path: Path) -> ParquetLayout:
    """Finds the columns by their types and by the metadata under `huggingface`.

    Raises:
        UserError: the file is no Parquet file, or has no such columns.
    """
    schema = read_schema(path)
    features = _features(schema)
    columns = ", ".join(f"{field.name} ({field.type})" for field in schema)
    image = _choose([field.name for field in schema if _holds_images(field.type)], USUAL_IMAGE_NAMES)
    if image is None:
        raise UserError(
            f"dataset.root: `{path}` must have a column of images, a struct with a binary field `bytes`, "
            f"but has {columns}: save it with Hugging Face's datasets"
        )
    label = _choose([field.name for field in schema if pa.types.is_integer(field.type)], USUAL_LABEL_NAMES)
    if label is None:
        raise UserError(
            f"dataset.root: `{path}` must have an integer column `label`, but has {columns}: add it"
        )
    names = features.get(label, {}).get("names")
    return ParquetLayout(image=image, label=label, class_names=None if names is None else tuple(names))


def labels_of(shard: Path, layout: ParquetLayout) -> npt.NDArray[np.int64]:
    """The label of every row.

    Raises:
        UserError: a row has none.
    """
    column = pq.read_table(shard, columns=[layout.label])[layout.label]
    if column.null_count:
        raise UserError(
            f"dataset.root: `{shard}` must have a label in every row, but {column.null_count} have none: "
            "remove those rows"
        )
    return np.asarray(column.to_numpy(), dtype=np.int64)


def number_of_classes(layout: ParquetLayout, labels: npt.NDArray[np.int64]) -> int:
    """As the metadata name them, else up to the highest label."""
    if layout.class_names is not None:
        return len(layout.class_names)
    return int(labels.max(initial=0)) + 1


def check_test_labels(shards: Sequence[Path]) -> None:
    """Whether the test images have labels: those of some published sets are secret, and -1 in their place.

    Raises:
        UserError: they have not.
    """
    for shard in shards:
        hidden = int((labels_of(shard, layout_of(shard)) < 0).sum())
        if hidden:
            raise UserError(
                f"dataset.root: `{shard}` must have a label in every row, but {hidden} are unlabelled (below 0): "
                "move these files away, and validation-*.parquet is the test set"
            )


def count_rows(shards: Sequence[Path]) -> int:
    """Rows of all shards, from their footers."""
    return sum(pq.read_metadata(path).num_rows for path in shards)


def read_schema(path: Path) -> Any:
    """The schema of a shard.

    Raises:
        UserError: it cannot be read as Parquet.
    """
    try:
        return pq.read_schema(path)
    except (OSError, pa.ArrowInvalid) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"dataset.root: `{path}` cannot be read as Parquet ({reason}): fetch it again"
        ) from error


def _features(schema: Any) -> dict[str, Any]:
    try:
        content = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = content["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    return features if isinstance(features, dict) else {}


def _holds_images(kind: Any) -> bool:
    if not pa.types.is_struct(kind):
        return False
    position = kind.get_field_index("bytes")
    return position >= 0 and (
        pa.types.is_binary(kind.field(position).type) or pa.types.is_large_binary(kind.field(position).type)
    )


def _choose(found: list[str], usual: Sequence[str]) -> str | None:
    for name in usual:
        if name in found:
            return name
    return found[0] if found else None


def _shards(root: Path, prefixes: Iterable[str], *, what: str) -> list[Path]:
    """The shards of the first prefix that has any, in order.

    Raises:
        UserError: there is none.
    """
    patterns = []
    for prefix in prefixes:
        for pattern in (f"{prefix}-*.parquet", f"{prefix}.parquet"):
            files = sorted(root.glob(pattern))
            if files:
                return files
            patterns.append(pattern)
    raise UserError(
        f"dataset.root: must hold the {what} images as {patterns[0]}, but `{root}` has no such file: "
        "give the folder in which the Parquet files lie"
    )
