"""A sweep opens no port to the network."""

import pytest

from tests.support.processes import descendants, kill_all, listening_addresses, start_cli, wait_until
from ubn_sweep.records.folder import SweepFolder

LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
"""127.0.0.1, the same as IPv6 writes it, and ::1."""


@pytest.mark.slow
def test_nothing_listens_beyond_localhost(write_spec, tmp_path):
    spec = write_spec(search={"trials": 40, "sampler": "random"})
    # An empty home, as of a user who never ran Ray: no secret may be written there either.
    home = tmp_path / "home"
    home.mkdir()
    process = start_cli(["run", str(spec), "--cpus", "2"], cwd=tmp_path, TEST_EPOCH_S="0.3", HOME=str(home))
    journal = SweepFolder(home=tmp_path / "sweeps", name="small").journal
    try:
        wait_until(lambda: journal.exists() and '"epoch"' in journal.read_text(), timeout_s=120)
        addresses = listening_addresses([process.pid, *descendants(process.pid)])
    finally:
        kill_all(process)
    assert addresses  # Ray does listen
    assert addresses <= LOOPBACK
    assert not (home / ".ray").exists()
