"""A sweep whose records and checkpoints lie on S3: on a real server, as a process."""

import subprocess
import sys
import urllib.request

import pytest

from tests.support.certificates import make_certificates, tls_before
from tests.support.processes import run_cli, wait_until
from tests.support.ray_nodes import free_port
from tests.sweep.test_storage import around
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.storage import Storage, below
from ubn_sweep.sweep.running.launch import resume_sweep, start_sweep
from ubn_sweep.tracking.storage import fetch_sweep

pytest.importorskip(
    "moto", reason="the S3 server of the tests is not installed: pip install 'ubn-sweep[dev]'"
)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place():
    """A bucket of a server that forgets it when it ends."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def bucket_is_there():
        request = urllib.request.Request(f"http://127.0.0.1:{port}/bucket", method="PUT")
        try:
            return urllib.request.urlopen(request, timeout=5).status == 200
        except OSError:
            return False

    try:
        wait_until(bucket_is_there, timeout_s=60)
        yield f"s3://bucket/sweeps?endpoint_override=http://127.0.0.1:{port}&region=us-east-1"
    finally:
        process.kill()
        process.wait()


@pytest.fixture(autouse=True)
def credentials(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("TEST_EPOCH_LOG", str(tmp_path / "epochs.txt"))


def test_a_sweep_on_s3_goes_on_elsewhere(small_spec, tmp_path, place, monkeypatch):
    monkeypatch.setenv("TEST_INTERRUPT_AT", "1 5")
    task = "tests.support.trainables:interrupt"
    spec = small_spec(
        task=task, storage=place, early_stopping=None, search={"trials": 2, "sampler": "random"}
    )
    first = start_sweep(spec, home=tmp_path / "a", name=None, surroundings=around(place))
    assert not first.finished
    own = Storage(below(place, "small"))
    assert any(name.startswith("checkpoints/0001/") for name in own.sizes())
    monkeypatch.delenv("TEST_INTERRUPT_AT")
    folder = SweepFolder(home=tmp_path / "b", name="small")
    fetch_sweep(own.place, folder)
    before = len((tmp_path / "epochs.txt").read_text().splitlines())
    result = resume_sweep(folder, surroundings=around(place))
    assert result.counts["completed"] == 2
    trained = (tmp_path / "epochs.txt").read_text().splitlines()[before:]
    assert [line.rpartition(" ")[0] for line in trained] == [f"1 {epoch}" for epoch in range(5, 10)]
    pieces = [own.read(name) for name in own.sizes("journal")]
    assert b"".join(pieces) == folder.journal.read_bytes()
    assert own.sizes("checkpoints") == {}


def test_a_bucket_behind_tls(write_spec, tmp_path, place):
    """Processes of their own: pyarrow looks once for the authorities."""
    port = int(place.partition("127.0.0.1:")[2].partition("&")[0])
    certificates = make_certificates(tmp_path / "certificates")
    trusted = {"SSL_CERT_FILE": str(certificates.authority)}
    with tls_before(port, certificates) as tls:
        secure = f"s3://bucket/secure?endpoint_override=https://localhost:{tls}&region=us-east-1"
        spec = write_spec(storage=secure, early_stopping=None, search={"trials": 2, "sampler": "random"})
        ran = run_cli(["run", str(spec), "--executor", "in-process"], cwd=tmp_path, **trusted)
        assert ran.returncode == 0, ran.stderr
        fetched = run_cli(["fetch", below(secure, "small"), "--home", "elsewhere"], cwd=tmp_path, **trusted)
        assert fetched.returncode == 0, fetched.stderr
    name = "small/journal.jsonl"
    assert (tmp_path / "elsewhere" / name).read_bytes() == (tmp_path / "sweeps" / name).read_bytes()
