"""A second driver where locks do not travel: it is noticed by the first one's sign of life."""

import os
import threading
import time

import pytest

from tests.support.trainables import sign_of_another
from ubn_sweep.errors import UserError
from ubn_sweep.records.events import EpochReported
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import read_journal
from ubn_sweep.sweep.running import lock, presence
from ubn_sweep.sweep.running.in_process import InProcessExecutor
from ubn_sweep.sweep.running.launch import Surroundings, resume_sweep, start_sweep
from ubn_sweep.sweep.running.lock import sweep_lock


@pytest.fixture
def folder(tmp_path):
    folder = SweepFolder(home=tmp_path / "sweeps", name="small")
    folder.path.mkdir(parents=True)
    return folder


@pytest.fixture
def patience(monkeypatch):
    """Seconds in place of a minute."""
    monkeypatch.setattr(presence, "SILENT_S", 1.2)
    monkeypatch.setattr(presence, "WATCH_S", 1.2)


def test_a_living_driver_on_another_machine_is_noticed(folder):
    sign_of_another(folder.driver)
    over, told = threading.Event(), []

    def live():
        while not over.wait(0.1):
            os.utime(folder.driver)

    thread = threading.Thread(target=live)
    thread.start()
    try:
        with (
            pytest.raises(UserError, match="running already, on another machine") as caught,
            sweep_lock(folder, told.append),
        ):
            pass
    finally:
        over.set()
        thread.join()
    assert "\n" not in str(caught.value)
    assert f"ubn-sweep stop {folder.typed}" in str(caught.value)
    assert told == ["another machine ran this sweep: looking for up to 60 s whether it still does"]
    assert "another" in folder.driver.read_text()


@pytest.mark.parametrize("age_s", [0, 10_000])
def test_a_dead_one_is_waited_for_and_followed(folder, patience, age_s):
    sign_of_another(folder.driver)
    os.utime(folder.driver, (time.time() - age_s,) * 2)
    with sweep_lock(folder):
        assert presence.is_mine(folder.driver)
        assert presence.is_alive(folder.driver)
    assert not folder.driver.exists()
    assert sorted(path.name for path in folder.path.iterdir()) == ["lock"]


def test_who_ends_meanwhile_is_not_waited_for(folder):
    sign_of_another(folder.driver)
    threading.Timer(0.3, folder.driver.unlink).start()
    with sweep_lock(folder):
        assert presence.is_mine(folder.driver)


def test_what_this_machine_left_behind_costs_no_wait(folder):
    presence.appear(folder.driver)
    told = []
    with sweep_lock(folder, told.append):
        pass
    assert told == []


def test_of_two_that_start_at_once_on_a_network_file_system_one_goes_on(folder, monkeypatch):
    monkeypatch.setattr(lock, "network_file_system", lambda path: "nfs4")
    monkeypatch.setattr(lock, "SETTLE_S", 0.5)
    threading.Timer(0.2, sign_of_another, [folder.driver]).start()
    with pytest.raises(UserError, match="on another machine"), sweep_lock(folder):
        pass
    assert "another" in folder.driver.read_text()


def test_a_driver_that_was_taken_for_dead_records_nothing_more(small_spec, tmp_path, patience, monkeypatch):
    folder = SweepFolder(home=tmp_path / "sweeps", name="small")
    monkeypatch.setenv("TEST_DRIVER_FILE", str(folder.driver))
    spec = small_spec(
        task="tests.support.trainables:be_taken_over", early_stopping=None, search={"trials": 1}
    )
    here = Surroundings(executor=InProcessExecutor())
    with pytest.raises(UserError, match="another machine has taken over this sweep"):
        start_sweep(spec, home=folder.home, name="small", surroundings=here)
    events = read_journal(folder.path)
    assert isinstance(events[-1], EpochReported)
    assert events[-1].epoch == 2
    assert "another" in folder.driver.read_text(), "the other one's sign of life is left alone"
    monkeypatch.setenv("TEST_DRIVER_FILE", str(tmp_path / "nowhere"))
    assert resume_sweep(folder, surroundings=here).finished
