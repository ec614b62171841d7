"""`python -m ubn_sweep.training`, as a user starts it."""

import json
import os
import signal
import subprocess
import sys

import pytest
import yaml

from tests.training.builders import tiny_config
from ubn_sweep import schema
from ubn_sweep.training import CHECKPOINT_FILE
from ubn_sweep.training.__main__ import main


@pytest.fixture
def config_path(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(schema.to_plain(tiny_config(training={"epochs": 2}))))
    return path


def command(*arguments) -> list[str]:
    return [sys.executable, "-m", "ubn_sweep.training", *map(str, arguments), "--threads", "1"]


def train(*arguments, cwd=None):
    # A foreign working directory shows that only the installed package is needed.
    return subprocess.run(command(*arguments), capture_output=True, text=True, cwd=cwd)


@pytest.mark.slow
def test_it_trains_tells_and_goes_on(config_path, tmp_path, capsys):
    done = train(config_path, "--json", "--set", "training.epochs=2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["epoch"] == 2
    assert result["diverged"] is False
    assert 0 <= result["metrics"]["val_top1"] <= 1
    assert (tmp_path / result["checkpoint"] / CHECKPOINT_FILE).is_file()
    assert "epoch 1/2" in done.stderr
    assert "s left" in done.stderr

    out = str(tmp_path / result["checkpoint"])
    assert main([str(config_path), "--out", out]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "--resume" in told

    assert main([str(config_path), "--out", out, "--resume", "--json"]) == 0
    captured = capsys.readouterr()
    assert "epoch 1/2" not in captured.err
    resumed = json.loads(captured.out)
    assert resumed["epoch"] == 2
    assert resumed["metrics"]["val_loss"] == result["metrics"]["val_loss"]


def test_divergence_is_told_as_json(config_path, tmp_path, capsys):
    out = tmp_path / "out"
    assert main([str(config_path), "--json", "--set", "optimizer.lr=1e9", "--out", str(out)]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["diverged"] is True
    assert result["metrics"]["val_top1"] is None
    assert result["checkpoint"] is None
    assert not (out / CHECKPOINT_FILE).exists()


def test_bad_input_is_one_line_and_exit_code_2(config_path, tmp_path):
    done = train(config_path, "--set", "optimizer.lrr=1", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "optimizer.lrr: unknown key (did you mean `lr`?)" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "optimizer.lr=-1"], "`lr > 0` must hold, but got -1.0"),
        (["--set", "nonsense"], "--set nonsense: is written KEY=VALUE"),
        (
            ["--set", "dataset.name=cifar10", "--set", "dataset.root=/absent"],
            "dataset.root: must be a folder",
        ),
        (["--set", "dataset.train_examples=5000"], "dataset.train_examples: digits has 1438 such images"),
        (["--out", "/proc/absent"], "--out: `/proc/absent` cannot be made"),
    ],
)
def test_each_mistake_names_its_place(config_path, tmp_path, capsys, arguments, message):
    assert main([str(config_path), "--out", str(tmp_path / "out"), *arguments]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert not (tmp_path / "out" / CHECKPOINT_FILE).exists()


def test_too_little_memory_is_told_with_the_batch_size(config_path, tmp_path, capsys):
    """A network of 10**13 channels, as no machine has room for it."""
    model = "{name: 'tests.support.own_models:plain', options: {depth: 1, channels: 10000000000000}}"
    assert main([str(config_path), "--out", str(tmp_path / "out"), "--set", f"model={model}"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: out of memory with training.batch_size 32: ")
    assert told.endswith(": lower it, or training.eval_batch_size\n")
    assert told.count("\n") == 1


@pytest.mark.slow
def test_ctrl_c_leaves_a_checkpoint_to_go_on_from(config_path, tmp_path):
    out = tmp_path / "out"
    long = command(config_path, "--out", out, "--set", "training.epochs=3000")
    with subprocess.Popen(long, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        for line in process.stderr:
            if line.startswith("epoch 2/"):
                break
        os.kill(process.pid, signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait() == 130
    assert "--resume" in rest.splitlines()[-1]
    assert "Traceback" not in rest
    assert (out / CHECKPOINT_FILE).is_file()


def test_the_package_imports_no_torch():
    code = (
        "import sys; import ubn_sweep.training, ubn_sweep.training.config, ubn_sweep.training.data.registry;"
        "from ubn_sweep.training.data.names import BUILT_IN;"
        "from ubn_sweep.training.data.registry import dataset_class;"
        "[dataset_class(name) for name in BUILT_IN]; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
