"""A real MLflow behind a certificate of one's own: it gets all, where its authority is named."""

import pytest

from tests.support.certificates import make_certificates, tls_before
from tests.tracking.builders import sweep_events, write_journal
from tests.tracking.reading import check
from tests.tracking.servers import MlflowServer
from ubn_sweep.tracking.delivery.follower import Follower
from ubn_sweep.tracking.mlflow.sweep_sink import SweepSink


@pytest.mark.slow
def test_mlflow_behind_tls_gets_all_of_it(folder, tmp_path, monkeypatch):
    certificates, events = make_certificates(tmp_path / "certificates"), sweep_events(3)
    write_journal(folder.path, events)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "")  # what is set meanwhile is unset with it
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    server = MlflowServer(folder.home / "mlflow.db")
    server.start()
    try:
        with tls_before(server.port, certificates) as port:
            follower = Follower(folder, SweepSink(folder, f"https://localhost:{port}"))
            follower.start()
            assert follower.wait_until_caught_up(60), follower.last_error
            assert follower.stop(10)
        check(server.uri, events)
    finally:
        server.kill()
