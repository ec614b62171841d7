"""The benchmark of false alarms: whole sweeps through the real sampler, kept one by one, told as tables."""

import json

import pytest

from benchmarks import landscape_null
from benchmarks.landscape.null_report import is_error, markdown
from benchmarks.landscape.worlds import MATTER, METHODS, WORLDS, original, world


def test_what_is_an_error_depends_on_the_truth():
    assert is_error("parameter_matters:norm.momentum", "nothing")
    assert not is_error("parameter_matters:norm.momentum", "others")
    assert is_error("threshold_range", "others")
    assert not is_error("threshold_range", "cliff")
    assert is_error("condensation:gate_open", "cliff")
    assert WORLDS.keys() == MATTER.keys()


@pytest.mark.parametrize("method", METHODS)
def test_methods_are_the_quickstarts_own_sweep(method):
    sweep = original(method)
    assert sweep.spec.search.trials == 60
    assert sweep.spec.search.audit_every is not None
    assert sweep.spec.search.sampler == ("random" if method == "random" else "auto")
    assert sweep.spec.search.goal == ("map" if method == "map" else "best")


def test_curves_are_the_same_for_the_same_seed_and_trial():
    sweep = original("random")
    params = {"norm.momentum": 0.1, "norm.scaling": None, "training.batch_size": 32, "norm.threshold": 0.7}
    fates = [world("cliff", sweep, seed).fate(3, params) for seed in (1, 1, 2)]
    assert (fates[0].curve == fates[1].curve).all()
    assert (fates[0].curve != fates[2].curve).any()
    assert fates[0].measures == fates[1].measures


def test_sweeps_are_kept_and_not_made_again(tmp_path, capsys, monkeypatch):
    made = []
    monkeypatch.setattr(
        landscape_null, "said_of", lambda sweep, world, seed: made.append(seed) or ["gate_gain"]
    )
    path = tmp_path / "records.jsonl"
    for sweeps in ("2", "3"):
        landscape_null.main(["--worlds", "nothing", "--sweeps", sweeps, "--records", str(path)])
    assert made == [0, 1, 2]
    landscape_null.main(["--records", str(path), "--print"])
    told = capsys.readouterr().out
    assert told == markdown([json.loads(line) for line in path.read_text().splitlines()]) + "\n"
    assert "| nothing | random    |   3 |" in told
    assert "3 !" in told
    assert "nothing, random: gate_gain 3" in told


@pytest.mark.slow
def test_a_sweep_is_made_and_read(tmp_path):
    path = tmp_path / "records.jsonl"
    landscape_null.main(["--worlds", "cliff", "--sweeps", "1", "--records", str(path)])
    (record,) = map(json.loads, path.read_text().splitlines())
    assert any("norm.threshold" in claim or claim.startswith("threshold") for claim in record["said"])
