import pytest

from tests.tracking.builders import sweep_events, write_journal
from tests.tracking.reading import check, parent_run
from ubn_sweep.errors import UserError
from ubn_sweep.tracking.delivery.cursor import delivering_alone
from ubn_sweep.tracking.delivery.sync import log_sweep_artifacts, sync
from ubn_sweep.tracking.mlflow.client import connect
from ubn_sweep.tracking.mlflow.sink import MlflowSink
from ubn_sweep.tracking.uri import check_apart, masked, with_driver

EVENTS = sweep_events(6)


@pytest.fixture
def swept(folder):
    """A sweep that nothing has been delivered of, with its report."""
    write_journal(folder.path, EVENTS)
    folder.report.write_text("<html></html>")
    folder.figures.mkdir()
    (folder.figures / "map.png").write_bytes(b"png")
    return folder


def test_it_delivers_what_is_missing_and_says_so(swept):
    first = sync(swept)
    assert (first.delivered, first.there_before, first.trials, first.refused) == (len(EVENTS), 0, 6, 0)
    second = sync(swept)
    assert (second.delivered, second.there_before, second.trials) == (0, len(EVENTS), 6)
    check(swept.default_tracking_uri, EVENTS)
    parent = parent_run(swept.default_tracking_uri)
    found = connect(swept.default_tracking_uri).list_artifacts(parent.info.run_id)
    assert [item.path for item in found] == ["figures", "landscape.html", "spec.yaml"]


def test_another_store_gets_everything(swept, tmp_path):
    sync(swept)
    other = f"sqlite:///{tmp_path / 'new folder' / 'other.db'}"
    assert sync(swept, tracking_uri=other, experiment="theirs").delivered == len(EVENTS)
    check(other, EVENTS, experiment="theirs")


def test_from_the_start_repairs_a_store_that_lost_something(swept):
    sync(swept)
    uri = swept.default_tracking_uri
    client = connect(uri)
    parent = parent_run(uri)
    client.delete_tag(parent.info.run_id, "ubn_sweep.best_trial")
    assert sync(swept, from_start=True).delivered == len(EVENTS)
    assert parent_run(uri).data.tags["ubn_sweep.best_trial"] == "4"
    check(uri, EVENTS)


def test_a_running_sweep_delivers_by_itself(swept, monkeypatch):
    monkeypatch.setattr("ubn_sweep.tracking.delivery.sync.PATIENCE_S", 0.1)
    sink = MlflowSink(swept, swept.default_tracking_uri)
    with delivering_alone(sink.cursor), pytest.raises(UserError, match="own process is running"):
        sync(swept)


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "postgresql://me:secret@127.0.0.1:9/db"])
def test_a_store_that_is_away_is_told_on_one_line(swept, uri):
    pytest.importorskip("psycopg2")
    with pytest.raises(UserError, match="could not be written") as caught:
        sync(swept, tracking_uri=uri)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_plain_files_are_refused(swept):
    for uri in ("mlruns", "file:/somewhere/mlruns", "/somewhere/mlruns"):
        with pytest.raises(UserError, match=r"not in plain files: write sqlite:///.*mlruns/mlflow\.db"):
            sync(swept, tracking_uri=uri)


def test_artifacts_wait_for_the_run(swept):
    assert "not there yet" in log_sweep_artifacts(swept, [swept.report])
    assert "MlflowException" in log_sweep_artifacts(swept, [swept.report], tracking_uri="http://127.0.0.1:9")
    sync(swept)
    assert log_sweep_artifacts(swept, [swept.report, swept.home / "absent"]) is None


def test_mlflow_and_optuna_do_not_share_a_database():
    check_apart("sqlite:///a.db", "sqlite:///b.db")
    with pytest.raises(UserError, match="must differ"):
        check_apart("sqlite:///a.db", "sqlite:///a.db")


def test_addresses(monkeypatch):
    assert masked("postgresql://me:secret@host:1/db") == "postgresql://me:***@host:1/db"
    assert masked("http://host:1/a") == "http://host:1/a"
    for uri in ("sqlite:///a.db", "http://host:1", "postgresql+pg8000://host/db", "mysql+pymysql://host/db"):
        assert with_driver(uri) == uri
    assert with_driver("postgres://host/db").startswith("postgresql+psycopg")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"ubn-sweep\[postgres\]"):
        with_driver("postgresql://me:secret@host/db")
