"""The command line as users meet it: one line for what is wrong, exit code 2, and nothing half-written."""

import json
import os

import pytest
import yaml

from tests.support.processes import REPOSITORY, call_cli, run_cli

QUICKSTART = str(REPOSITORY / "search_spaces" / "quickstart.yaml")
SMALL = REPOSITORY / "search_spaces" / "cifar10_small.yaml"


def fails(arguments, cwd, *expected):
    done = call_cli(arguments, cwd=cwd)
    assert done.returncode == 2, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    for part in expected:
        assert part in lines[0]
    assert not (cwd / "sweeps").exists()


def test_validate_shows_the_resolved_space_and_starts_nothing(tmp_path):
    done = call_cli(["validate", QUICKSTART], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for part in (
        "norm.threshold",
        "norm.gate is true",
        "first, warm start: paper",
        "compared after epochs",
        "valid",
    ):
        assert part in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_validate_as_json(tmp_path):
    done = call_cli(["validate", QUICKSTART, "--json", "--set", "training.batch_size=32"], cwd=tmp_path)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["valid"] is True
    assert found["spec"]["base"]["training"]["batch_size"] == 32
    assert found["order"].index("norm.gate") < found["order"].index("norm.threshold")


def test_preview_says_what_a_sweep_will_cost(tmp_path):
    done = call_cli(
        ["preview", QUICKSTART, "--epoch-seconds", "60", "--workers", "4", "--json"], cwd=tmp_path
    )
    cost = json.loads(done.stdout.splitlines()[-1])
    assert cost["basis"] == "model"
    assert 0 < cost["epochs"]["low"] <= cost["epochs"]["mean"] <= cost["epochs"]["high"]
    assert cost["trial_hours"]["mean"] == pytest.approx(cost["epochs"]["mean"] / 60)
    told = call_cli(["preview", QUICKSTART], cwd=tmp_path).stderr
    assert "without early stopping" in told
    assert "--epoch-seconds" in told


@pytest.mark.parametrize("command", ["run", "validate", "preview"])
def test_a_missing_spec(command, tmp_path):
    fails([command, "absent.yaml"], tmp_path, "absent.yaml", "cannot be read")


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("norm.treshold=0.2", ["norm.treshold", "did you mean `threshold`"]),
        ("training.epochs=none", ["training.epochs"]),
        ("dataset.name=mnits", ["dataset.name", "digits"]),
        ("model.name=resnet9000", ["model.name", "resnet8"]),
        ("search.trials=0", ["trials >= 1"]),
        ("nonsense", ["KEY=VALUE"]),
        ("task=absent.module:Task", ["task", "absent.module"]),
    ],
)
def test_bad_overrides(assignment, expected, tmp_path):
    fails(["run", QUICKSTART, "--set", assignment], tmp_path, *expected)


@pytest.mark.parametrize("command", ["run", "validate"])
def test_missing_data(command, tmp_path):
    fails([command, str(SMALL)], tmp_path, "dataset.root", "parquet")
    fails(
        [command, str(SMALL), "--set", f"dataset.root={tmp_path}/absent"],
        tmp_path,
        "dataset.root",
        "does not exist",
    )


@pytest.mark.parametrize("command", [["resume"], ["landscape"], ["export"], ["sync"], ["ui"]])
def test_an_unknown_sweep(command, tmp_path):
    fails([*command, "absent"], tmp_path, "unknown sweep `absent`", "ubn-sweep run")


def test_options_that_do_not_exist_or_do_not_fit(tmp_path):
    fails(["run", QUICKSTART, "--nonsense"], tmp_path, "--nonsense")
    fails(["frobnicate"], tmp_path, "frobnicate")
    fails(["run"], tmp_path, "SPEC")
    fails(["run", QUICKSTART, "--cpus", "none"], tmp_path, "--cpus")
    fails(["run", QUICKSTART, "--name", "../up"], tmp_path, "letters, digits")


def test_no_ray_cluster_at_the_address(tmp_path):
    done = run_cli(["run", QUICKSTART, "--ray-address", "127.0.0.1:1"], cwd=tmp_path)
    assert done.returncode == 2
    assert "no cluster at `127.0.0.1:1`" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_tracking_store_that_can_never_work(tmp_path):
    fails(["run", QUICKSTART, "--set", "tracking.uri=./runs"], tmp_path, "tracking URI", "sqlite:///")


def test_an_unwritable_folder(tmp_path):
    # Root may write anywhere: a file in the folder's place is refused to everybody.
    (tmp_path / "sweeps").write_text("in the way")
    done = call_cli(["run", QUICKSTART], cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "cannot be written" in done.stderr
    assert (tmp_path / "sweeps").read_text() == "in the way"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to any folder")
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    done = call_cli(["run", QUICKSTART], cwd=tmp_path)
    tmp_path.chmod(0o700)
    assert done.returncode == 2
    assert "cannot be written" in done.stderr


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"norm": {"treshold": 1}}, ["norm.treshold", "did you mean"]),
        ({"dataset": {"name": "parquet"}}, ["dataset.root"]),
        ({"training": {"batch_size": 1}}, ["batch_size >= 2"]),
        ([1, 2], ["mapping"]),
    ],
)
def test_bad_configs_for_the_final_training(content, expected, tmp_path):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content))
    fails(["train", "config.yaml"], tmp_path, *expected)
    assert not (tmp_path / "runs").exists()


def test_help_and_version(tmp_path):
    assert "landscape" in run_cli(["--help"], cwd=tmp_path).stdout
    assert run_cli(["--version"], cwd=tmp_path).returncode == 0


def test_failures_are_json_where_json_was_asked_for(tmp_path):
    done = call_cli(["validate", "absent.yaml", "--json"], cwd=tmp_path)
    assert done.returncode == 2
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["exit_code"] == 2
    assert done.stderr.strip() == f"error: {told['error']}"
