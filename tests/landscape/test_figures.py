"""Figures are entries of one list, and fit any task."""

import dataclasses
import json
import re
import subprocess
import sys

import pytest

from tests.landscape.pages import check
from tests.support.journals import hill, nothing, sweep_events, write_sweep
from ubn_sweep.landscape import build_report, figures
from ubn_sweep.landscape.figures import FIGURES, ReportFigure
from ubn_sweep.landscape.figures.style import new_figure
from ubn_sweep.landscape.read import read_sweep
from ubn_sweep.landscape.views.choices import choices_view
from ubn_sweep.records.events import EpochReported, TrialCreated
from ubn_sweep.records.metrics import Metric
from ubn_sweep.records.observations import observations
from ubn_sweep.records.task import TaskRecord

pytestmark = pytest.mark.usefixtures("few_resamples")
SPACE = {
    "optimizer.rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
    "model.layers": {"type": "int", "low": 1, "high": 4},
    "model.cell": {"type": "choice", "values": ["lstm", "gru"]},
}
GLUCOSE = TaskRecord(
    name="glucose:Forecast",
    subject="a recurrent net on glucose curves",
    metrics=(Metric(name="val_mae", label="mean absolute error", direction="min", unit="mg/dl"),),
    example="patient",
    examples=120,
    columns=("model", "optimizer"),
    choices=("model.cell",),
    titles={"optimizer.rate": "learning rate"},
)


def glucose_events(trials=40, space=SPACE, **options):
    """A sweep of another task, judged by a loss with a unit; its config has no norm, no images and no gate."""
    events = sweep_events(trials, space=space, truth=nothing, **options)
    spec = {**events[0].spec, "task": GLUCOSE.name, "base": {"training": {"epochs": 9}}}
    spec["objective"] = {"metric": "val_mae", "mode": "min"}
    events[0] = dataclasses.replace(events[0], spec=spec, task=GLUCOSE.to_plain())
    for place, event in enumerate(events):
        if isinstance(event, TrialCreated):
            config = {}
            for key, value in event.params.items():
                section, name = key.split(".")
                config.setdefault(section, {})[name] = value
            events[place] = dataclasses.replace(event, config=config)
        if isinstance(event, EpochReported):
            error = 50 * (1 - event.metrics["val_top1"])
            events[place] = dataclasses.replace(event, metrics={"val_mae": error, "train_mae": error})
    return events


@dataclasses.dataclass(frozen=True)
class Scores:
    """A view of a figure's own."""

    found: tuple


def entry(name, **changes):
    base = ReportFigure(
        name=name,
        title="Scores <sorted>",
        numbers=lambda landscape: Scores(found=tuple(t.score for t in landscape.sweep.finished)),
        applies=lambda view: True,
        draw=draw,
        finding=lambda sweep, view: f"{len(sweep.trials)} trials & no more.",
        how=lambda sweep, view: "Each dot is a trial.",
    )
    return dataclasses.replace(base, **changes)


def draw(sweep, view):
    figure, (axes,) = new_figure(1)
    axes.plot(sorted(view.found), "o")
    return figure


def never(sweep, view):
    raise AssertionError("what does not apply is neither drawn nor captioned")


def test_names_are_files_of_their_own():
    names = [figure.name for figure in FIGURES]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() and name.islower() for name in names)


def test_a_figure_is_one_entry(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "FIGURES", (FIGURES[-1], entry("sorted_scores")))
    report = build_report(write_sweep(tmp_path, sweep_events(12, truth=hill, stops=())))
    assert [path.name for path in report.figures] == ["course.png", "sorted_scores.png"]
    text = report.html.read_text()
    assert "Scores &lt;sorted&gt;</h2>" in text
    assert '<p class="finding">12 trials &amp; no more.</p>' in text
    assert "<figcaption>Each dot is a trial.</figcaption>" in text
    numbers = json.loads(report.numbers.read_text())
    assert len(numbers["sorted_scores"]["found"]) == 12


def test_what_does_not_apply_is_left_out(tmp_path, monkeypatch):
    absent = entry("absent", applies=lambda view: False, draw=never, finding=never, how=never)
    monkeypatch.setattr(figures, "FIGURES", (absent, FIGURES[-1]))
    report = build_report(write_sweep(tmp_path, sweep_events(4)))
    assert [path.name for path in report.figures] == ["course.png"]
    assert "absent" not in report.html.read_text()


@pytest.mark.slow
def test_another_task_speaks_its_own_words(tmp_path):
    report = build_report(write_sweep(tmp_path, glucose_events()))
    text = check(report)
    assert [path.stem for path in report.figures] == [
        "importance", "effects", "parameters", "rectifiers", "ledger", "course",
    ]  # fmt: skip
    said = " ".join([re.sub(r"<[^>]*>", " ", text), *re.findall(r'aria-label="([^"]*)"', text)]).lower()
    for word in ("image", "accuracy", "rectifier", "norm.", "gate ", "threshold", "top1", "points"):
        assert word not in said, word
    assert "about 120 validation patients" in text
    assert "mean absolute error (mg/dl)" in text
    assert "learning rate" in text
    assert "No score has a ±: the standard error of the mean absolute error is not recorded." in text
    numbers = json.loads(report.numbers.read_text())
    scores = [row["trial"]["curve"]["9"] for row in numbers["ranking"]["trials"]]
    assert scores == sorted(scores)
    assert f"{scores[0]:.4g} mg/dl" in " ".join(report.summary)


@pytest.mark.parametrize(
    "options", [{"trials": 0, "ended": False}, {"trials": 1}, {"trials": 3, "stops": ()}]
)
def test_another_task_with_few_trials(tmp_path, options):
    check(build_report(write_sweep(tmp_path, glucose_events(**options))))


def test_choices_that_are_numbers_come_in_their_order():
    space = SPACE | {"model.cell": {"type": "choice", "values": [11, 3, 0.5]}}
    sweep = read_sweep(observations(glucose_events(space=space)))
    (choice,) = choices_view(sweep).choices
    assert [group.value for group in choice.groups] == ["0.5", "3", "11"]


def test_naming_the_report_loads_no_plots():
    code = "import sys, ubn_sweep.landscape; sys.exit(any(name in sys.modules for name in ('matplotlib', 'torch')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
