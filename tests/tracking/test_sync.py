import pytest

from tests.tracking.builders import sweep_events, sync_sweep, write_journal
from tests.tracking.reading import check, parent_run
from ubn_sweep.errors import UserError
from ubn_sweep.masking import masked
from ubn_sweep.tracking.delivery.cursor import delivering_alone
from ubn_sweep.tracking.delivery.sync import attach_now
from ubn_sweep.tracking.mlflow.client import connect
from ubn_sweep.tracking.mlflow.sweep_sink import SweepSink
from ubn_sweep.tracking.uri import check_apart, check_uri, with_driver

EVENTS = sweep_events(6)


@pytest.fixture
def swept(folder):
    """A sweep that nothing has been delivered of, with its report."""
    write_journal(folder.path, EVENTS)
    folder.report.write_text("<html></html>")
    folder.numbers.write_text("{}")
    folder.figures.mkdir()
    (folder.figures / "map.png").write_bytes(b"png")
    return folder


def test_it_delivers_what_is_missing_and_says_so(swept):
    first, sink = sync_sweep(swept)
    assert (first.delivered, first.there_before, sink.trials, sink.refused) == (len(EVENTS), 0, 6, 0)
    second, sink = sync_sweep(swept)
    assert (second.delivered, second.there_before, sink.trials) == (0, len(EVENTS), 6)
    check(swept.default_tracking_uri, EVENTS)
    parent = parent_run(swept.default_tracking_uri)
    found = connect(swept.default_tracking_uri).list_artifacts(parent.info.run_id)
    assert [item.path for item in found] == ["figures", "landscape.html", "landscape.json", "spec.yaml"]
    assert first.attached == 4


def test_another_store_gets_everything(swept, tmp_path):
    sync_sweep(swept)
    other = f"sqlite:///{tmp_path / 'new folder' / 'other.db'}"
    assert sync_sweep(swept, other, experiment="theirs")[0].delivered == len(EVENTS)
    check(other, EVENTS, experiment="theirs")


def test_from_the_start_repairs_a_store_that_lost_something(swept):
    sync_sweep(swept)
    uri = swept.default_tracking_uri
    client = connect(uri)
    parent = parent_run(uri)
    client.delete_tag(parent.info.run_id, "ubn_sweep.best_trial")
    assert sync_sweep(swept, from_start=True)[0].delivered == len(EVENTS)
    assert parent_run(uri).data.tags["ubn_sweep.best_trial"] == "4"
    check(uri, EVENTS)


def test_a_running_sweep_delivers_by_itself(swept, monkeypatch):
    monkeypatch.setattr("ubn_sweep.tracking.delivery.sync.PATIENCE_S", 0.1)
    sink = SweepSink(swept, swept.default_tracking_uri)
    with delivering_alone(sink.cursor), pytest.raises(UserError, match="own process is running"):
        sync_sweep(swept)


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "postgresql://me:secret@127.0.0.1:9/db"])
def test_a_store_that_is_away_is_told_on_one_line(swept, uri):
    pytest.importorskip("psycopg2")
    with pytest.raises(UserError, match="could not be written") as caught:
        sync_sweep(swept, uri)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_plain_files_are_refused():
    for uri in ("mlruns", "file:/somewhere/mlruns", "/somewhere/mlruns"):
        with pytest.raises(UserError, match=r"not in plain files: write sqlite:///.*mlruns/mlflow\.db"):
            check_uri(uri)


def test_artifacts_wait_for_the_run(swept):
    def attach(*paths, uri=swept.default_tracking_uri):
        return attach_now(swept, SweepSink(swept, uri), paths)

    assert "not there yet" in attach(swept.report)
    assert "MlflowException" in attach(swept.report, uri="http://127.0.0.1:9")
    sync_sweep(swept)
    assert attach(swept.report, swept.home / "absent") is None


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
