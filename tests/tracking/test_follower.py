"""The follower with stores made up for the test: what it does to the sweep, and what it does to its sink."""

import threading
import time

import pytest

from tests.support.processes import wait_until
from tests.tracking.builders import sweep_events, write_journal
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import Journal
from ubn_sweep.tracking.delivery.cursor import delivering_alone, read_cursor, write_cursor
from ubn_sweep.tracking.delivery.follower import Follower, Pace

QUICK = Pace(poll_s=0.01, first_retry_s=0.02, longest_retry_s=0.1)
EVENTS = sweep_events(10)


class ListSink:
    """Keeps what it is given; raises, waits or forgets where told to."""

    store, address = "a list", "here"

    def __init__(self, failures=0, holds=True):
        self.events = []
        self.failures = failures
        self.holds = holds
        self.resumed_with = None
        self.attempts_s = []
        self.gate = threading.Event()
        self.gate.set()

    resumes_from = ()

    def load(self):
        self.loaded_in = threading.current_thread()

    def resume(self, events):
        self.resumed_with = list(events)
        self._fail()
        return self.holds

    def deliver(self, events):
        self.gate.wait()
        self._fail()
        self.events += events

    def _fail(self):
        self.attempts_s.append(time.monotonic())
        if self.failures > 0:
            self.failures -= 1
            raise ConnectionError("the store\nis away")


@pytest.fixture
def folder(tmp_path):
    found = SweepFolder(home=tmp_path, name="small")
    found.path.mkdir()
    return found


@pytest.fixture
def follow(folder):
    """Starts followers, and ends them with the test."""
    started = []

    def start(sink, **settings):
        sink.cursor = cursor(folder)
        follower = Follower(folder, sink, **{"pace": QUICK, **settings})
        follower.start()
        started.append((follower, sink))
        return follower

    yield start
    for follower, sink in started:
        sink.gate.set()
        assert follower.stop(5)


def cursor(folder):
    return folder.delivered("test", "somewhere")


@pytest.mark.parametrize("batch_events", [1, 3, 500])
def test_all_arrives_once_and_in_order_while_it_is_written(folder, follow, batch_events):
    sink = ListSink()
    follower = follow(sink, batch_events=batch_events)
    with Journal(folder.path) as journal:
        for event in EVENTS:
            journal.append(event)
    assert follower.wait_until_caught_up(5)
    assert repr(sink.events) == repr(EVENTS)
    assert (follower.lag, follower.last_error) == (0, None)


def test_a_journal_that_is_not_there_yet_is_waited_for(folder, follow):
    sink = ListSink()
    follower = follow(sink)
    time.sleep(0.1)
    write_journal(folder.path, EVENTS)
    assert follower.wait_until_caught_up(5)
    assert len(sink.events) == len(EVENTS)


def test_failures_are_tried_again_ever_more_seldom(folder, follow):
    write_journal(folder.path, EVENTS)
    sink = ListSink(failures=5)
    follower = follow(sink)
    wait_until(lambda: follower.lag == 0, timeout_s=10)
    assert repr(sink.events) == repr(EVENTS)
    pauses = [b - a for a, b in zip(sink.attempts_s[1:5], sink.attempts_s[2:6], strict=True)]
    assert pauses[0] < pauses[2]
    assert all(pause < 1 for pause in pauses)


def test_an_error_is_told_and_forgotten_when_it_is_over(folder, follow):
    write_journal(folder.path, EVENTS)
    sink = ListSink(failures=10**9)
    follower = follow(sink)
    began_s = time.monotonic()
    assert not follower.wait_until_caught_up(60)
    assert time.monotonic() - began_s < 5
    assert follower.last_error == "ConnectionError: the store is away"
    assert follower.lag == len(EVENTS)
    sink.failures = 0
    assert follower.wait_until_caught_up(5)
    assert follower.last_error is None


def test_a_store_that_hangs_holds_up_neither_the_writer_nor_the_end(folder, follow):
    sink = ListSink()
    sink.gate.clear()
    follower = follow(sink)
    slowest_s, began_s = 0.0, time.monotonic()
    with Journal(folder.path) as journal:
        for event in EVENTS:
            before_s = time.monotonic()
            journal.append(event)
            slowest_s = max(slowest_s, time.monotonic() - before_s)
    assert time.monotonic() - began_s < 2
    assert not follower.wait_until_caught_up(0.1)
    assert follower.lag == len(EVENTS)
    assert not follower.stop(0.1)


def test_what_the_end_cut_off_arrives_with_the_next_follower(folder, follow):
    write_journal(folder.path, EVENTS)
    first = ListSink()
    follower = follow(first, batch_events=4)
    assert follower.wait_until_caught_up(5)
    follower.stop(5)
    with Journal(folder.path) as journal:
        journal.append(EVENTS[-1])
    second = ListSink()
    assert follow(second).wait_until_caught_up(5)
    assert repr(second.resumed_with) == repr(EVENTS)
    assert repr(second.events) == repr(EVENTS[-1:])


def test_a_store_that_lost_something_gets_everything(folder, follow):
    write_journal(folder.path, EVENTS)
    write_cursor(cursor(folder), folder.journal.stat().st_size)
    sink = ListSink(holds=False)
    assert follow(sink).wait_until_caught_up(5)
    assert repr(sink.events) == repr(EVENTS)


@pytest.mark.parametrize(
    "content", ["", "{", '{"offset": -3}', '{"offset": 7}', '{"offset": 99999999}', "[]"]
)
def test_a_cursor_that_makes_no_sense_starts_over(folder, follow, content):
    write_journal(folder.path, EVENTS)
    cursor(folder).parent.mkdir()
    cursor(folder).write_text(content)
    assert read_cursor(cursor(folder), folder.journal) == 0
    sink = ListSink()
    assert follow(sink).wait_until_caught_up(5)
    assert repr(sink.events) == repr(EVENTS)


def test_only_one_process_delivers_at_a_time(folder, follow):
    write_journal(folder.path, EVENTS)
    sink = ListSink()
    with delivering_alone(cursor(folder)) as alone:
        assert alone
        follower = follow(sink)
        assert not follower.wait_until_caught_up(0.2)
        assert "another process" in follower.last_error
        assert sink.events == []
    assert follower.wait_until_caught_up(5)


def test_cursors_of_different_stores_differ_and_hide_passwords(folder):
    first = folder.delivered("mlflow", "postgresql://me:secret@host/db", "ubn-sweep")
    second = folder.delivered("mlflow", "postgresql://me:secret@host/db", "other")
    assert first != second
    assert "secret" not in str(first)


def test_what_it_costs_the_writer(folder, follow, capsys):
    """The writer does nothing for a follower, so this is the price of the journal and of sharing the interpreter."""
    times = {}
    for name, followed in (("alone", False), ("followed", True)):
        if followed:
            follow(ListSink())
        with Journal(folder.path) as journal:
            began_s = time.perf_counter()
            for _ in range(50):
                for event in EVENTS:
                    journal.append(event)
            times[name] = (time.perf_counter() - began_s) / (50 * len(EVENTS)) * 1e6
    with capsys.disabled():
        print(f"\njournal append: {times['alone']:.0f} us alone, {times['followed']:.0f} us followed")
