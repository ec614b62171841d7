"""The benchmark of maps: its truths, its sweeps on the real state, and what it writes."""

import json

import numpy as np
import pytest

from benchmarks import landscape_accuracy
from benchmarks.landscape import truth
from benchmarks.landscape.families import FAMILIES, family
from benchmarks.landscape.sweeps import METHODS, swept
from benchmarks.landscape.truth import truth_of
from ubn_sweep.surrogate import last_epoch, profile


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(truth, "OTHERS", 64)
    monkeypatch.setattr(profile, "DRAWS", 40)
    monkeypatch.setattr(profile, "OTHERS", 16)
    monkeypatch.setattr(last_epoch, "MOST_FITTED", 40)
    monkeypatch.setattr(landscape_accuracy, "CHECKPOINTS", (60, 90))


def test_the_families_are_what_they_claim():
    found = {name: truth_of(family(name)) for name in FAMILIES}
    assert np.ptp(found["noise"].best) < 0.001
    assert found["cliff"].best[0] - found["cliff"].best[-1] > 0.05
    assert found["crossing"].best[-1] > found["crossing"].best[0]
    assert 4 <= found["conditional"].best.argmax() <= 6  # at 0.25 of 0.8
    ridge = family("ridge")
    assert (found["ridge"].best >= found["ridge"].average).all()
    assert (found["ridge"].average >= ridge.floor).all()


def test_a_sweep_sees_the_same_reports_each_time():
    task = family("conditional")
    first, again = (swept(task, "random", seed=0, budget_epochs=80) for _ in range(2))
    assert first.reports == again.reports
    assert len(first.reports) == 80
    seen = first.seen(task, 50)
    assert len(seen) == 50
    assert (np.diff(seen.trial) >= 0).all()
    assert all(("threshold" in p) == (p["gate"] == "on") for p in first.params)


def test_the_command_prints_and_records(tmp_path, capsys):
    file, text = tmp_path / "r.json", tmp_path / "r.md"
    methods = "random; random, all to the end"
    outputs = ["--json", str(file), "--markdown", str(text)]
    landscape_accuracy.main(["--families", "cliff", "--methods", methods, *outputs])
    records = json.loads(file.read_text())
    assert {record["method"] for record in records} == {"random", "random, all to the end"} <= set(METHODS)
    assert {record["epochs"] for record in records} == {60, 90}
    assert all(0 <= record["covered"]["best"] <= 1 for record in records)
    assert "| random " in text.read_text()
    assert "cliff/threshold" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="--families"):
        landscape_accuracy.main([])
