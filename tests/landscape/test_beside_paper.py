"""Sweeps beside the paper's tables: statistics, places, differences, and the figures themselves."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from tests.support.journals import START_S, write_sweep
from tests.support.processes import REPOSITORY, call_cli
from ubn_sweep import schema
from ubn_sweep.landscape.beside_paper import Measured, beside_paper, pooled
from ubn_sweep.landscape.published import published
from ubn_sweep.records.events import EpochReported, SweepStarted, TrialCreated, TrialEnded
from ubn_sweep.sweep.spec.loading import load_spec
from ubn_sweep.sweep.spec.space import Space

SPECS = {
    2: ("table2",),
    3: ("table3",),
    4: ("table4",),
    7: ("table7_cifar10", "table7_cifar100"),
    8: ("table8_cifar10", "table8_imagenet"),
}


def spec_named(name, *assignments):
    return load_spec(REPOSITORY / "search_spaces" / "paper" / f"{name}.yaml", assignments)


def configs_of(spec):
    """All that a spec trains: its points, or its whole grid."""
    space = Space(spec)
    points = list(spec.search.points) or space.every_point(1000)
    assert len(points) == spec.search.trials
    return [schema.to_plain(space.config(params)) for params in points]


def write_runs(home, name, configs, curve, *, epoch_s=2.0, std=None, more=None):
    """A sweep whose trials have the accuracies that `curve(config, epoch)` says."""
    spec = {"name": name, "base": configs[0], "space": {"norm.name": {"type": "choice", "values": ["bn", "ubn"]}},
            "objective": {"metric": "val_top1", "mode": "max"}, "search": {"trials": len(configs)}}  # fmt: skip
    events = [SweepStarted(time_s=START_S, sweep_id="0" * 32, name=name, spec=spec, environment={})]
    for number, config in enumerate(configs):
        events.append(TrialCreated(time_s=START_S, trial=number, params={}, config=config, origin="grid"))
        epochs = config["training"]["epochs"]
        for epoch in range(1, epochs + 1):
            metrics = {"val_top1": curve(config, epoch), "val_top5": 0.99, "epoch_s": epoch_s}
            metrics |= ({} if std is None else {"val_top1_std": std}) | (more or {})
            events.append(EpochReported(time_s=START_S, trial=number, epoch=epoch, metrics=metrics))
        events.append(TrialEnded(time_s=START_S, trial=number, status="completed", epoch=epochs))
    write_sweep(home, events)


def test_pooled_groups_are_all_of_their_values():
    dice = np.random.default_rng(0)
    groups = [dice.normal(90, 2, size) for size in (1, 3, 4)]
    found = pooled((len(g), float(g.mean()), float(g.std(ddof=1)) if len(g) > 1 else None) for g in groups)
    whole = np.concatenate(groups)
    assert (found.n, found.mean) == (8, pytest.approx(whole.mean()))
    assert found.std == pytest.approx(whole.std(ddof=1))
    low, high = stats.t.interval(0.95, 7, whole.mean(), stats.sem(whole))
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_what_is_not_known_is_not_told():
    assert pooled([]) is None
    assert pooled([(1, 90.0, None), (1, 91.0, None)]).low is None
    assert pooled([(3, 90.0, None)]).std is None


@pytest.mark.parametrize("number", SPECS)
def test_each_row_of_a_table_is_one_training_of_its_specs_under_its_protocol(number):
    found = []
    for name in SPECS[number]:
        spec = spec_named(name)
        assert spec.early_stopping is None
        for place, config in enumerate(configs_of(spec)):
            flat = {
                key: list(value) if isinstance(value, tuple) else value
                for key, value in _flat(config).items()
            }
            curve = dict.fromkeys(range(1, config["training"]["epochs"] + 1), 0.9)
            found.append(
                Measured(
                    sweep=name,
                    trial=place,
                    config=flat,
                    workers=1,
                    curve=curve,
                    seconds={},
                    top5=None,
                    std=None,
                )
            )
    by_name = {"imagefolder": "imagenet"}
    for one in found:
        one.config["dataset.name"] = by_name.get(one.config["dataset.name"], one.config["dataset.name"])
    beside = beside_paper(published().tables[number], found, seen=len(found), dataset="imagenet")
    assert [len(row.cells) for row in beside.rows] == [1] * len(found)
    assert all(len(row.cells[0].trials) == 1 for row in beside.rows)
    assert beside.differences == ()
    assert beside.left_out == 0


def _flat(config):
    from ubn_sweep.dotted import flatten

    return flatten(config)


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "imagenet", "figure5", "figure6"])
def test_the_other_specs_are_what_they_say(name):
    spec = spec_named(name)
    configs = configs_of(spec)
    assert {config["training"]["condensation_images"] for config in configs} == {32}
    assert spec.find_task().judges_on_test(spec.base)
    if name == "figure5":
        parts = ("gate", "centering", "scaling", "affine")
        assert len({tuple(config["norm"][part] for part in parts) for config in configs}) == 5
        assert {config["model"]["name"] for config in configs} == {"resnet50", "resnet101"}


def test_the_papers_figures_agree_with_what_it_says_of_them():
    """Section 4.2.2 tells these gains on ImageNet, and 2.1 and 1.4 as the largest on CIFAR."""
    tables = published().tables

    def gains(number):
        rows = {(row.model, row.norm): row for row in tables[number].parts[0].rows}
        return {
            model: round(row.top1 - rows[model, "bn"].top1, 2)
            for (model, norm), row in rows.items()
            if norm == "ubn"
        }

    assert list(gains(2).values()) == [3.27, 4.32, 2.86, 3.28]
    assert gains(4)["resnet50"] == pytest.approx(2.1, abs=0.05)
    assert max(gains(3).values()) == pytest.approx(1.65)
    assert [len(part.rows) for number in (3, 4, 7, 8) for part in tables[number].parts] == [
        17,
        10,
        15,
        10,
        6,
        6,
    ]
    rows = [row for table in tables.values() for part in table.parts for row in part.rows]
    assert all(row.top1 is None or 50 < row.top1 < (row.top5 or 100) <= 100 for row in rows)


def test_means_intervals_and_differences_are_told(tmp_path):
    configs = configs_of(
        spec_named("table4", "training.epochs=2", "optimizer.lr=0.2", "dataset.train_examples=500")
    )
    values = {"bn": 0.92, "ubn": 0.94}
    write_runs(
        tmp_path / "sweeps", "mine", configs, lambda config, _: values[config["norm"]["name"]], std=0.01
    )
    done = call_cli(["table", "4", "--from", "mine", "--json"], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["source"] == "arXiv 2311.15993v2"
    first, second = found["rows"][:2]
    assert (first["published"]["top1"], second["published"]["top1"]) == (93.65, 93.80)
    top1 = second["cells"][0]["top1"]
    assert (top1["n"], top1["mean"], top1["std"]) == (3, pytest.approx(94.0), pytest.approx(1.0))
    half = stats.t.ppf(0.975, 2) / math.sqrt(3)
    assert (top1["low"], top1["high"]) == (pytest.approx(94 - half), pytest.approx(94 + half))
    assert found["differences"] == [
        "training.epochs is 2, in the paper 200",
        "optimizer.lr is 0.2, in the paper 0.1",
        "dataset.train_examples is 500, in the paper all",
    ]
    shown = call_cli(["table", "4", "--from", "mine"], cwd=tmp_path).stderr
    assert "93.65" in shown
    assert "differs: training.epochs is 2, in the paper 200" in shown


def test_several_sweeps_several_thresholds_and_trials_without_a_place(tmp_path):
    base = spec_named("table4", "repeats=1", "training.epochs=1", "dataset.validate_on_test=false")
    (ubn,) = [c for c in configs_of(base) if (c["model"]["name"], c["norm"]["name"]) == ("resnet18", "ubn")]
    other = {**ubn, "norm": {**ubn["norm"], "threshold": 0.3}}
    off = {**ubn, "norm": {**ubn["norm"], "centering": False}}
    for name, accuracy in (("a", 0.90), ("b", 0.92), ("c", 0.94)):
        write_runs(tmp_path / "sweeps", name, [ubn, other, off], lambda *_, accuracy=accuracy: accuracy)
    done = call_cli(["table", "4", "--from", "a", "b", "c", "--json"], cwd=tmp_path)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["left_out"] == 3
    cells = found["rows"][1]["cells"]
    assert [cell["threshold"] for cell in cells] == [0.15, 0.3]
    assert cells[0]["top1"]["n"] == 3
    assert cells[0]["top1"]["low"] < 92 < cells[0]["top1"]["high"]
    assert (
        "accuracies are of images held out of the training set, in the paper of the test set"
        in found["differences"]
    )


def test_the_time_to_batchnorms_accuracy(tmp_path):
    configs = configs_of(spec_named("table8_cifar10", "training.epochs=8"))

    def curve(config, epoch):
        if config["model"]["name"] == "vgg11_bn" and config["norm"]["name"] == "ubn":
            return 0.1
        return min(0.9, 0.2 * epoch) if config["norm"]["name"] == "ubn" else 0.1 * epoch

    write_runs(tmp_path / "sweeps", "mine", configs, curve)
    found = json.loads(
        call_cli(["table", "8", "--from", "mine", "--json"], cwd=tmp_path).stdout.splitlines()[-1]
    )
    rows = {
        (row["published"]["model"], row["published"]["norm"]): row for row in found["rows"] if row["cells"]
    }
    bn, ubn = (rows["resnet34", norm]["cells"][0] for norm in ("bn", "ubn"))
    assert (bn["epochs"]["mean"], bn["seconds"]["mean"]) == (8.0, 16.0)
    assert (ubn["epochs"]["mean"], ubn["seconds"]["mean"], ubn["never"]) == (4.0, 8.0, 0)  # 0.8
    assert (rows["vgg11_bn", "ubn"]["cells"][0]["epochs"], rows["vgg11_bn", "ubn"]["cells"][0]["never"]) == (
        None,
        1,
    )
    shown = call_cli(["table", "8", "--from", "mine"], cwd=tmp_path).stderr
    assert "1 h 00 min" in shown


@pytest.mark.parametrize(("accumulate", "workers", "same"), [(3, 1, True), (1, 3, True), (1, 1, False)])
def test_batches_of_a_step_are_gathered_or_of_several_workers(tmp_path, accumulate, workers, same):
    configs = configs_of(spec_named("table4", "training.epochs=1", f"training.accumulate={accumulate}"))
    more = {} if workers == 1 else {"workers": float(workers)}
    write_runs(tmp_path / "sweeps", "mine", configs, lambda *_: 0.9, more=more)
    told = call_cli(["table", "4", "--from", "mine", "--json"], cwd=tmp_path).stdout.splitlines()[-1]
    lines = [line for line in json.loads(told)["differences"] if "a step takes" in line]
    assert lines == ([] if same else ["a step takes 1 batches with statistics of their own, in the paper 3"])


def test_parquet_stands_for_what_the_user_says(tmp_path):
    configs = configs_of(spec_named("table7_cifar10", "training.epochs=1", "dataset.name=parquet"))
    write_runs(tmp_path / "sweeps", "mine", configs, lambda *_: 0.9)
    told = ["table", "7", "--from", "mine", "--json"]
    unknown = json.loads(call_cli(told, cwd=tmp_path).stdout.splitlines()[-1])
    assert unknown["left_out"] == 15
    known = json.loads(call_cli([*told, "--dataset", "cifar10"], cwd=tmp_path).stdout.splitlines()[-1])
    assert known["left_out"] == 0


def test_the_test_set_chooses_nothing():
    from ubn_sweep.errors import UserError

    with pytest.raises(UserError, match="early_stopping: nothing may choose between trials"):
        spec_named("cifar10", "early_stopping={grace_epochs: 1}")
    with pytest.raises(UserError, match=r"search.sampler: nothing may choose .* but the sampler `auto` does"):
        spec_named("cifar10", "search.sampler=auto")
