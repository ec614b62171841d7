"""How far something long is: lines where nobody looks at a terminal, bars where somebody does."""

import io
import threading

import pytest
from rich.console import Console

from tests.support.processes import wait_until
from ubn_sweep.commands import bars
from ubn_sweep.progress import LINE_EVERY_S, Lines, how_far, progress, shown_by


class Clock:
    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


def test_lines_come_now_and_then():
    told, clock = [], Clock()
    with shown_by(Lines(told.append, clock)), progress("decoding images", total=200) as advance:
        for _ in range(100):
            clock.now_s += LINE_EVERY_S / 10
            advance(2)
    assert told[:2] == ["decoding images: 20 of 200 (10%)", "decoding images: 40 of 200 (20%)"]
    assert len(told) == 10


def test_what_is_over_soon_says_nothing():
    told, clock = [], Clock()
    with shown_by(Lines(told.append, clock)), progress("decoding images", total=3) as advance:
        clock.now_s += LINE_EVERY_S * 0.9
        advance(3)
    assert told == []


def test_by_itself_it_goes_to_standard_error(capsys, monkeypatch):
    monkeypatch.setattr("ubn_sweep.progress.LINE_EVERY_S", 0.0)
    with progress("downloading a.tar.gz", total=4_000_000, unit="B") as advance:
        advance(1_000_000)
    out, err = capsys.readouterr()
    assert (out, err) == ("", "downloading a.tar.gz: 1.0 of 4.0 MB (25%)\n")


def test_threads_count_together():
    told, clock = [], Clock()
    with shown_by(Lines(told.append, clock)), progress("files") as advance:
        threads = [threading.Thread(target=lambda: [advance(1) for _ in range(500)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        clock.now_s += LINE_EVERY_S
        advance(1)
    assert told == ["files: 2,001"]


@pytest.mark.parametrize(
    ("done", "total", "unit", "text"),
    [
        (1200, 50_000, "", "1,200 of 50,000 (2%)"),
        (1200, None, "", "1,200"),
        (3_400_000, 170_500_000, "B", "3.4 of 170.5 MB (2%)"),
        (3_400_000, None, "B", "3.4 MB"),
        (0, 0, "", "0 of 0"),
    ],
)
def test_how_far(done, total, unit, text):
    assert how_far(done, total, unit) == text


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of 100 columns, and what it was sent."""
    sent = io.StringIO()
    console = Console(file=sent, force_terminal=True, width=100, markup=False, highlight=False)
    monkeypatch.setattr(bars, "console", console)
    return sent


def shows(terminal, *texts):
    """Displays are drawn ten times a second."""
    wait_until(lambda: all(text in terminal.getvalue() for text in texts), timeout_s=20)


def test_a_terminal_sees_bars_for_steps_and_for_what_is_counted_within_them(terminal):
    with bars.working("the report") as at:
        at("drawing figures", 3, 8)
        with progress("decoding [images]", total=10) as advance:
            advance(4)
            shows(
                terminal, "the report: drawing figures", "3 of 8 (38%)", "decoding [images]", "4 of 10 (40%)"
            )
    assert "\x1b[2K" in terminal.getvalue()  # wiped away


def test_what_is_counted_alone_has_a_bar_while_it_lasts(terminal):
    with bars.counted():
        assert terminal.getvalue() == ""
        with progress("downloading", total=2_000_000, unit="B") as advance:
            advance(2_000_000)
            shows(terminal, "downloading", "2.0 of 2.0 MB (100%)")


def test_a_pipe_gets_lines_with_percents(monkeypatch):
    sent = io.StringIO()
    monkeypatch.setattr(bars, "console", Console(file=sent, width=4000))
    monkeypatch.setattr("ubn_sweep.progress.LINE_EVERY_S", 0.0)
    with bars.working("sync") as at:
        at("records to MLflow", 500, 2000)
        with progress("downloading", total=2_000_000, unit="B") as advance:
            advance(500_000)
    assert sent.getvalue().splitlines() == [
        "sync: records to MLflow, 500 of 2,000 (25%)",
        "downloading: 0.5 of 2.0 MB (25%)",
    ]


def test_in_a_pipe_what_is_soon_over_says_nothing(monkeypatch):
    monkeypatch.setattr(bars, "console", Console(file=(quiet := io.StringIO()), force_terminal=False))
    with bars.working("sync") as at:
        at("records to MLflow", 500, 1000)
    assert quiet.getvalue() == ""
