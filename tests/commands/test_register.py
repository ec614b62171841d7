"""A trained model leaves the house: into MLflow's registry, or a process that has torch and this package alone."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tests.support.processes import REPOSITORY, call_cli
from ubn_sweep.errors import UserError
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.tracking.mlflow.client import connect
from ubn_sweep.training.trained import load_trained

CONFIG = """
dataset: {name: digits, train_examples: 100, test_examples: 60}
model: {name: resnet8, width: 4}
norm: {name: ubn, gate: true, threshold: 0.15}
training: {epochs: 1, batch_size: 50}
device: cpu
"""
ALONE = """
import sys
for name in ("ray", "mlflow", "optuna"):
    sys.modules[name] = None  # importing it raises
import torch
from ubn_sweep.training.trained import load_trained
logits = load_trained(sys.argv[1])(torch.full((3, 1, 8, 8), 100.0))
print(logits.shape[1], torch.isfinite(logits).all().item())
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("registering")
    (place / "best.yaml").write_text(CONFIG)
    return place


def train(place, *arguments):
    told = call_cli(["train", "best.yaml", "--json", *arguments], cwd=place)
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout.splitlines()[-1])


@pytest.mark.slow
def test_a_registered_model_has_signature_and_example_and_answers_as_the_trained_one(place):
    import mlflow
    import torch

    first = train(place, "--register", "digits")
    assert first["model_version"] == "1"
    assert train(place, "--register", "digits")["model_version"] == "1"
    uri = SweepFolder(home=place / "sweeps", name="").default_tracking_uri
    client = connect(uri)
    version = client.get_model_version("digits", "1")
    assert version.run_id == first["run_id"]
    assert version.tags["ubn_sweep.seed"] == "0"
    assert float(version.tags["test_top1"]) == pytest.approx(first["test"])
    source = version.source.removeprefix("file://")
    found = mlflow.models.Model.load(source)
    assert [spec.shape for spec in found.signature.inputs.inputs] == [(-1, 1, 8, 8)]
    assert [spec.shape for spec in found.signature.outputs.inputs] == [(-1, 10)]
    assert found.load_input_example(source).shape == (2, 1, 8, 8)
    pixels = np.random.default_rng(3).integers(0, 256, (5, 1, 8, 8)).astype(np.float32)
    answers = mlflow.pyfunc.load_model(source).predict(pixels)
    with torch.no_grad():
        expected = load_trained(place / "runs" / "best")(torch.from_numpy(pixels)).numpy()
    np.testing.assert_allclose(answers, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_trained_model_loads_without_ray_mlflow_and_optuna(place):
    train(place)
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(place / "runs" / "best")],
        cwd=place, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["10", "True"], done.stderr


@pytest.mark.slow
def test_seeds_register_the_first_not_the_best(place):
    told = train(place, "--seeds", "2", "--register", "several")
    client = connect(SweepFolder(home=place / "sweeps", name="").default_tracking_uri)
    version = client.get_model_version("several", told["model_version"])
    assert version.tags["ubn_sweep.seed"] == str(told["seeds"][0]["seed"]) == "0"


def test_where_nothing_was_trained(tmp_path):
    with pytest.raises(UserError, match="holds no trained model"):
        load_trained(tmp_path)
