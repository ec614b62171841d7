"""A data set of one's own, beside nothing but a spec, the whole way through the command line; killed on the way."""

import json
import shutil

import pytest
import yaml

from tests.support.processes import REPOSITORY, call_cli, kill_all, start_cli, wait_until
from tests.training.builders import write_own_images

SPEC = {
    "name": "mine",
    "base": {
        "dataset": {"name": "my_images:MyImages", "root": "images", "options": {"classes": 3}},
        "model": {"name": "resnet8", "width": 4},
        "training": {"epochs": 3, "batch_size": 16},
    },
    "space": {"optimizer.lr": {"type": "float", "low": 0.01, "high": 0.1, "log": True}},
    "search": {"trials": 4, "sampler": "random"},
    "early_stopping": None,
}


def last_json(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A user's folder: a class, a spec and arrays."""
    place = tmp_path_factory.mktemp("own_images")
    shutil.copy(REPOSITORY / "tests" / "support" / "own_images.py", place / "my_images.py")
    (place / "spec.yaml").write_text(yaml.safe_dump(SPEC, sort_keys=False))
    (place / "images").mkdir()
    write_own_images(place / "images")
    return place


def test_validate_looks_at_the_data_and_at_the_options(place):
    found = last_json(call_cli(["validate", "spec.yaml", "--json"], cwd=place))
    assert found["spec"]["base"]["dataset"]["options"] == {"classes": 3}
    for assignment, expected in (
        ("dataset.root=absent", "dataset.root: must be a folder, but `absent` does not exist"),
        ("dataset.options.clases=3", "dataset.options.clases: unknown key (did you mean `classes`?)"),
        ("dataset.name=my_images:Mine", "`my_images` has no data set `Mine`; it has MyImages"),
    ):
        done = call_cli(["validate", "spec.yaml", "--set", assignment], cwd=place)
        assert done.returncode == 2
        assert expected in " ".join(done.stderr.split())
        assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_it_is_swept_resumed_exported_and_trained_for_good(place):
    process = start_cli(["run", "spec.yaml", "--cpus", "1"], cwd=place)
    journal = place / "sweeps" / "mine" / "journal.jsonl"
    wait_until(
        lambda: (journal.exists() and '"event":"epoch"' in journal.read_text()) or process.poll() is not None,
        timeout_s=120,
    )
    kill_all(process)
    sweep = last_json(call_cli(["resume", "mine", "--cpus", "1", "--json"], cwd=place))
    assert sweep["trials"]["failed"] == 0
    assert sum(sweep["trials"].values()) == 4
    (path,) = last_json(call_cli(["export", "mine", "--top", "1", "--json"], cwd=place))["configs"]
    final = last_json(call_cli(["train", path, "--json"], cwd=place))
    assert 0 <= final["test"] <= 1
