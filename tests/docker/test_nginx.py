"""docker/nginx.conf in a real nginx, before a real MLflow: TLS, and the names and origins that MLflow lets in."""

import json
import shutil
import ssl
import subprocess
import urllib.error
import urllib.request

import pytest
import yaml

from tests.support.certificates import make_certificates
from tests.support.processes import REPOSITORY, kill_all, wait_until
from tests.tracking.servers import MlflowServer, free_port
from ubn_sweep.tracking.mlflow.client import connect

DOCKER = REPOSITORY / "docker"
NAME = "sweeps.example"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("nginx") is None, reason="needs nginx: apt-get install nginx-light"),
]


@pytest.fixture
def front(tmp_path, monkeypatch):
    """The address, with what compose lets in, and the file of its authority."""
    port = free_port()
    settings = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]["mlflow"]["environment"]
    for key, name in (
        ("ALLOWED_HOSTS", "MLFLOW_SERVER_ALLOWED_HOSTS"),
        ("MLFLOW_SERVER_CORS_ALLOWED_ORIGINS", "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"),
    ):
        monkeypatch.setenv(name, settings[key].replace("${PUBLIC_NAME:-localhost}:5443", f"{NAME}:{port}"))
    (tmp_path / "store").mkdir()
    connect(f"sqlite:///{tmp_path}/store/mlflow.db").search_experiments(max_results=1)
    server = MlflowServer(tmp_path / "store" / "mlflow.db")
    certificates = make_certificates(tmp_path / "tls")
    config = (DOCKER / "nginx.conf").read_text()
    for old, new in (
        ("listen 5443", f"listen 127.0.0.1:{port}"),
        ("listen 8443", f"listen 127.0.0.1:{free_port()}"),
        ("mlflow:5000", f"127.0.0.1:{server.port}"),
        ("head:8265", "127.0.0.1:1"),
        ("/tmp/", f"{tmp_path}/"),
        ("/tls/", f"{tmp_path}/tls/"),
    ):
        assert old in config
        config = config.replace(old, new)
    (tmp_path / "nginx.conf").write_text(config)
    server.start()
    nginx = subprocess.Popen(
        ["nginx", "-c", f"{tmp_path}/nginx.conf", "-g", "daemon off; user root;"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    trusting = ssl.create_default_context(cafile=certificates.authority)

    def ask(path, content=None, **headers):
        data = None if content is None else json.dumps(content).encode()
        headers = {"Content-Type": "application/json", "Host": f"{NAME}:{port}", **headers}
        request = urllib.request.Request(f"https://localhost:{port}{path}", data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, context=trusting, timeout=20) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except urllib.error.URLError:
            assert nginx.poll() is None, nginx.stdout.read()
            return None

    try:
        wait_until(lambda: ask("/health") == 200, timeout_s=30)
        yield port, ask
    finally:
        kill_all(nginx)
        server.kill()


def test_mlflow_is_asked_by_tls_under_its_public_name_and_from_its_own_pages_alone(front):
    port, ask = front
    search = "/api/2.0/mlflow/experiments/search"
    assert ask(search, {"max_results": 1}) == 200
    assert ask(search, {"max_results": 1}, Origin=f"https://{NAME}:{port}") == 200
    assert ask(search, {"max_results": 1}, Origin="https://evil.example") == 403
    assert ask(search, {"max_results": 1}, Host="evil.example") == 403
    with pytest.raises(urllib.error.HTTPError, match="400"):  # plain HTTP to the same port
        urllib.request.urlopen(f"http://localhost:{port}/health", timeout=20)
