"""Whole files, and locks that die with their holder."""

import os
import signal

import pytest

from tests.tracking.servers import python
from ubn_sweep.file_lock import HeldError, file_lock
from ubn_sweep.files import write_bytes, write_text, written_beside


def test_a_file_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "new" / "a.json"
    assert write_text(path, "é", to_disk=True) == path
    assert write_bytes(path, b"second").read_bytes() == b"second"
    assert [item.name for item in path.parent.iterdir()] == ["a.json"]


def test_a_failure_leaves_what_was_there(tmp_path):
    path = write_text(tmp_path / "a", "before")

    def write_half():
        with written_beside(path) as beside:
            beside.write_text("half")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        write_half()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


KILLED_WHILE_WRITING = """
import sys, time
from pathlib import Path
from ubn_sweep.files import written_beside
with written_beside(Path(sys.argv[1])) as beside:
    beside.write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_process_left_half_written_is_removed_by_the_next(tmp_path):
    path = write_text(tmp_path / "odd [name]", "before")
    kill(python(KILLED_WHILE_WRITING, str(path)), "writing")
    assert path.read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 2
    write_text(path, "after")
    assert list(tmp_path.iterdir()) == [path]


HOLD = """
import sys, time
from pathlib import Path
from ubn_sweep.file_lock import file_lock
with file_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_tells_its_holder_and_is_freed_by_its_death(tmp_path):
    path = tmp_path / "new" / "lock"
    holder = python(HOLD, str(path))
    assert holder.stdout.readline() == "held\n"
    for _ in range(2):  # looking leaves it as it is
        with pytest.raises(HeldError) as caught, file_lock(path):
            pass
        assert caught.value.holder == str(holder.pid)
    kill(holder)
    with file_lock(path):
        assert path.read_text() == str(os.getpid())


def test_a_lock_that_is_freed_in_time_is_waited_for(tmp_path):
    holder = python(HOLD.replace("60", "0.5"), str(tmp_path / "lock"))
    assert holder.stdout.readline() == "held\n"
    with file_lock(tmp_path / "lock", patience_s=60):
        pass
    holder.communicate()


def test_what_is_no_lock_is_not_taken_for_a_held_one(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="directory"), file_lock(tmp_path / "folder"):
        pass


def kill(process, until=None):
    if until is not None:
        assert process.stdout.readline() == f"{until}\n"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
