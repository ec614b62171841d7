"""`ubn-sweep salvage`, and a sweep whose disk is full, as users meet them."""

import subprocess
import sys

import pytest
import yaml

from tests.support.disks import small_disk
from tests.support.journals import sweep_events, write_sweep
from tests.support.processes import REPOSITORY, call_cli
from tests.sweep.conftest import SPEC
from ubn_sweep.records.journal import read_journal


def test_a_damaged_journal_is_mended_and_the_sweep_goes_on(tmp_path):
    folder = write_sweep(tmp_path / "sweeps", sweep_events(4, epochs=3, stops=()))
    content = folder.journal.read_bytes()
    folder.journal.write_bytes(content[:-60] + b"\0\0\n" + content[-60:].partition(b"\n")[2])
    told = call_cli(["landscape", "made-up"], cwd=tmp_path)
    assert told.returncode == 2
    assert "`ubn-sweep salvage made-up`" in told.stderr
    done = call_cli(["salvage", "made-up"], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "journal.damaged-1.jsonl" in done.stderr
    assert len(read_journal(folder.path)) == content.count(b"\n") - 1
    again = call_cli(["salvage", "made-up"], cwd=tmp_path)
    assert "nothing to do" in again.stderr


@pytest.fixture(name="small_disk")
def _small_disk(tmp_path):
    """A file system of 1 MiB."""
    with small_disk(tmp_path, "1m") as disk:
        yield disk


@pytest.mark.slow
def test_a_sweep_on_a_full_disk_says_so_and_goes_on_when_there_is_room(tmp_path, small_disk):
    spec = {**SPEC, "search": {"trials": 60, "sampler": "random"}, "early_stopping": None}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(spec))
    (small_disk / "ballast").write_bytes(bytes((1024 - 80) * 1024))
    code = (
        "import sys; from pathlib import Path; from ubn_sweep.errors import UserError\n"
        "from ubn_sweep.sweep.running import launch; from ubn_sweep.sweep.spec.loading import load_spec\n"
        "from ubn_sweep.records.folder import SweepFolder\n"
        "from ubn_sweep.sweep.running.in_process import InProcessExecutor\n"
        "here = launch.Surroundings(executor=InProcessExecutor()); home = Path(sys.argv[1])\n"
        "try:\n"
        "    if (home / 'held').exists():\n"
        "        result = launch.resume_sweep(SweepFolder(home=home, name='held'), surroundings=here)\n"
        "    else:\n"
        "        spec = load_spec(Path('small.yaml'))\n"
        "        result = launch.start_sweep(spec, home=home, name='held', surroundings=here)\n"
        "    print('finished', sum(result.counts.values()))\n"
        "except UserError as error:\n"
        "    print('error', error)\n"
    )

    def attempt():
        return subprocess.run(
            [sys.executable, "-c", code, str(small_disk)],
            cwd=tmp_path,
            env={"PYTHONPATH": str(REPOSITORY), "TEST_EPOCH_S": "0"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    told = attempt()
    assert told.startswith("error")
    assert "No space left on device" in told
    assert f"free space, then `ubn-sweep resume {small_disk}/held`" in told
    assert "\n" not in told
    read_journal(small_disk / "held")
    (small_disk / "ballast").unlink()
    assert attempt() == "finished 60"
