"""The whole main job through the command line, on real images: sweep, map, export, train."""

import json
from pathlib import Path

import mlflow
import pyarrow.parquet as pq
import pytest
import yaml

from tests.support.processes import REPOSITORY, call_cli, run_cli
from ubn_sweep import schema
from ubn_sweep.training.classification.config import ClassificationConfig

QUICKSTART = str(REPOSITORY / "search_spaces" / "quickstart.yaml")
TRIALS, EPOCHS = 7, 4


def last_json(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("main_job")


@pytest.fixture(scope="module")
def sweep(place):
    """The machine-readable end of a small quickstart sweep."""
    overrides = [f"search.trials={TRIALS}", f"training.epochs={EPOCHS}", "early_stopping.grace_epochs=1"]
    arguments = [part for override in overrides for part in ("--set", override)]
    return last_json(run_cli(["run", QUICKSTART, "--cpus", "2", "--json", *arguments], cwd=place))


@pytest.fixture(scope="module")
def configs(sweep, place):
    return [
        place / path
        for path in last_json(
            call_cli(["export", "quickstart", "--top", "2", "--out", "configs", "--json"], cwd=place)
        )["configs"]
    ]


@pytest.fixture(scope="module")
def final(configs, place):
    done = run_cli(["train", str(configs[0]), "--json"], cwd=place)
    result = last_json(done)
    assert result["run_id"] is not None, done.stderr
    return result


def runs_of(uri):
    client = mlflow.MlflowClient(tracking_uri=uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return client, client.search_runs(experiments, max_results=1000)


def test_the_end_says_what_happened_and_where_everything_is(sweep, place):
    assert sweep["sweep"] == "quickstart"
    assert sum(sweep["trials"].values()) == TRIALS
    assert sweep["trials"]["failed"] == 0
    assert sweep["trials"]["completed"] >= 1
    assert 0 < sweep["best"]["score"] <= 1
    assert sweep["best"]["config"]["dataset"]["name"] == "digits"
    for key in ("report", "observations"):
        assert Path(sweep[key]).is_file()
        assert Path(sweep[key]).is_relative_to(place / "sweeps")
    assert sweep["tracking_uri"] == f"sqlite:///{place}/sweeps/mlflow.db"


def test_every_trial_is_a_run_below_the_sweeps(sweep):
    client, runs = runs_of(sweep["tracking_uri"])
    (parent,) = [run for run in runs if run.data.tags.get("ubn_sweep.kind") == "sweep"]
    trials = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert len(trials) == TRIALS
    keys = {frozenset(run.data.params) for run in trials}
    assert len(keys) == 1  # comparable side by side
    for run in trials:
        status, last = run.data.tags["ubn_sweep.status"], int(run.data.tags["ubn_sweep.last_epoch"])
        history = client.get_metric_history(run.info.run_id, "val_top1")
        assert sorted(metric.step for metric in history) == list(range(1, last + 1))
        assert run.info.status == {"completed": "FINISHED", "stopped": "KILLED"}[status]
        gated = run.data.params["norm.gate"] == "true"
        assert any(key.startswith("similarity/") for key in run.data.metrics) == gated
        assert any(key.startswith("gate_open/") for key in run.data.metrics) == gated
        assert run.data.tags["ubn_sweep.version.torch"]
        assert run.data.tags["ubn_sweep.seed"] == run.data.tags["ubn_sweep.trial"]
    assert "landscape.html" in {item.path for item in client.list_artifacts(parent.info.run_id)}
    answer = parent.data.tags["mlflow.note.content"]
    assert f"- {TRIALS} trials: " in answer
    assert f"| {sweep['best']['trial']} | {sweep['best']['score']:.2%} |" in answer
    assert "`sweeps/quickstart`" in answer


def test_the_table_holds_every_epoch_and_how_each_trial_ended(sweep):
    rows = pq.read_table(sweep["observations"]).to_pylist()
    assert {row["trial"] for row in rows} == set(range(TRIALS))
    for row in rows:
        assert 1 <= row["epoch"] <= row["last_epoch"] <= EPOCHS
        assert (row["status"] == "completed") == (row["last_epoch"] == EPOCHS)
        assert 0 <= row["metrics.val_top1"] <= 1
        assert (row["params.norm.threshold"] is None) == (row["params.norm.gate"] is False)
        if row["metrics.gate_open"] is not None:
            assert 0 <= row["metrics.gate_open"] <= 1


def test_the_report_is_one_file_with_figures_beside(sweep):
    html = Path(sweep["report"]).read_text()
    assert "<svg" in html or "data:image/png" in html
    assert 'src="http' not in html
    assert len(list((Path(sweep["report"]).parent / "figures").glob("*.png"))) >= 4


@pytest.mark.slow
def test_landscape_maps_again(sweep, place):
    again = last_json(call_cli(["landscape", "quickstart", "--json"], cwd=place))
    assert again["report"] == sweep["report"]


def test_exported_configs_have_the_trials_schema_and_say_where_they_came_from(sweep, configs):
    parsed = [
        schema.parse(ClassificationConfig, yaml.safe_load(path.read_text()), source=str(path))
        for path in configs
    ]
    best = parsed[0].provenance
    assert (best.sweep, best.trial) == ("quickstart", sweep["best"]["trial"])
    assert best.promised == pytest.approx(sweep["best"]["score"])
    run = mlflow.MlflowClient(tracking_uri=best.tracking_uri).get_run(best.run_id)
    assert run.data.tags["ubn_sweep.trial"] == str(best.trial)


def test_the_final_training_tests_once_and_compares(final, configs, sweep):
    assert final["promised"] == pytest.approx(sweep["best"]["score"])
    assert 0.5 < final["test"] <= 1  # digits are learned in four epochs
    assert Path(final["checkpoint"]).exists()
    client, _ = runs_of(sweep["tracking_uri"])
    run = client.get_run(final["run_id"])
    assert run.data.metrics["test_top1"] == pytest.approx(final["test"])
    assert len(client.get_metric_history(final["run_id"], "test_top1")) == 1
    assert len(client.get_metric_history(final["run_id"], "train_loss")) == EPOCHS
    assert not any(key.startswith("val_") for key in run.data.metrics)  # nothing was held out


@pytest.mark.slow
def test_the_final_training_of_another_config_does_not_touch_it(final, configs, place):
    done = run_cli(
        ["train", str(configs[0]), "--set", "optimizer.lr=0.01", "--out", f"runs/{configs[0].stem}"],
        cwd=place,
    )
    assert done.returncode == 2
    assert "another config" in done.stderr


@pytest.mark.slow
def test_other_stores_are_caught_up_from_the_journal(sweep, place):
    uri = f"sqlite:///{place}/elsewhere.db"
    done = last_json(call_cli(["sync", "quickstart", "--to", uri, "--json"], cwd=place))
    assert sum(done["delivered"].values()) > TRIALS
    _, here = runs_of(sweep["tracking_uri"])
    _, there = runs_of(uri)

    def trials(runs):
        return {
            run.data.tags["ubn_sweep.trial"]: (run.data.params, run.data.metrics)
            for run in runs
            if run.data.tags.get("ubn_sweep.kind") == "trial"
        }

    assert trials(there) == trials(here)


def test_what_an_earlier_sweep_found_can_be_learned_from_and_previewed(sweep, place):
    cost = last_json(call_cli(["preview", QUICKSTART, "--curves-of", "quickstart", "--json"], cwd=place))
    assert cost["basis"] == "curves"
    assert cost["trial_hours"]["mean"] > 0
