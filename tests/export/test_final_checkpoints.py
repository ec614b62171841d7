"""The final training's checkpoints: half-written, broken, or of an older version's config."""

import os
import signal
import subprocess
import sys

import pytest

from tests.support.counting import train
from tests.support.processes import REPOSITORY
from tests.training.builders import tiny_config
from ubn_sweep import schema
from ubn_sweep.errors import UserError
from ubn_sweep.export.final import prepare_folder
from ubn_sweep.records.events import FinalEpoch
from ubn_sweep.records.folder import FinalFolder
from ubn_sweep.records.journal import read_journal
from ubn_sweep.training.checkpoint_folder import CheckpointFolder


def killed_in_the_save_of(epoch, folder):
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.counting", str(folder)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "TEST_KILL_IN_SAVE": str(epoch)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL


def epochs_told(folder):
    return [event.epoch for event in read_journal(folder) if isinstance(event, FinalEpoch)]


@pytest.mark.parametrize("epoch", [1, 3])
def test_a_kill_within_a_save_is_survived(tmp_path, epoch):
    killed_in_the_save_of(epoch, tmp_path)
    assert (tmp_path / "checkpoint" / f"writing-{epoch:05d}" / "state.json").read_text() == '{"epo'
    told = []
    result = train(tmp_path, told)
    assert (result.resumed_from, result.test, told) == (epoch - 1, {"count": 4.0}, [])
    assert epochs_told(tmp_path) == [1, 2, 3, 4]
    assert [path.name for path in (tmp_path / "checkpoint").iterdir()] == ["epoch-00004"]


def test_a_broken_checkpoint_falls_back_to_the_one_before(tmp_path):
    killed_in_the_save_of(4, tmp_path)
    (tmp_path / "checkpoint" / "epoch-00003" / "state.json").write_text("{")
    told = []
    result = train(tmp_path, told)
    assert (result.resumed_from, result.test) == (2, {"count": 4.0})
    (line,) = told
    assert line.startswith("the checkpoint of epoch 3 cannot be loaded (JSONDecodeError: ")
    assert line.endswith("): the one before is taken")
    assert epochs_told(tmp_path) == [1, 2, 3, 4]


def test_where_none_can_be_loaded_none_is_thrown_away(tmp_path):
    killed_in_the_save_of(3, tmp_path)
    checkpoints = tmp_path / "checkpoint"
    for path in checkpoints.glob("epoch-*"):
        (path / "state.json").write_text("{")
    for _ in range(2):
        with pytest.raises(UserError, match=r"no checkpoint can be loaded .*remove that folder") as caught:
            train(tmp_path, [])
        assert "\n" not in str(caught.value)
    assert len(CheckpointFolder(checkpoints).found()) == 2


def test_a_folder_from_before_an_option_was_added_goes_on(tmp_path):
    folder, config = FinalFolder(folder=tmp_path), tiny_config()
    prepare_folder(folder, config)
    content = schema.to_plain(config)
    del content["optimizer"]["label_smoothing"]
    folder.config.write_text(schema.dump_yaml(content))
    prepare_folder(folder, config)
    folder.config.write_text(schema.dump_yaml(content))
    with pytest.raises(UserError, match="another config"):
        prepare_folder(folder, tiny_config(optimizer={"label_smoothing": 0.1}))
