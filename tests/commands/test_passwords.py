"""A password in a tracking URL comes nowhere that is shown, copied or handed on."""

import json
import stat

import pytest
import yaml

from tests.support.processes import call_cli
from tests.sweep.conftest import SPEC
from ubn_sweep.records.folder import SweepFolder

PASSWORD = "hunter2secret"
AWAY = "postgresql://me:%s@127.0.0.1:1/db"


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch):
    """With the store that is away."""
    monkeypatch.setattr("ubn_sweep.tracking.delivery.follower.LEAST_S", 1.0)


def sweep(tmp_path, storage, **environment):
    spec = {
        **SPEC,
        "base": {"training": {"epochs": 2}},
        "search": {"trials": 2},
        "early_stopping": None,
        "tracking": {"study_storage": storage},
    }
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(spec))
    arguments = ["run", "small.yaml", "--name", "held", "--executor", "in-process", "--json"]
    done = call_cli(arguments, cwd=tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    exported = call_cli(["export", "held", "--top", "1", "--out", "configs"], cwd=tmp_path, **environment)
    assert exported.returncode == 0, exported.stderr
    (tmp_path / "small.yaml").unlink()
    return done


def holding(folder, text):
    """The files below a folder that hold a text anywhere in their bytes."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 8
    return {path.name for path in files if text.encode() in path.read_bytes()}


@pytest.mark.slow
def test_a_literal_password_is_in_the_journal_alone(tmp_path):
    pytest.importorskip("psycopg2")
    done = sweep(tmp_path, AWAY % PASSWORD)
    assert PASSWORD not in done.stdout + done.stderr
    assert done.stderr.count("${NAME}") == 1, done.stderr
    assert holding(tmp_path, PASSWORD) == {"journal.jsonl"}
    journal = SweepFolder(home=tmp_path / "sweeps", name="held").journal
    assert stat.S_IMODE(journal.stat().st_mode) == 0o600
    assert "me:***@" in (journal.parent / "spec.yaml").read_text()


@pytest.mark.slow
def test_a_password_of_the_environment_is_nowhere(tmp_path):
    pytest.importorskip("psycopg2")
    done = sweep(tmp_path, AWAY % "${STORE_PASSWORD}", STORE_PASSWORD=PASSWORD)
    assert PASSWORD not in done.stdout + done.stderr
    assert holding(tmp_path, PASSWORD) == set()
    # What is missing is told on one line, and resume finds the name in the record.
    told = call_cli(["sync", "held"], cwd=tmp_path)
    assert told.returncode == 2
    assert "tracking.study_storage: `${STORE_PASSWORD}` is not set" in told.stderr


@pytest.mark.slow
def test_a_store_named_by_the_environment(tmp_path):
    store = f"sqlite:///{tmp_path}/elsewhere.db"
    spec = {**SPEC, "base": {"training": {"epochs": 1}}, "search": {"trials": 1}, "early_stopping": None}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump({**spec, "tracking": {"uri": "${STORE}"}}))
    arguments = ["run", "small.yaml", "--name", "held", "--executor", "in-process", "--json"]
    told = call_cli(arguments, cwd=tmp_path)
    assert (told.returncode, "`${STORE}` is not set" in told.stderr) == (2, True)
    assert not (tmp_path / "sweeps").exists()
    done = call_cli(arguments, cwd=tmp_path, STORE=store)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["tracking_uri"] == "${STORE}"
    assert (tmp_path / "elsewhere.db").exists()
    assert store.encode() not in (tmp_path / "sweeps" / "held" / "journal.jsonl").read_bytes()
    shown = call_cli(
        ["validate", "small.yaml", "--set", f"tracking.uri={AWAY % PASSWORD}", "--json"], cwd=tmp_path
    )
    assert PASSWORD not in shown.stdout + shown.stderr
    shown = call_cli(["validate", "small.yaml", "--set", f"tracking.uri={AWAY % PASSWORD}"], cwd=tmp_path)
    assert PASSWORD not in shown.stdout + shown.stderr
