"""A task of one's own, beside its spec, the whole way through the command line."""

import json
import shutil
from pathlib import Path

import mlflow
import pyarrow.parquet as pq
import pytest
import torch
import yaml

from tests.support.processes import REPOSITORY, call_cli, run_cli

SPEC = REPOSITORY / "search_spaces" / "table_regression.yaml"
TASK = "my_table:TableRegression"


def last_json(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A project of a user's: a copy of the recipe beside a spec, in a folder of their own."""
    place = tmp_path_factory.mktemp("own_task")
    (place / "specs").mkdir()
    shutil.copy(REPOSITORY / "trainables" / "table_regression.py", place / "specs" / "my_table.py")
    content = yaml.safe_load(SPEC.read_text())
    content |= {"name": "table", "task": TASK, "search": {"trials": 8, "sampler": "random"}}
    content["base"]["training"]["epochs"] = 6
    (place / "specs" / "table.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return place


@pytest.fixture(scope="module")
def sweep(place):
    return last_json(call_cli(["run", "specs/table.yaml", "--executor", "in-process", "--json"], cwd=place))


@pytest.fixture(scope="module")
def config(sweep, place):
    (path,) = last_json(call_cli(["export", "table", "--top", "1", "--json"], cwd=place))["configs"]
    return place / path


@pytest.fixture(scope="module")
def training(config, place):
    """The final training's end."""
    return call_cli(["train", str(config), "--json"], cwd=place)


def test_it_is_validated_with_its_own_keys(place):
    found = last_json(call_cli(["validate", "specs/table.yaml", "--json"], cwd=place))
    assert found["spec"]["objective"] == {"metric": "val_rmse", "mode": "min", "constraints": {}}
    assert "net.hidden" in found["order"]
    wrong = call_cli(["validate", "specs/table.yaml", "--set", "net.hiden=3"], cwd=place)
    assert wrong.returncode == 2
    assert "base.net.hiden: unknown key (did you mean `hidden`?)" in wrong.stderr
    assert "those of my_table:TableRegression: val_rmse" in " ".join(
        call_cli(
            ["validate", "specs/table.yaml", "--set", "objective.metric=val_top1"], cwd=place
        ).stderr.split()
    )


def test_it_is_previewed(place):
    cost = last_json(call_cli(["preview", "specs/table.yaml", "--json"], cwd=place))
    assert cost["trials"] == 8


def test_it_is_swept_and_mapped(sweep):
    assert sum(sweep["trials"].values()) == 8
    assert sweep["trials"]["failed"] == sweep["trials"]["diverged"] == 0
    table = pq.read_table(sweep["observations"])
    assert "metrics.val_rmse" in table.column_names
    finals = [row for row in table.to_pylist() if row["status"] == "completed" and row["epoch"] == 6]
    best = min(row["metrics.val_rmse"] for row in finals)
    assert sweep["best"]["score"] == pytest.approx(best)
    html = Path(sweep["report"]).read_text()
    assert "validation RMSE" in html
    assert "on the diabetes table" in html
    assert "resnet8" not in html
    assert (Path(sweep["report"]).parent / "figures" / "threshold.png").is_file()  # its layers have a gate


def test_the_best_config_names_its_task_and_is_trained_by_it(sweep, config, training):
    origin = yaml.safe_load(config.read_text())["provenance"]
    assert (origin["task"], origin["metric"]) == (TASK, "val_rmse")
    assert origin["promised"] == pytest.approx(sweep["best"]["score"])
    final = last_json(training)
    assert (final["task"], final["metric"]) == (TASK, "test_rmse")
    assert "training RMSE" in training.stderr
    run = mlflow.MlflowClient(tracking_uri=sweep["tracking_uri"]).get_run(final["run_id"])
    assert run.data.metrics["test_rmse"] == pytest.approx(final["test"])
    assert run.data.metrics["promised_val_rmse"] == pytest.approx(origin["promised"])


def test_the_trained_model_is_loaded_again_without_its_data(training, config, place):
    from ubn_sweep.training.loading import load_config

    task, parsed = load_config(config)
    model = task.load_model(parsed, place / last_json(training)["checkpoint"])
    assert model(torch.zeros(3, 10)).shape == (3,)


def test_a_changed_key_takes_the_promise_but_not_the_task(sweep, config, place):
    done = call_cli(
        ["train", str(config), "--set", "training.epochs=1", "--out", "changed", "--json"], cwd=place
    )
    final = last_json(done)
    assert final["task"] == TASK
    assert final["promised"] is None
    kept = yaml.safe_load((place / "changed" / "config.yaml").read_text())["provenance"]
    assert kept["changed"] == ["training.epochs=1"]


@pytest.mark.slow
def test_on_ray_its_module_is_found_beside_the_spec(place):
    """Workers start in folders of their own."""
    arguments = [
        "run",
        "specs/table.yaml",
        "--name",
        "on-ray",
        "--cpus",
        "2",
        "--set",
        "search.trials=3",
        "--json",
    ]
    found = last_json(run_cli(arguments, cwd=place))
    assert found["trials"]["failed"] == 0
    assert sum(found["trials"].values()) == 3
