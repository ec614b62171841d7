"""A sweep opens no port to the network, and its secrets are in no list of processes."""

from pathlib import Path

import pytest

from tests.support.processes import descendants, kill_all, listening_addresses, start_cli, wait_until
from ubn_sweep.records.folder import SweepFolder

LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
"""127.0.0.1, the same as IPv6 writes it, and ::1."""

PASSWORD = "hunter2secret"


def read(pid, name):
    """What the system tells of a process: `cmdline`, `environ`; nothing of one that has ended."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes().decode(errors="replace")
    except OSError:
        return ""


@pytest.mark.slow
def test_nothing_listens_beyond_localhost(write_spec, tmp_path):
    away = {"uri": "postgresql://me:${STORE_PASSWORD}@127.0.0.1:1/db"}
    spec = write_spec(search={"trials": 40, "sampler": "random"}, tracking=away)
    # An empty home, as of a user who never ran Ray: no secret may be written there either.
    home = tmp_path / "home"
    home.mkdir()
    process = start_cli(
        ["run", str(spec), "--cpus", "2"],
        cwd=tmp_path,
        TEST_EPOCH_S="0.3",
        HOME=str(home),
        STORE_PASSWORD=PASSWORD,
    )
    journal = SweepFolder(home=tmp_path / "sweeps", name="small").journal
    try:
        wait_until(lambda: journal.exists() and '"epoch"' in journal.read_text(), timeout_s=120)
        family = [process.pid, *descendants(process.pid)]
        addresses, shown = listening_addresses(family), [read(pid, "cmdline") for pid in family]
        environments = [read(pid, "environ") for pid in family]
    finally:
        kill_all(process)
    assert addresses  # Ray does listen
    assert addresses <= LOOPBACK
    assert not (home / ".ray").exists()
    # The secret of its Ray is known to all of its family, and in no list of processes; nor is a store's password.
    tokens = {
        entry.removeprefix("RAY_AUTH_TOKEN=")
        for environment in environments
        for entry in environment.split("\0")
        if entry.startswith("RAY_AUTH_TOKEN=")
    }
    assert tokens
    assert all(len(token) >= 32 for token in tokens)
    assert any("gcs_server" in line for line in shown)
    assert not any(secret in line for secret in (*tokens, PASSWORD) for line in shown)
