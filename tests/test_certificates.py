"""Servers that speak TLS with a certificate of one's own: trusted where one says so, refused in a line elsewhere."""

import contextlib
import socket

import pytest
import yaml

from tests.support.certificates import make_certificates, tls_before
from tests.support.processes import call_cli, run_cli
from tests.support.ray_nodes import head, node
from tests.sweep.conftest import SPEC
from tests.tracking.servers import broken_server
from ubn_sweep.certificates import why_untrusted
from ubn_sweep.errors import UserError
from ubn_sweep.tracking.delivery.follower import describe
from ubn_sweep.tracking.mlflow.client import connect

UNKNOWN = (
    "its certificate is not trusted, unable to get local issuer certificate: set SSL_CERT_FILE to a file with the "
    "certificate of its authority"
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def front(authority):
    """A port that speaks TLS, behind which nobody listens: who does not trust it never gets that far."""
    with (
        socket.create_server(("127.0.0.1", 0)) as nobody,
        tls_before(nobody.getsockname()[1], authority) as port,
    ):
        yield port


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(name, "")  # what is set meanwhile is unset with it
        monkeypatch.delenv(name)


def test_a_job_server_that_is_not_trusted_is_one_line(front, tmp_path):
    pytest.importorskip("ray.job_submission")
    refused = call_cli(["jobs", "--address", f"https://localhost:{front}"], cwd=tmp_path)
    assert (refused.returncode, refused.stderr) == (
        2,
        f"error: --address: https://localhost:{front}: {UNKNOWN}\n",
    )


def test_a_name_that_the_certificate_lacks_is_said(front, tmp_path, authority):
    refused = call_cli(
        ["jobs", "--address", f"https://127.0.0.1:{front}"],
        cwd=tmp_path,
        SSL_CERT_FILE=str(authority.authority),
    )
    assert refused.returncode == 2
    assert "IP address mismatch, certificate is not valid for" in refused.stderr
    assert refused.stderr.endswith("ask for it under a name that the certificate has\n")
    assert refused.stderr.count("\n") == 1


def test_a_file_of_authorities_that_is_not_there_is_said(front, tmp_path):
    refused = call_cli(
        ["jobs", "--address", f"https://localhost:{front}"], cwd=tmp_path, SSL_CERT_FILE="/nowhere/ca.pem"
    )
    assert refused.stderr == (
        "error: SSL_CERT_FILE: there is no file /nowhere/ca.pem: name one with the authorities' certificates\n"
    )


def test_mlflow_that_is_not_trusted_is_one_line(front):
    with pytest.raises(Exception, match="certificate verify failed") as caught:
        connect(f"https://localhost:{front}").search_experiments()
    assert describe(caught.value) == UNKNOWN


@pytest.fixture
def cluster_module():
    return pytest.importorskip("ubn_sweep.sweep.running.ray.cluster")


def test_a_cluster_that_speaks_tls_is_told_apart_before_ray_waits_for_it(cluster_module, front, monkeypatch):
    address = f"127.0.0.1:{front}"
    with pytest.raises(UserError, match=f"the cluster at `{address}` speaks TLS: set RAY_USE_TLS=1"):
        cluster_module.check_address(address)
    monkeypatch.setenv("RAY_USE_TLS", "1")
    cluster_module.check_address(address)
    with broken_server(0.0) as plain, pytest.raises(UserError, match="speaks no TLS, but RAY_USE_TLS is set"):
        cluster_module.check_address(plain.removeprefix("http://"))


@pytest.mark.slow
def test_rays_nodes_speak_tls_among_themselves(write_small, tmp_path):
    addresses = ["127.0.0.1", "127.0.0.2"]
    with contextlib.suppress(OSError), socket.socket(type=socket.SOCK_DGRAM) as outwards:
        outwards.connect(
            ("192.0.2.1", 9)
        )  # nothing is sent; by the address that it takes a head calls itself
        addresses.append(outwards.getsockname()[0])
    made = make_certificates(tmp_path / "certificates", addresses=addresses)
    tls = {
        "RAY_USE_TLS": "1",
        "RAY_TLS_SERVER_CERT": str(made.chain),
        "RAY_TLS_SERVER_KEY": str(made.key),
        "RAY_TLS_CA_CERT": str(made.authority),
    }
    with head(tmp_path / "head", **tls) as address, node(address, "127.0.0.2", tmp_path / "node", **tls):
        ran = run_cli(["run", str(write_small), "--ray-address", address], cwd=tmp_path, **tls)
        assert ran.returncode == 0, ran.stderr
        refused = run_cli(["run", str(write_small), "--ray-address", address], cwd=tmp_path)
    assert (refused.returncode, "speaks TLS: set RAY_USE_TLS=1" in refused.stderr) == (2, True)
    assert refused.stderr.count("\n") == 1


@pytest.fixture
def write_small(tmp_path):
    """A spec of two short trials."""
    spec = {**SPEC, "search": {"trials": 2, "sampler": "random"}, "base": {"training": {"epochs": 1}}}
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump({**spec, "early_stopping": None}))
    return path


@pytest.mark.slow
def test_a_storage_that_is_not_trusted_is_one_line(front, tmp_path):
    place = f"s3://bucket/sweeps/small?endpoint_override=https://localhost:{front}&region=us-east-1"
    keys = {"AWS_ACCESS_KEY_ID": "somebody", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_MAX_ATTEMPTS": "1"}
    refused = call_cli(["fetch", place], cwd=tmp_path, **keys)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert f"cannot be read ({UNKNOWN})" in refused.stderr


def test_other_errors_are_left_as_they_are():
    assert why_untrusted(OSError("no route to host")) is None
