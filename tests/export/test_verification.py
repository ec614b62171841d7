"""`verify`: the first epochs once more, beside the recorded ones; what differs, and what seeds' spread explains."""

import dataclasses
import json

import numpy as np
import pytest

from tests.support.journals import sweep_events, write_sweep
from tests.support.processes import call_cli
from tests.training.builders import tiny_config
from ubn_sweep import schema
from ubn_sweep.errors import UserError
from ubn_sweep.export import export_configs
from ubn_sweep.export.bundle import Bundle, BundleFolder, Curve, Parents, read_bundle
from ubn_sweep.export.verification import check_epochs, differences, verified
from ubn_sweep.records.events import EpochReported, TrialCreated
from ubn_sweep.records.metrics import SHARE, Metric
from ubn_sweep.training.classification.run import TrainingRun

TOP1 = Metric(name="val_top1", label="validation accuracy", direction="max", unit=SHARE)
LOSS = Metric(name="val_loss", label="validation loss", direction="min")
HERE = {
    "python": "3.11.9", "ubn_sweep": "0.2.0", "system": "Linux x86_64", "git_revision": "a" * 40,
    "versions": {"torch": "2.9.0"},
}  # fmt: skip


def bundle_of(tmp_path, curves, **changes):
    parents = Parents(sweep="s", sweep_id="i", trial=0, trials=(0,))
    pins = {"python": "3.11.9", "ubn-sweep": "0.2.0", "torch": "2.9.0"}
    bundle = Bundle(
        task="t", parents=parents, promise={}, git_revision="a" * 40, pins=pins, system="Linux x86_64", data="d",
        seeds=(0,), commands={}, files={},
    )  # fmt: skip
    return BundleFolder(path=tmp_path, bundle=dataclasses.replace(bundle, **changes), curves=tuple(curves))


def curve(trial, values, **more):
    epochs = {epoch: {"val_top1": value} for epoch, value in enumerate(values, start=1)}
    return Curve(trial=trial, seed=trial, repeats=1, epochs=epochs, **more)


def found(*values):
    return {epoch: {"val_top1": value} for epoch, value in enumerate(values, start=1)}


def test_each_difference_is_one_line(tmp_path):
    folder = bundle_of(tmp_path, [])
    assert differences(folder, environment=HERE, data="d") == []
    other = {**HERE, "versions": {"torch": "2.10.0"}, "git_revision": "b" * 40, "system": None}
    lines = differences(folder, environment=other, data="e")
    assert lines == [
        "data: fingerprint d -> e",
        "torch 2.9.0 -> 2.10.0",
        f"git_revision {'a' * 40} -> {'b' * 40}",
        "system Linux x86_64 -> unknown",
    ]
    unknown = bundle_of(tmp_path, [], data=None, mixed_versions=True)
    assert [line.split()[0] for line in differences(unknown, environment=HERE, data="d")] == ["data:", "the"]


def test_with_one_seed_the_tolerance_is_rounding(tmp_path):
    folder = bundle_of(tmp_path, [curve(0, [0.5, 0.6])])
    same = verified(folder, [TOP1, LOSS], found(0.5, 0.6 + 1e-9))
    assert (same.reproduced, same.is_same, same.basis) == (True, True, "rounding")
    other = verified(folder, [TOP1], found(0.5, 0.61))
    assert (other.reproduced, other.replicates) == (False, 1)
    assert "after epoch 2 is 61.00%, and 60.00% is recorded" in other.sentence
    assert "elsewhere this may be chance" in other.sentence


def test_with_several_seeds_it_is_their_spread(tmp_path):
    folder = bundle_of(tmp_path, [curve(n, [value]) for n, value in enumerate((0.50, 0.52, 0.48, 0.51))])
    near = verified(folder, [TOP1], found(0.515))
    assert (near.reproduced, near.is_same, near.basis, near.replicates) == (True, False, "seeds", 4)
    assert "would not have shown" in near.sentence
    far = verified(folder, [TOP1], found(0.62))
    assert not far.reproduced
    assert "outside of the spread of 4 seeds" in far.sentence


def test_repeats_within_a_trial_tell_of_their_own_metric_alone(tmp_path):
    epochs = {1: {"val_top1": 0.5, "val_top1_std": 0.01, "val_loss": 1.0}}
    folder = bundle_of(tmp_path, [Curve(trial=0, seed=0, repeats=3, epochs=epochs)])
    near = verified(folder, [TOP1, LOSS], {1: {"val_top1": 0.51, "val_loss": 1.3}})
    assert (near.reproduced, near.basis, near.replicates) == (True, "repeats", 3)
    assert [row.holds for row in near.compared] == [True, None]
    assert not verified(folder, [TOP1, LOSS], {1: {"val_top1": 0.6, "val_loss": 1.0}}).reproduced


