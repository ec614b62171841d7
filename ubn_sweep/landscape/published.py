"""The figures of the paper's tables, which come with the package (paper_tables.yaml), as rows to set runs beside."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from ubn_sweep import schema

FILE = "paper_tables.yaml"


@dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """One line of a table: what was trained, and what came of it."""

    model: str
    """As `model.name` calls it."""
    norm: str
    batch_size: int | None = None
    """Where the table compares several."""
    top1: float | None = None
    """Test accuracy in percent."""
    top5: float | None = None
    seconds: float | None = None
    """Of the whole training, or until it was as accurate as BatchNorm's."""
    epochs: int | None = None
    gpus: int | None = None
    """Where it is not the part's."""


@dataclass(frozen=True, kw_only=True)
class PublishedPart:
    """The rows of one data set."""

    dataset: str
    """cifar10, cifar100 or imagenet."""
    gpus: int
    """Each of which took a batch of its own in a step, with statistics of its own."""
    protocol: dict[str, Any]
    """Dotted key of a trial config -> its value in the paper; the batch size is that of one GPU."""
    rows: tuple[PublishedRow, ...]


@dataclass(frozen=True, kw_only=True)
class PublishedTable:
    """One table of the paper."""

    title: str
    parts: tuple[PublishedPart, ...]


@dataclass(frozen=True, kw_only=True)
class PublishedFigures:
    """All of them, by their numbers in the paper."""

    source: str
    tables: dict[int, PublishedTable] = field(default_factory=dict)


@functools.cache
def published() -> PublishedFigures:
    """What the package's file holds."""
    with resources.as_file(resources.files(__package__) / FILE) as path:
        content, _ = schema.load_yaml(Path(path))
    return schema.parse(PublishedFigures, content, source=FILE)
