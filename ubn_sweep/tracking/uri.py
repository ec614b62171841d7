"""The addresses of stores, as users write them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from ubn_sweep.errors import UserError
from ubn_sweep.masking import masked

POSTGRES_DRIVERS = ("psycopg", "psycopg2")


def check_uri(tracking_uri: str) -> None:
    """Refuses what can never work.

    Raises:
        UserError: no store goes by such a URI.
    """
    scheme = tracking_uri.split(":", 1)[0] if ":" in tracking_uri else ""
    if scheme in ("", "file"):
        path = tracking_uri.removeprefix("file:").rstrip("/")
        raise UserError(
            f"tracking URI `{masked(tracking_uri)}`: runs are kept in a database or behind a server, not in plain files"
            f": write sqlite:///{path}/mlflow.db, or http://HOST:PORT"
        )
    with_driver(tracking_uri)


def check_apart(tracking_uri: str, study_storage: str) -> None:
    """Refuses one database for both: MLflow and Optuna take each other's tables for their own, of another version.

    Raises:
        UserError: they are the same.
    """
    if with_driver(tracking_uri) == with_driver(study_storage):
        raise UserError(
            f"`tracking.uri` and `tracking.study_storage` must differ, but both are `{masked(tracking_uri)}`: "
            "create a second database for one of them"
        )


def sqlite_path(uri: str) -> Path | None:
    """The file of an SQLite address; None of others, and of a database in memory."""
    scheme, separator, rest = uri.partition("://")
    path = rest.split("?", 1)[0].removeprefix("/")
    return (
        Path(path)
        if separator and scheme.split("+")[0] == "sqlite" and path not in ("", ":memory:")
        else None
    )


def with_driver(uri: str) -> str:
    """A PostgreSQL address with the driver that is installed: SQLAlchemy settles on one whether it is there or not.

    Raises:
        UserError: none is installed.
    """
    scheme, separator, rest = uri.partition("://")
    if scheme not in ("postgres", "postgresql") or not separator:
        return uri
    for driver in POSTGRES_DRIVERS:
        if importlib.util.find_spec(driver) is not None:
            return f"postgresql+{driver}://{rest}"
    raise UserError(
        f"`{masked(uri)}` needs a PostgreSQL driver, but none of {', '.join(POSTGRES_DRIVERS)} is installed: "
        "pip install 'ubn-sweep[postgres]'"
    )