@pytest.mark.parametrize("seeds", [3, 8])
def test_a_faithful_training_is_seldom_called_unfaithful(tmp_path, seeds):
    """At most 5 of 100, over all epochs together, where another machine makes another seed of it; 64 of 1,000 are two
    binomial errors more."""
    dice = np.random.default_rng(seeds)
    alarms = 0
    for _ in range(1000):
        level = dice.normal(0, 0.01, (seeds + 1, 1)) + dice.normal(0, 0.01, (seeds + 1, 3)) + (0.5, 0.6, 0.7)
        folder = bundle_of(tmp_path, [curve(n, row.tolist()) for n, row in enumerate(level[1:])])
        alarms += not verified(folder, [TOP1], found(*level[0].tolist())).reproduced
    assert alarms <= 64


def test_what_is_not_finite_is_compared_too(tmp_path):
    folder = bundle_of(tmp_path, [curve(0, [None])])
    assert verified(folder, [TOP1], found(float("nan"))).reproduced
    assert not verified(folder, [TOP1], found(0.5)).reproduced


def test_epochs_that_cannot_be_compared(tmp_path):
    assert check_epochs(bundle_of(tmp_path, [curve(0, [0.5, 0.6])]), None, usual=3) == 2
    with pytest.raises(UserError, match=r"records 2 epochs, but got 3"):
        check_epochs(bundle_of(tmp_path, [curve(0, [0.5, 0.6])]), 3, usual=3)
    with pytest.raises(UserError, match="changed after epoch 1"):
        check_epochs(bundle_of(tmp_path, [curve(0, [0.5, 0.6], changed_after=1)]), None, usual=3)
    with pytest.raises(UserError, match="no first epoch"):
        check_epochs(bundle_of(tmp_path, [curve(0, [])]), None, usual=3)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """Of a sweep that really trained: one tiny trial, two epochs."""
    home = tmp_path_factory.mktemp("verified")
    config = tiny_config(training={"epochs": 2}, norm={"name": "ubn"})
    run = TrainingRun(config)
    real = {epoch: run.train_epoch() for epoch in (1, 2)}
    events = []
    for event in sweep_events(1, epochs=2, stops=()):
        if isinstance(event, TrialCreated):
            event = dataclasses.replace(event, config=schema.to_plain(config))
        elif isinstance(event, EpochReported):
            event = dataclasses.replace(event, metrics=real[event.epoch])
        events.append(event)
    (path,) = export_configs(write_sweep(home, events), top=1, out=home / "configs")
    return path.with_suffix("")


def test_a_training_on_the_same_machine_is_the_same(bundle, tmp_path):
    told = call_cli(["verify", str(bundle), "--json"], cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    content = json.loads(told.stdout.splitlines()[-1])
    assert (content["reproduced"], content["is_same"], content["epochs"]) == (True, True, 2)
    assert {item["metric"] for item in content["compared"]} == {
        "val_top1",
        "val_loss",
        "train_loss",
        "train_top1",
    }
    shorter = call_cli(["verify", str(bundle), "--epochs", "1"], cwd=tmp_path)
    assert "Reproduced: the first epoch is the same" in " ".join(shorter.stderr.split()) + shorter.stdout


def test_a_training_that_comes_out_otherwise_ends_with_1(bundle, tmp_path):
    content = json.loads((bundle / "curves.json").read_text())
    before = (bundle / "curves.json").read_text()
    content[0]["epochs"]["2"]["val_loss"] += 0.1
    try:
        (bundle / "curves.json").write_text(json.dumps(content))
        told = call_cli(["verify", str(bundle), "--json"], cwd=tmp_path)
    finally:
        (bundle / "curves.json").write_text(before)
    assert told.returncode == 1
    assert "Not reproduced: validation loss after epoch 2" in told.stderr
    result = json.loads(told.stdout.splitlines()[-1])
    assert not result["reproduced"]
    assert "curves.json is not what was exported" in result["differences"]


def test_bad_input_ends_with_2(bundle, tmp_path):
    for arguments, rule in (
        ((str(bundle), "--set", "seed=3"), "makes another config of it"),
        ((str(bundle), "--epochs", "9"), "records 2 epochs, but got 9"),
        ((str(tmp_path),), "holds no bundle.json"),
    ):
        told = call_cli(["verify", *arguments], cwd=tmp_path)
        assert told.returncode == 2
        assert rule in told.stderr
    assert read_bundle(bundle).bundle.commands["verify"] == f"ubn-sweep verify {bundle.name}"
