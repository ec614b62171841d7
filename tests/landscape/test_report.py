"""The report stands alone, whatever became of the sweep."""

import html
import json
import re
import xml.etree.ElementTree as ET

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.landscape.pages import check
from tests.support.journals import SPACE, hill, sweep_events, with_second, write_sweep
from ubn_sweep.errors import UserError
from ubn_sweep.landscape import build_report
from ubn_sweep.landscape.figures import FIGURES
from ubn_sweep.landscape.figures.style import NARROW
from ubn_sweep.records.folder import SweepFolder

pytestmark = pytest.mark.usefixtures("few_resamples")
THRESHOLD = {"norm.threshold": SPACE["norm.threshold"] | {"when": {}}}


@pytest.mark.slow
def test_a_whole_sweep(tmp_path):
    folder = write_sweep(tmp_path, sweep_events(60, truth=hill))
    report = build_report(folder)
    text = check(report)
    assert [path.stem for path in report.figures] == [
        "profile", "by", "pairs", "threshold", "importance", "effects", "ablation", "parameters", "rectifiers",
        "condensation", "layers", "ledger", "course",
    ]  # fmt: skip
    assert report.html == folder.report
    for path in report.figures:
        assert ET.parse(path.with_suffix(".svg")).getroot().tag.endswith("svg")
        assert path.with_suffix(".svg") in report.artifacts
    assert pq.read_table(report.observations).num_rows > 60
    assert any(sentence.startswith("Set the threshold ") for sentence in report.summary)
    assert text.count("<tr") > 10
    assert json.loads(report.numbers.read_text())["ranking"]["full_budget"]
    check_on_a_phone(text)
    check_without_scripts(text, report.summary)


def check_without_scripts(text, summary):
    """The answer comes first, marks have titles, and a slider that would do nothing is not shown."""
    answer = re.findall(r"<li>(.*?)</li>", re.search(r'<ol class="answer">.*?</ol>', text, re.DOTALL)[0])
    assert len(answer) == 3
    assert answer[0].startswith("Set the threshold ")
    assert all(any(html.unescape(first) in sentence for sentence in summary) for first in answer)
    assert '<div class="epochs" hidden="hidden">' in text
    named = set(re.findall(r'<a class="mark"><title>trial (\d+)', text))
    assert len(named) > 30
    assert "trial:" not in text


def check_on_a_phone(text):
    """Each figure with panels beside each other has them beneath each other, too; the page shows one of both."""
    assert ".narrow { display: none; }" in text
    for entry in FIGURES:
        if (
            entry.name == "layers"
        ):  # a map of as many columns as layers, which says nothing that the others do not
            continue
        if entry.name in ("front", "failure_map"):  # of two objectives, and of sweeps in which trials fail
            continue
        inside = re.search(rf'aria-labelledby="{entry.name}-title">.*?</section>', text, re.DOTALL)[0]
        assert inside.count("<svg") == 2
        assert '<div class="scroll wide">' in inside
        box = re.search(r'<div class="narrow"><svg[^>]*viewBox="0 0 ([\d.]+) ', inside)
        assert float(box[1]) <= NARROW * 72 + 1


def test_a_sweep_with_two_objectives(tmp_path):
    events = sweep_events(20, stops=(), space={key: SPACE[key] for key in ("training.batch_size",)})
    events = with_second(events, "parameters", lambda params: 1000.0 * params["training.batch_size"])
    folder = write_sweep(tmp_path, events)
    report = build_report(folder)
    text = check(report)
    assert next(path.stem for path in report.figures) == "front"
    numbers = json.loads(report.numbers.read_text())["front"]
    on_it, others = numbers["on_it"], numbers["others"]
    assert 1 < len(on_it) <= 3
    for point in others:
        assert any(one["first"] >= point["first"] and one["second"] <= point["second"] for one in on_it)
    assert re.match(
        rf"By validation accuracy and trained parameters, none beats {len(on_it)} of {len(on_it) + len(others)} "
        rf"finished trials in both: from trial {on_it[0]['trial']} \(\d\d.\d\d%, ",
        report.summary[1],
    )
    assert report.summary[2].startswith("Best by validation accuracy alone of")
    assert "judged by validation accuracy and trained parameters" in text
    rows = re.findall(r"<tr[^>]*><td.*?</tr>", text, re.DOTALL)
    told = [re.search(r'<th scope="row" class="number">(\d+)', row)[1] for row in rows]
    assert told[: len(on_it)] == [str(point["trial"]) for point in on_it]
    assert ['<span class="start">front</span>' in row for row in rows] == [
        place < len(on_it) for place in range(len(rows))
    ]
    inside = re.search(r'aria-labelledby="front-title">.*?</section>', text, re.DOTALL)[0]
    assert inside.count("<svg") == 2
    lowest = min(point["first"] for point in on_it)
    below = [point["first"] for point in others if point["first"] < lowest]
    middle = sorted((point["first"] for point in (*on_it, *others)), reverse=True)[9]
    hidden = sum(score < middle for score in below)
    assert hidden == 0 or f" {hidden} trial" in inside
    assert ("lie outside the figure" in inside) == (hidden > 0)


