"""What the terminal shows while a sweep runs."""

import io

from rich.console import Console

from tests.support.processes import REPOSITORY
from ubn_sweep.commands.live import duration, render, summary_line
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.explaining.outlook import Watcher
from ubn_sweep.sweep.spec.loading import load_spec


def shown(state, tmp_path, notice=None, width=140):
    folder = SweepFolder(home=tmp_path, name="quickstart")
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=False).print(
        render(Watcher(state).look(), state.spec, folder, notice)
    )
    return out.getvalue()


def make_state():
    spec = load_spec(REPOSITORY / "search_spaces" / "digits.yaml", ["search.sampler=random"])
    return SweepState(spec, record=lambda event: None)


def test_a_sweep_that_has_just_started(tmp_path):
    text = shown(make_state(), tmp_path)
    assert "0/60 trials" in text
    assert "0 completed" in text


def test_running_trials_the_best_and_the_notice(tmp_path):
    state = make_state()
    first, second = state.next_trial(), state.next_trial()
    for epoch in range(1, state.max_epochs + 1):
        state.report(first.number, epoch, {"val_top1": 0.5 + epoch / 100})
    state.report(second.number, 1, {"val_top1": 0.4321})
    text = shown(state, tmp_path, notice="MLflow: connection refused (12 records wait)")
    assert "1/60 trials" in text
    assert "65.00%" in text  # the best, at full budget
    assert "43.21%" in text
    assert f"1/{state.max_epochs}" in text
    assert "12 records wait" in text


def test_a_narrow_terminal_leaves_columns_out_and_cuts_none(tmp_path):
    state = make_state()
    first = state.next_trial()
    state.report(first.number, 1, {"val_top1": 0.4321})
    state.next_trial()
    for width, left_out in ((40, True), (60, True), (80, True), (160, False)):
        lines = shown(state, tmp_path, width=width).splitlines()
        head = next(line for line in lines if "trial " in line and "epoch" in line)
        assert head.split()[:3] == ["trial", "epoch", "val_top1"]
        assert ("+" in head) == left_out
        assert any("0/60 trials" in line and "epochs/s" in line for line in lines) or width < 60
        table = lines[lines.index(head) :]
        assert all(len(line) <= width for line in table)
        assert not any("…" in line for line in table)
        assert any("43.21%" in line for line in table)


def test_many_running_trials_do_not_fill_the_screen(tmp_path):
    state = make_state()
    for _ in range(40):
        state.next_trial()
    text = shown(state, tmp_path)
    assert "28 more" in text
    assert len(text.splitlines()) < 25


def test_one_line_for_logs():
    state = make_state()
    outlook = Watcher(state).look()
    assert summary_line(outlook, state.spec) == "0/60 trials (none ended), time left not known yet"


def test_durations():
    assert [duration(s) for s in (0.4, 59.6, 61, 3599, 3600, 7325)] == [
        "0 s",
        "1 min 00 s",
        "1 min 01 s",
        "59 min 59 s",
        "1 h 00 min",
        "2 h 02 min",
    ]
