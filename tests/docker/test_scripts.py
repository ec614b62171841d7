"""The containers' own scripts: secrets come from files, and are told to nobody."""

import ssl
import subprocess
import urllib.error
import urllib.request

import pytest

from tests.support.certificates import Certificates, tls_before
from tests.support.processes import REPOSITORY

DOCKER = REPOSITORY / "docker"


def with_secrets(*command, **environment):
    return subprocess.run(
        ["sh", str(DOCKER / "with-secrets.sh"), *command],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", **environment},
    )


def test_what_lies_in_a_file_is_in_the_environment_of_the_command(tmp_path):
    secret = tmp_path / "it's a secret"
    secret.write_text("a $word with 'quotes' and\ttabs")
    done = with_secrets("printenv", "DB_PASSWORD", DB_PASSWORD_FILE=str(secret))
    assert (done.returncode, done.stdout) == (0, "a $word with 'quotes' and\ttabs\n")


def test_a_file_that_is_not_there_is_one_line():
    done = with_secrets("true", DB_PASSWORD_FILE="/nowhere/it")
    assert done.returncode == 2
    assert done.stderr.startswith("DB_PASSWORD_FILE: /nowhere/it cannot be read: mount the secret there")
    assert done.stderr.count("\n") == 1


def test_secrets_are_made_once_and_for_the_user_alone(tmp_path):
    def make():
        subprocess.run([str(DOCKER / "make-secrets"), str(tmp_path)], check=True, capture_output=True)
        return {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}

    first = make()
    assert make() == first
    assert set(first) == {"ray_token", "mlflow_admin_password", "mlflow_secret_key", "postgres_password"}
    assert len(set(first.values())) == 4
    assert all(len(value) == 48 for value in first.values())
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700


def test_a_certificate_is_made_that_its_authority_vouches_for_under_its_name_alone(tmp_path):
    for _ in range(2):  # anew, too
        command = [str(DOCKER / "make-certificate"), "localhost", str(tmp_path)]
        subprocess.run(command, check=True, capture_output=True)
    made = tmp_path / "secrets" / "tls"
    assert {path.name for path in made.iterdir()} == {"authority.pem", "server.pem", "server.key"}
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    certificates = Certificates(
        authority=made / "authority.pem", chain=made / "server.pem", key=made / "server.key"
    )
    trusting = ssl.create_default_context(cafile=certificates.authority)
    with tls_before(1, certificates) as port:  # nobody is behind it: a handshake is all
        with pytest.raises(OSError, match=r"closed|reset"):
            urllib.request.urlopen(f"https://localhost:{port}", context=trusting, timeout=10)
        with pytest.raises(urllib.error.URLError, match="IP address mismatch"):
            urllib.request.urlopen(f"https://127.0.0.1:{port}", context=trusting, timeout=10)
    subprocess.run([str(DOCKER / "make-secrets"), str(tmp_path)], check=True, capture_output=True)
    assert (made / "server.key").exists()