@pytest.mark.parametrize("case", ["no trial", pytest.param("one finished", marks=pytest.mark.slow)])
def test_two_objectives_whatever_became_of_the_sweep(tmp_path, case):
    events = with_second(sweep_events(**CASES[case]), "epoch_s", lambda params: 1.5)
    report = build_report(write_sweep(tmp_path, events))
    check(report)
    found = [path.stem for path in report.figures if path.stem == "front"]
    assert found == (["front"] if case == "one finished" else [])


CASES = {
    "no trial": {"trials": 0, "ended": False},
    "one finished": {"trials": 1},
    "two finished": {"trials": 2, "stops": ()},
    "all failed": {"trials": 4, "statuses": dict.fromkeys(range(4), "failed")},
    "all diverged": {"trials": 4, "statuses": dict.fromkeys(range(4), "diverged")},
    "still running": {"trials": 12, "statuses": dict.fromkeys(range(3, 12), "running"), "ended": False},
    "one parameter": {"trials": 20, "space": {"norm.momentum": SPACE["norm.momentum"]}},
    "threshold alone": {"trials": 20, "space": THRESHOLD, "stops": ()},
    "constants": {"trials": 20, "space": {"norm.centering": {"type": "choice", "values": [True]}}},
    "one epoch": {"trials": 20, "epochs": 1},
    "loss": {"trials": 20, "metric": "val_loss"},
    "same scores": {"trials": 20, "noise": 0.0, "truth": lambda params: 1.0, "stops": ()},
}


OFTEN = ("no trial",)


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=() if case in OFTEN else pytest.mark.slow) for case in CASES]
)
def test_any_sweep(tmp_path, case):
    check(build_report(write_sweep(tmp_path, sweep_events(**CASES[case]))))


def test_what_users_write_is_escaped(tmp_path):
    events = sweep_events(2)
    evil = "<script>alert(1)</script> & \"quotes\" 'too'"
    events[0].spec["description"] = evil
    text = check(build_report(write_sweep(tmp_path, events)))
    assert "<script>alert" not in text
    assert "&lt;script&gt;" in text


@pytest.mark.slow
def test_it_is_written_again(tmp_path):
    folder = write_sweep(tmp_path, sweep_events(3))
    first = build_report(folder).html.read_bytes()
    assert build_report(folder).html.read_bytes() == first


def test_no_journal(tmp_path):
    with pytest.raises(UserError, match="journal"):
        build_report(SweepFolder(home=tmp_path, name="none"))


@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    trials=st.integers(0, 14),
    seed=st.integers(0, 1000),
    epochs=st.integers(1, 5),
    keys=st.sets(st.sampled_from(sorted(SPACE)), min_size=1),
    statuses=st.dictionaries(st.integers(0, 13), st.sampled_from(["failed", "diverged", "running"])),
)
@pytest.mark.slow
def test_odd_sweeps(tmp_path_factory, trials, seed, epochs, keys, statuses):
    space = {key: SPACE[key] | {"when": {}} for key in keys if key not in ("norm.gate", "norm.affine")}
    space = space or {"norm.momentum": SPACE["norm.momentum"]}
    events = sweep_events(trials, seed=seed, epochs=epochs, space=space, statuses=statuses)
    check(build_report(write_sweep(tmp_path_factory.mktemp("odd"), events)))
