"""A run that was stopped goes on bit for bit as if it had not been."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch
import yaml

from tests.training.builders import tiny_config
from tests.training.test_run import same, weights
from ubn_sweep import schema
from ubn_sweep.errors import ForeignCheckpointError, UserError
from ubn_sweep.training import CHECKPOINT_FILE
from ubn_sweep.training.classification.run import TrainingRun

UNTIMED = {"epoch_s", "images_per_s", "val_images_per_s"}


def untimed(metrics):
    return {key: value for key, value in metrics.items() if key not in UNTIMED}


@pytest.mark.parametrize("norm", [{"name": "bn"}, {"name": "ubn", "threshold": 0.4}])
@pytest.mark.parametrize(
    ("optimizer", "training", "repeats"),
    [
        ({"name": "sgd", "nesterov": True, "warmup_epochs": 1.5}, {}, 2),
        ({"name": "adamw", "lr": 0.01}, {"channels_last": True, "precision": "bfloat16"}, 1),
    ],
)
def test_resume_is_bit_for_bit(tmp_path, norm, optimizer, training, repeats):
    config = tiny_config(
        norm=norm,
        optimizer=optimizer,
        training=training,
        repeats=repeats,
        dataset={"augmentation": "crop_flip", "train_examples": 120},
    )
    whole = TrainingRun(config)
    expected = [untimed(whole.train_epoch()) for _ in range(4)]

    first = TrainingRun(config)
    metrics = [untimed(first.train_epoch()) for _ in range(2)]
    first.save(tmp_path)
    torch.manual_seed(99)
    second = TrainingRun(config)
    second.load(tmp_path)
    assert second.epoch == 2
    metrics += [untimed(second.train_epoch()) for _ in range(2)]

    assert metrics == expected
    assert same(weights(whole), weights(second))


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("norm", ["bn", "ubn"])
def test_resume_is_bit_for_bit_on_cuda(tmp_path, norm):
    config = tiny_config(norm={"name": norm}, device="cuda", dataset={"augmentation": "crop_flip"})
    whole, first, second = (TrainingRun(config) for _ in range(3))
    expected = [untimed(whole.train_epoch()) for _ in range(4)]
    metrics = [untimed(first.train_epoch()) for _ in range(2)]
    first.save(tmp_path)
    second.load(tmp_path)
    metrics += [untimed(second.train_epoch()) for _ in range(2)]
    assert metrics == expected
    assert same(weights(whole), weights(second))


def test_resume_of_image_folders(tmp_path, image_folder_root):
    dataset = {
        "name": "imagefolder",
        "root": str(image_folder_root),
        "image_size_px": 16,
        "augmentation": "resized_crop_flip",
    }
    config = tiny_config(dataset=dataset, training={"batch_size": 6})
    whole = TrainingRun(config, threads=1)
    expected = [untimed(whole.train_epoch()) for _ in range(2)]
    first = TrainingRun(config, threads=1)
    first.train_epoch()
    first.save(tmp_path)
    second = TrainingRun(config, threads=1)
    second.load(tmp_path)
    assert untimed(second.train_epoch()) == expected[1]


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["bn", "ubn"])
def test_a_killed_process_goes_on_to_the_same_weights(tmp_path, norm):
    config = tiny_config(
        norm={"name": norm}, training={"epochs": 1000}, dataset={"augmentation": "crop_flip"}
    )
    path, out = tmp_path / "config.yaml", tmp_path / "out"
    path.write_text(yaml.safe_dump(schema.to_plain(config)))
    command = [sys.executable, "-m", "ubn_sweep.training", str(path), "--out", str(out), "--threads", "1"]

    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    while not (out / CHECKPOINT_FILE).exists() and process.poll() is None:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL

    whole, resumed = TrainingRun(config), TrainingRun(config)
    resumed.load(out)
    assert 1 <= resumed.epoch < 1000
    last = resumed.epoch + 3
    for run in (whole, resumed):
        while run.epoch < last:
            run.train_epoch()
    assert same(weights(whole), weights(resumed))


def test_a_checkpoint_of_another_config_is_refused(tmp_path):
    TrainingRun(tiny_config()).save(tmp_path)
    with pytest.raises(UserError, match=r"optimizer\.lr = 0\.1, but got 0\.2"):
        TrainingRun(tiny_config(optimizer={"lr": 0.2})).load(tmp_path)
    with pytest.raises(UserError, match="hold_out"):
        TrainingRun(tiny_config(), hold_out=False).load(tmp_path)


def test_provenance_is_no_part_of_what_is_trained(tmp_path):
    TrainingRun(tiny_config()).save(tmp_path)
    provenance = {
        "task": "a:B", "sweep": "a", "sweep_id": "b", "trial": 1, "status": "completed", "epoch": 4,
        "metric": "val_top1", "promised": 0.5,
    }  # fmt: skip
    TrainingRun(tiny_config(provenance=provenance)).load(tmp_path)


@pytest.mark.parametrize("content", [None, b"", b"no checkpoint", b"PK\x03\x04 cut off"])
def test_an_absent_or_damaged_checkpoint_is_one_line(tmp_path, content):
    if content is not None:
        (tmp_path / CHECKPOINT_FILE).write_bytes(content)
    run = TrainingRun(tiny_config())
    with pytest.raises(UserError) as caught:
        run.load(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path / CHECKPOINT_FILE) in str(caught.value)


def test_saving_twice_leaves_one_file(tmp_path):
    run = TrainingRun(tiny_config())
    run.save(tmp_path)
    run.train_epoch()
    run.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT_FILE]


def rewrite(folder, change):
    """A checkpoint as another version would have written it."""
    content = torch.load(folder / CHECKPOINT_FILE, weights_only=True)
    change(content)
    torch.save(content, folder / CHECKPOINT_FILE)


def test_a_checkpoint_from_before_an_option_was_added_is_loaded(tmp_path):
    TrainingRun(tiny_config()).save(tmp_path)

    def without_the_option(content):
        del content["format"]
        del content["config"]["optimizer.label_smoothing"]

    rewrite(tmp_path, without_the_option)
    TrainingRun(tiny_config()).load(tmp_path)
    with pytest.raises(ForeignCheckpointError, match=r"optimizer\.label_smoothing = 0\.0, but got 0\.1"):
        TrainingRun(tiny_config(optimizer={"label_smoothing": 0.1})).load(tmp_path)


def test_a_checkpoint_with_an_option_that_is_gone_is_refused_by_name(tmp_path):
    TrainingRun(tiny_config()).save(tmp_path)
    rewrite(tmp_path, lambda content: content["config"].update({"optimizer.dampening": 0.5}))
    with pytest.raises(ForeignCheckpointError, match=r"optimizer\.dampening = 0\.5, but got None"):
        TrainingRun(tiny_config()).load(tmp_path)


def test_a_later_versions_checkpoint_is_refused(tmp_path):
    TrainingRun(tiny_config()).save(tmp_path)
    rewrite(tmp_path, lambda content: content.update(format=99))
    with pytest.raises(ForeignCheckpointError, match="has format 99"):
        TrainingRun(tiny_config()).load(tmp_path)
