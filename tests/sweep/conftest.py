"""A small spec whose trials cost next to nothing."""

from pathlib import Path

import pytest
import yaml

from ubn_sweep.sweep.running.ray.environment import prepare_ray_environment
from ubn_sweep.sweep.spec.loading import load_spec

SPEC = {
    "name": "small",
    "task": "tests.support.trainables:train",
    "base": {"training": {"epochs": 9}},
    "space": {
        "norm.gate": {"type": "choice", "values": [True, False]},
        "norm.threshold": {"type": "float", "low": 0.0, "high": 0.6, "when": {"norm.gate": True}},
        "norm.affine": {"type": "choice", "values": ["pointwise", "depthwise"]},
        "norm.kernel_size": {"type": "ordered", "values": [1, 3, 5], "when": {"norm.affine": "depthwise"}},
        "training.batch_size": {"type": "int", "low": 16, "high": 64, "step": 16},
    },
    "search": {"trials": 10, "sampler": "random"},
    "early_stopping": {"grace_epochs": 1, "reduction_factor": 3},
}


@pytest.fixture
def write_spec(tmp_path):
    """Writes the small spec with some keys replaced, and returns its path."""

    def write(**changes) -> Path:
        path = tmp_path / "small.yaml"
        path.write_text(yaml.safe_dump({**SPEC, **changes}, sort_keys=False))
        return path

    return write


@pytest.fixture
def small_spec(write_spec):
    """The small spec, loaded, with some keys replaced."""
    return lambda **changes: load_spec(write_spec(**changes))


@pytest.fixture(scope="module")
def epoch_log(tmp_path_factory):
    """A file to which workers write each epoch that they train."""
    return tmp_path_factory.mktemp("log") / "epochs.txt"


@pytest.fixture(scope="module")
def cluster(epoch_log):
    """A Ray cluster of this process's own, for the tests of one module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEST_EPOCH_LOG", str(epoch_log))  # workers inherit it
        prepare_ray_environment(local=True)
        import ray

        ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
        yield
        ray.shutdown()


@pytest.fixture
def empty_log(epoch_log):
    """What the tests before wrote is gone."""
    epoch_log.write_text("")
    epoch_log.with_suffix(".died").unlink(missing_ok=True)
