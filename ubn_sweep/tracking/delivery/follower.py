"""Followers of the journal: each copies it to a store in its own thread, and never holds up what is recorded."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ubn_sweep.certificates import why_untrusted
from ubn_sweep.masking import masked
from ubn_sweep.records.folder import JournalFolder
from ubn_sweep.records.journal import BLOCK_BYTES
from ubn_sweep.tracking.delivery.cursor import delivering_alone
from ubn_sweep.tracking.delivery.deliver import BATCH_EVENTS, Delivery
from ubn_sweep.tracking.delivery.sink import Sink

ERROR_LENGTH = 300
PATIENCE_S = 60.0
"""How long the end waits for a store that lags; `ubn-sweep sync` delivers the rest."""
LEAST_S = 10.0
"""A store that answers errors is tried for so long at least, before it is given up."""
LAG_WORTH_TELLING = 200


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How often a follower looks, and how patient it is, in seconds."""

    poll_s: float = 0.25
    """Between looks at the journal; what happens meanwhile travels together."""
    first_retry_s: float = 0.5
    """After a failure; doubled with each further one."""
    longest_retry_s: float = 30.0


class Follower:
    """Tails a journal and delivers it to a sink.

    A sink that raises is offered the same events again, ever more seldom. What has not arrived when the
    process ends arrives with the next follower. It watches the journal by itself.
    """

    def __init__(
        self,
        folder: JournalFolder,
        sink: Sink,
        *,
        pace: Pace = Pace(),
        batch_events: int = BATCH_EVENTS,
    ) -> None:
        self.store = sink.store
        """What people call the sink's store."""
        self._load = sink.load
        self._delivery = Delivery(folder, sink, batch_events=batch_events)
        self._cursor = sink.cursor
        self._pace = pace
        self._last_error: str | None = None
        self._lines = _LineCount(folder.journal)
        self._news = threading.Condition()
        self._failures = 0
        self._wanted = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"follower: {sink.store}", daemon=True)

    @property
    def lag(self) -> int:
        """Events in the journal that have not been delivered yet."""
        return max(self._lines.up_to_end() - self._delivery.delivered, 0)

    @property
    def last_error(self) -> str | None:
        """Why the last attempt failed, on one line; None when it went well."""
        return self._last_error

    def start(self) -> None:
        self._load()
        self._thread.start()

    def wait_until_caught_up(self, timeout_s: float, *, attempts: int = 4, least_s: float = 0.0) -> bool:
        """Waits until all that is in the journal by now has been delivered; whether it was.

        Tries at once, whatever the pause after earlier failures, and gives up when so many attempts have failed, but
        not before `least_s` seconds: on a busy machine a store answers errors before it answers.
        """
        begun_s = time.monotonic()
        target = self._lines.up_to_end()
        most_failures = self._failures + attempts
        self._wanted.set()

        def over() -> bool:
            waited = time.monotonic() - begun_s >= least_s
            given_up = (waited and self._failures >= most_failures) or not self._thread.is_alive()
            return self._delivery.delivered >= target or given_up

        with self._news:
            self._news.wait_for(over, timeout_s)
        return self._delivery.delivered >= target

    def stop(self, timeout_s: float) -> bool:
        """Ends the thread behind the batch under way; False if that takes longer than the time given."""
        self._stopping = True
        self._wanted.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # ---------------------------------------------------------------- in the thread

    def _run(self) -> None:
        retry_s = self._pace.first_retry_s
        while not self._stopping:
            try:
                with delivering_alone(self._cursor) as alone:
                    if not alone:
                        raise RuntimeError("another process delivers these records")
                    while not self._stopping:
                        more = self._delivery.deliver_batch()
                        retry_s, self._last_error = self._pace.first_retry_s, None
                        self._tell_waiting()
                        if not more:
                            self._rest(self._pace.poll_s)
            except Exception as error:  # whatever a store's client raises, this tries again
                self._last_error = describe(error)
                self._failures += 1
                self._tell_waiting()
                hurried = self._rest(retry_s)
                retry_s = (
                    self._pace.first_retry_s if hurried else min(retry_s * 2, self._pace.longest_retry_s)
                )
        self._tell_waiting()

    def _rest(self, seconds: float) -> bool:
        """Whether someone cut the rest short."""
        hurried = self._wanted.wait(seconds)
        self._wanted.clear()
        return hurried

    def _tell_waiting(self) -> None:
        with self._news:
            self._news.notify_all()


class Followers:
    """The followers of one journal. None of them holds it up; what they could not deliver is told at the end."""

    def __init__(self, folder: JournalFolder, sinks: Iterable[Sink]) -> None:
        self._followers = [Follower(folder, sink) for sink in sinks]
        self.undelivered: dict[str, str] = {}
        """Store -> why not all arrived there."""

    def start(self) -> None:
        for follower in self._followers:
            follower.start()

    def finish(self, patience_s: float = PATIENCE_S) -> None:
        """Waits for what is under way, as long as it is told for each, and ends them."""
        for follower in self._followers:
            if not follower.wait_until_caught_up(patience_s, least_s=LEAST_S):
                self.undelivered[follower.store] = follower.last_error or "it is slow"
            follower.stop(timeout_s=5)

    def lags(self) -> dict[str, int]:
        """Store -> records that it does not hold yet."""
        return {follower.store: follower.lag for follower in self._followers}

    def notice(self) -> str | None:
        """A line for the live table where a store lags or answers errors."""
        parts = []
        for follower in self._followers:
            if follower.last_error is not None:
                parts.append(f"{follower.store}: {follower.last_error} ({follower.lag} records wait)")
            elif follower.lag > LAG_WORTH_TELLING:
                parts.append(f"{follower.store}: {follower.lag} records wait")
        return "; ".join(parts) or None


class _LineCount:
    """Counts the whole lines of a growing file; each call reads only what is new."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._count = 0
        self._lock = threading.Lock()

    def up_to_end(self) -> int:
        with self._lock:
            if self._path.exists() and self._path.stat().st_size > self._offset:
                with self._path.open("rb") as file:
                    file.seek(self._offset)
                    while new := file.read(BLOCK_BYTES):
                        self._offset += len(new)
                        self._count += new.count(b"\n")
            return self._count


def describe(error: BaseException) -> str:
    """An error on one line of bearable length, without passwords and without the statement that a database refused."""
    untrusted = why_untrusted(error)
    whole = " ".join(f"{type(error).__name__}: {error}".split()) if untrusted is None else untrusted
    text = masked(whole.partition(" [SQL: ")[0])
    return text if len(text) <= ERROR_LENGTH else text[: ERROR_LENGTH - 3] + "..."
