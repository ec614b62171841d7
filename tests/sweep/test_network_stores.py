"""SQLite on a network file system is warned of."""

import pytest

from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.sweep.running.copies import stores_on_a_network
from ubn_sweep.tracking.uri import sqlite_path


@pytest.fixture
def folder(tmp_path):
    return SweepFolder(home=tmp_path / "sweeps", name="small")


def test_both_default_stores_on_nfs_are_one_line(small_spec, folder):
    asked = []

    def kind(path):
        asked.append(path)
        return "nfs4"

    line = stores_on_a_network(small_spec(), folder, kind)
    assert line.startswith(
        "tracking.uri and tracking.study_storage: SQLite on a network file system (nfs4), "
    )
    assert "\n" not in line
    assert asked == [folder.home / "mlflow.db", folder.home / "optuna.db"]


def test_servers_and_local_disks_are_not_warned_of(small_spec, folder, monkeypatch):
    monkeypatch.setenv("STORE", "http://localhost:5000")
    tracking = {"uri": "${STORE}", "study_storage": "sqlite:////local/optuna.db"}
    spec = small_spec(tracking=tracking)
    assert stores_on_a_network(spec, folder, lambda path: None) is None
    line = stores_on_a_network(spec, folder, lambda path: "nfs")
    assert line.startswith("tracking.study_storage: ")
    assert stores_on_a_network(spec, folder) is None, "this test's own disk is local"


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("sqlite:////a/b.db", "/a/b.db"),
        ("sqlite:///b.db?timeout=3", "b.db"),
        ("sqlite+pysqlite:///b.db", "b.db"),
        ("sqlite:///:memory:", None),
        ("sqlite://", None),
        ("postgresql://me@host/db", None),
        ("http://host:5000", None),
    ],
)
def test_the_file_of_an_address(address, path):
    assert (None if sqlite_path(address) is None else str(sqlite_path(address))) == path
