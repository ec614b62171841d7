"""Checkpoints at a URL keep the promises of a folder of them."""

import json

import pytest

from ubn_sweep.errors import ForeignCheckpointError
from ubn_sweep.storage import Storage
from ubn_sweep.training.stored_checkpoints import StoredCheckpoints, checkpoints_at


@pytest.fixture
def place(tmp_path):
    return f"file://{tmp_path}/bucket/0007"


def saver(value):
    def save(folder):
        (folder / "inner").mkdir()
        (folder / "inner" / "state.json").write_text(json.dumps(value))
        (folder / "words.txt").write_text(f"words of {value}")

    return save


class Loader:
    """Remembers what it was given."""

    def __init__(self):
        self.loaded = None
        self.notes = []

    def load(self, folder):
        assert (folder / "words.txt").exists()
        self.loaded = json.loads((folder / "inner" / "state.json").read_text())

    def of(self, checkpoints, **options):
        return checkpoints.load_newest(self.load, self.notes.append, **options)


def test_a_place_decides_what_keeps_them(place, tmp_path):
    assert isinstance(checkpoints_at(place), StoredCheckpoints)
    assert not isinstance(checkpoints_at(str(tmp_path)), StoredCheckpoints)


def test_the_newest_comes_back_and_the_one_before_is_kept(place):
    checkpoints = checkpoints_at(place, "001-01")
    for epoch in (1, 2, 3):
        checkpoints.save(epoch, saver(epoch))
    loader = Loader()
    assert loader.of(checkpoints).name == "epoch-00003"
    assert loader.loaded == 3
    assert [path.name for path in checkpoints.found()] == ["epoch-00003", "epoch-00002"]
    assert not any("epoch-00001" in name for name in Storage(place).sizes())
    assert loader.of(checkpoints, up_to=2).name == "epoch-00002"


def test_what_a_kill_left_in_part_is_not_there(place):
    checkpoints = checkpoints_at(place, "001-01")
    checkpoints.save(1, saver(1))

    class KilledError(BaseException):
        pass

    def upload_in_part(file, name):
        if name.endswith("words.txt"):
            raise KilledError
        Storage(place).write(name, b"half")

    checkpoints._storage.upload = upload_in_part
    with pytest.raises(KilledError):
        checkpoints.save(2, saver(2))
    loader = Loader()
    after = checkpoints_at(place, "001-02")
    assert loader.of(after).name == "epoch-00001"
    after.save(2, saver(2))
    names = set(Storage(place).sizes())
    assert not any(name.startswith("001-01/epoch-00002") for name in names)  # cleared up


@pytest.mark.parametrize("damage", [b"{", None])
def test_a_broken_one_falls_back_to_the_one_before(place, damage):
    checkpoints = checkpoints_at(place, "001-01")
    for epoch in (1, 2):
        checkpoints.save(epoch, saver(epoch))
    name = "001-01/epoch-00002/inner/state.json"
    Storage(place).write(name, damage) if damage is not None else Storage(place).remove(name)
    loader = Loader()
    assert loader.of(checkpoints).name == "epoch-00001"
    assert loader.loaded == 1
    assert "epoch 2 cannot be loaded" in loader.notes[0]
    assert [path.name for path in checkpoints.found()] == ["epoch-00001"]  # the broken one was set aside


def test_a_process_left_behind_touches_nothing_of_its_successors(place):
    old, new = checkpoints_at(place, "001-01"), checkpoints_at(place, "001-02")
    old.save(3, saver("old 3"))
    new.save(4, saver("new 4"))
    old.save(9, saver("old 9"))  # on a node that was cut off, and came back
    loader = Loader()
    assert loader.of(checkpoints_at(place, "001-03"), up_to=5).name == "epoch-00004"
    assert loader.loaded == "new 4"
    assert (
        loader.of(checkpoints_at(place, "001-03")).parent.name == "001-02"
    )  # by attempt, whatever the epoch


def test_a_foreign_one_is_no_broken_one(place):
    checkpoints = checkpoints_at(place)
    checkpoints.save(1, saver(1))

    def load(folder):
        raise ForeignCheckpointError("of another config")

    with pytest.raises(ForeignCheckpointError):
        checkpoints.load_newest(load, lambda line: None)
    assert len(checkpoints.found()) == 1


def test_they_go_all_or_all_but_the_newest(place):
    checkpoints = checkpoints_at(place)
    for epoch in (1, 2):
        checkpoints.save(epoch, saver(epoch))
    checkpoints.keep_newest()
    assert [path.name for path in checkpoints.found()] == ["epoch-00002"]
    checkpoints.remove()
    assert checkpoints.found() == []
    checkpoints.remove()


def test_a_list_that_climbs_is_broken(place, tmp_path):
    checkpoints = checkpoints_at(place)
    for epoch in (1, 2):
        checkpoints.save(epoch, saver(epoch))
    Storage(place).write("epoch-00002.json", json.dumps({"../../evil": [1, "x"]}).encode())
    loader = Loader()
    assert loader.of(checkpoints).name == "epoch-00001"
    assert "lies outside of the checkpoint" in loader.notes[0]
