"""Every command on a disk that is full: one line, no traceback, and what was there stays."""

import json
import os

import pytest

from tests.support.disks import small_disk
from tests.support.journals import sweep_events, write_sweep
from tests.support.processes import REPOSITORY, call_cli
from ubn_sweep.records.journal import read_journal

pytestmark = pytest.mark.slow
QUICKSTART = str(REPOSITORY / "search_spaces" / "quickstart.yaml")
COMMANDS = {
    "landscape": ["landscape", "made-up"],
    "export": ["export", "made-up", "--out", "configs"],
    "sync": ["sync", "made-up"],
    "resume": ["resume", "made-up", "--set", "search.trials=20", "--executor", "in-process"],
    "run": ["run", QUICKSTART, "--name", "second", "--executor", "in-process"],
    "train": ["train", "best.yaml"],
    "salvage": ["salvage", "made-up"],
}
CONFIG = """
dataset: {name: digits, train_examples: 64}
model: {name: resnet8, width: 16}
training: {epochs: 3, batch_size: 32}
"""


def fill(disk, leave_kb=0):
    """Writes until nothing goes any more, and gives back so much."""
    ballast = os.open(disk / "ballast", os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(ballast, b"x" * 4096)
    except OSError:
        os.ftruncate(ballast, os.fstat(ballast).st_size - 1024 * leave_kb)
    finally:
        os.close(ballast)


def is_one_line(done):
    lines = done.stderr.strip().splitlines()
    assert done.returncode in (1, 2), done.stderr
    assert lines[-1].startswith("error: ")
    assert "No space left on device" in lines[-1] or "database or disk is full" in lines[-1]
    assert "Traceback" not in done.stderr


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path, "8m") as disk:
        (disk / "best.yaml").write_text(CONFIG)
        yield disk


@pytest.mark.parametrize("command", COMMANDS)
def test_one_line_and_nothing_is_lost(disk, command):
    folder = write_sweep(disk / "sweeps", sweep_events(12))
    fill(disk)
    is_one_line(call_cli(COMMANDS[command], cwd=disk))
    assert len(read_journal(folder.path)) > 12
    for look in (["status", "made-up", "--json"], ["list", "--json"], ["validate", QUICKSTART]):
        assert call_cli(look, cwd=disk).returncode == 0


def test_a_final_training_that_fills_the_disk_goes_on_when_there_is_room(disk):
    fill(disk, leave_kb=1500)  # for the start, not for the checkpoints
    done = call_cli(["train", "best.yaml"], cwd=disk)
    is_one_line(done)
    (disk / "ballast").unlink()
    done = call_cli(["train", "best.yaml", "--json"], cwd=disk)
    assert done.returncode == 0, done.stderr
    assert 0 <= json.loads(done.stdout.splitlines()[-1])["test"] <= 1
