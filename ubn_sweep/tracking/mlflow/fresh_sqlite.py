"""A new SQLite store for MLflow, made whole or not at all."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ubn_sweep.files import clear_up, flush

PREFIX = "sqlite:///"


def create_if_missing(tracking_uri: str) -> None:
    """Creates the database of a SQLite URI where there is none yet; other URIs are none of its business.

    MLflow makes the tables in some sixty steps, and a kill between two of them leaves a file that it cannot
    open again. So they are made in a file beside, which takes its name when it is whole.
    """
    path = sqlite_path(tracking_uri)
    if path is None or (path.exists() and path.stat().st_size > 0):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    clear_up(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with _unsynced(beside):
            _make_tables(f"{PREFIX}{beside}")
        flush(beside)
        _put(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def sqlite_path(tracking_uri: str) -> Path | None:
    """The file of a SQLite URI; None for any other store."""
    if not tracking_uri.startswith(PREFIX):
        return None
    name = tracking_uri.removeprefix(PREFIX).split("?", 1)[0]
    return Path(name).absolute() if name not in ("", ":memory:") else None


def _make_tables(uri: str) -> None:
    from mlflow import MlflowClient

    MlflowClient(tracking_uri=uri).search_experiments(max_results=1)


@contextlib.contextmanager
def _unsynced(path: Path) -> Iterator[None]:
    """Spares every step its wait for the disk: nothing is in the file yet that could be lost."""
    import sqlalchemy
    from sqlalchemy.engine import Engine

    def relax(connection: Any, _: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            files = [row[2] for row in connection.execute("PRAGMA database_list")]
            if str(path) in files:
                connection.execute("PRAGMA synchronous=OFF")

    sqlalchemy.event.listen(Engine, "connect", relax)
    try:
        yield
    finally:
        sqlalchemy.event.remove(Engine, "connect", relax)


def _put(beside: Path, path: Path) -> None:
    """Gives the file its name, unless another process was quicker."""
    try:
        os.link(beside, path)
    except FileExistsError:
        if path.stat().st_size == 0:
            beside.replace(path)
    except OSError:  # no hard links on this file system
        beside.replace(path)
