"""Checkpoints of several attempts at one training, of which one may have been left behind."""

import pytest

from ubn_sweep.training.checkpoint_folder import CheckpointFolder


def save(folder, epoch):
    return folder.save(epoch, lambda path: (path / "state").write_text(str(epoch)))


def names(paths, root):
    return [str(path.relative_to(root)) for path in paths]


def test_the_newest_and_the_one_before_are_kept(tmp_path):
    folder = CheckpointFolder(tmp_path)
    for epoch in range(1, 5):
        save(folder, epoch)
    assert names(folder.found(), tmp_path) == ["epoch-00004", "epoch-00003"]
    folder.keep_newest()
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-00004"]


def test_a_process_left_behind_touches_none_of_the_live_ones(tmp_path):
    """It saves epoch 3 while the live one, which went on from its epoch 2, is at epoch 6."""
    stale, live = CheckpointFolder(tmp_path, "001-01"), CheckpointFolder(tmp_path, "001-02")
    save(stale, 1)
    save(stale, 2)
    assert live.newest() == tmp_path / "001-01" / "epoch-00002"
    save(live, 5)
    save(live, 6)
    assert names(live.found(), tmp_path) == ["001-02/epoch-00006", "001-02/epoch-00005"]
    save(stale, 3)
    assert names(stale.found(), tmp_path)[:2] == ["001-02/epoch-00006", "001-02/epoch-00005"]
    save(live, 7)
    assert names(live.found(), tmp_path) == ["001-02/epoch-00007", "001-02/epoch-00006"]


def test_epochs_that_nobody_heard_of_are_passed_over(tmp_path):
    stale = CheckpointFolder(tmp_path, "001-01")
    for epoch in (4, 5):
        save(stale, epoch)
    next_one = CheckpointFolder(tmp_path, "001-02")
    assert names(next_one.found(up_to=4), tmp_path) == ["001-01/epoch-00004"]


def test_a_failed_save_leaves_the_one_before(tmp_path):
    folder = CheckpointFolder(tmp_path)
    save(folder, 1)

    def fill_the_disk(path):
        (path / "state").write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        folder.save(2, fill_the_disk)
    assert names(folder.found(), tmp_path) == ["epoch-00001"]
