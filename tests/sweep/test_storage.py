"""A sweep whose checkpoints and records lie at a URL: on file:// here, on S3 in test_s3.py."""

import functools
from contextlib import contextmanager

import pytest

from tests.support.processes import call_cli
from ubn_sweep.commands.operations import Running, start
from ubn_sweep.errors import UserError
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import read_journal
from ubn_sweep.storage import Storage, below, check_place
from ubn_sweep.sweep.running.in_process import InProcessExecutor
from ubn_sweep.sweep.running.launch import Surroundings, resume_sweep, start_sweep
from ubn_sweep.tracking.delivery.follower import Followers
from ubn_sweep.tracking.storage import StorageSink, bring_newer, fetch_sweep

TASKS = "tests.support.trainables:"


@contextmanager
def follow(place, state, folder):
    """Copies the journal while a sweep runs."""
    followers = Followers(folder, [StorageSink(folder, below(place, folder.name))])
    followers.start()
    yield
    followers.finish()
    assert followers.undelivered == {}


def around(place, told=None):
    follows = functools.partial(follow, place)
    told = [] if told is None else told
    return Surroundings(executor=InProcessExecutor(), follow=follows, tell=told.append)


@pytest.fixture
def place(tmp_path):
    return f"file://{tmp_path}/bucket/sweeps"


@pytest.fixture(autouse=True)
def marker(tmp_path, monkeypatch):
    monkeypatch.setenv("TEST_EPOCH_LOG", str(tmp_path / "epochs.txt"))


def names(place):
    return set(Storage(place).sizes())


def test_records_and_results_lie_in_the_storage_and_checkpoints_go_with_the_trials(
    small_spec, tmp_path, place
):
    spec = small_spec(storage=place, search={"trials": 3, "sampler": "random"})
    result = start_sweep(spec, home=tmp_path / "sweeps", name=None, surroundings=around(place))
    assert result.finished
    assert names(below(place, "small")) == {"journal/000000000000.jsonl"}
    copied = Storage(below(place, "small")).read("journal/000000000000.jsonl")
    assert copied == (result.folder / "journal.jsonl").read_bytes()
    assert not (result.folder / "checkpoints").exists()


def test_a_sweep_goes_on_elsewhere_from_what_lies_in_the_storage(small_spec, tmp_path, place, monkeypatch):
    monkeypatch.setenv("TEST_INTERRUPT_AT", "2 5")
    spec = small_spec(
        task=TASKS + "interrupt",
        storage=place,
        early_stopping=None,
        search={"trials": 4, "sampler": "random"},
    )
    first = start_sweep(spec, home=tmp_path / "laptop", name=None, surroundings=around(place))
    assert not first.finished
    assert any(name.startswith("checkpoints/0002/") for name in names(below(place, "small")))
    monkeypatch.delenv("TEST_INTERRUPT_AT")
    folder = SweepFolder(home=tmp_path / "other", name="small")
    fetched = call_cli(["fetch", below(place, "small"), "--home", str(folder.home)], cwd=tmp_path)
    assert fetched.returncode == 0, fetched.stderr
    assert folder.journal.read_bytes() == (first.folder / "journal.jsonl").read_bytes()
    trained = (tmp_path / "epochs.txt").read_text().splitlines()
    result = resume_sweep(folder, surroundings=around(place))
    assert result.counts["completed"] == 4
    again = (tmp_path / "epochs.txt").read_text().splitlines()[len(trained) :]
    # Epoch 5 was trained and not reported; nothing before it is trained again.
    assert [line.rpartition(" ")[0] for line in again[:5]] == [f"2 {epoch}" for epoch in range(5, 10)]
    assert len(read_journal(folder.path)) > len(read_journal(first.folder))


def test_two_sweeps_of_one_name_do_not_meet(small_spec, tmp_path, place):
    spec = small_spec(storage=place, search={"trials": 1})
    start_sweep(spec, home=tmp_path / "a", name=None, surroundings=around(place))
    second = start_sweep(spec, home=tmp_path / "b", name=None, surroundings=around(place))
    assert second.sweep == "small-2"  # counted up, although its own home had none
    with pytest.raises(UserError, match="--name: there is a sweep `small` in the storage already"):
        start_sweep(spec, home=tmp_path / "b", name="small", surroundings=around(place))
    stranger = SweepFolder(home=tmp_path / "b", name="small-2")
    with pytest.raises(UserError, match="holds another sweep of this name"):
        StorageSink(stranger, below(place, "small")).resume([])
    with pytest.raises(UserError, match="is another sweep"):
        fetch_sweep(below(place, "small"), stranger)


def test_a_sweep_comes_home_once_and_may_only_grow(small_spec, tmp_path, place):
    spec = small_spec(storage=place, search={"trials": 2})
    start_sweep(spec, home=tmp_path / "a", name=None, surroundings=around(place))
    folder = SweepFolder(home=tmp_path / "b", name="small")
    for _ in range(2):
        fetch_sweep(below(place, "small"), folder)
    with folder.journal.open("ab") as file:
        file.write(b'{"event":"sweep_ended","time_s":1.0}\n')
    with pytest.raises(UserError, match="has records that the storage lacks"):
        fetch_sweep(below(place, "small"), folder)
    with pytest.raises(UserError, match="holds no sweep, but small: give a sweep's own URL"):
        fetch_sweep(place, SweepFolder(home=tmp_path / "c", name="sweeps"))


def test_a_journal_is_copied_in_pieces_and_a_salvaged_one_anew(small_spec, tmp_path, place, monkeypatch):
    monkeypatch.setattr("ubn_sweep.tracking.storage.PIECE_BYTES", 4000)
    spec = small_spec(storage=place, search={"trials": 6})
    result = start_sweep(spec, home=tmp_path / "a", name=None, surroundings=around(place))
    folder, storage = SweepFolder(home=tmp_path / "a", name="small"), Storage(below(place, "small"))
    whole = (result.folder / "journal.jsonl").read_bytes()
    pieces = [storage.read(name) for name in storage.sizes("journal")]
    assert len(pieces) > 2
    assert b"".join(pieces) == whole
    assert all(piece.endswith(b"\n") for piece in pieces)
    assert StorageSink(folder, storage.place).resume([])
    storage.remove(*storage.sizes("journal"))  # as a person does after salvaging
    sink = StorageSink(folder, storage.place)
    assert not sink.resume([])
    sink.deliver([])
    assert b"".join(storage.read(name) for name in storage.sizes("journal")) == whole


def test_a_driver_that_was_cut_off_changes_nothing_of_what_its_successor_records(small_spec, tmp_path, place):
    spec = small_spec(storage=place, search={"trials": 2})
    start_sweep(spec, home=tmp_path / "old", name=None, surroundings=around(place))
    old, new = (SweepFolder(home=tmp_path / home, name="small") for home in ("old", "new"))
    late = StorageSink(old, below(place, "small"))
    assert late.resume([])
    assert bring_newer(late.address, new)
    for folder, reason in ((new, "of the new one"), (old, "of the old one")):
        with folder.journal.open("ab") as file:
            file.write(f'{{"event":"sweep_ended","time_s":1.0,"reason":"{reason}"}}\n'.encode())
    StorageSink(new, late.address).deliver([])
    for sink in (late, StorageSink(old, late.address)):
        with pytest.raises(UserError, match="another process went on with it"):
            sink.deliver([])
    with pytest.raises(UserError, match="another process went on with it"):
        StorageSink(old, late.address).resume([])
    assert Storage(late.address).read("journal/000000000000.jsonl") == new.journal.read_bytes()


@pytest.mark.slow
def test_the_same_command_on_another_machine_goes_on(small_spec, tmp_path, place, monkeypatch):
    monkeypatch.setenv("TEST_INTERRUPT_AT", "1 5")
    spec = small_spec(
        task=TASKS + "interrupt",
        storage=place,
        early_stopping=None,
        search={"trials": 2, "sampler": "random"},
    )
    start_sweep(spec, home=tmp_path / "a", name=None, surroundings=around(place))
    monkeypatch.delenv("TEST_INTERRUPT_AT")
    here = Running(executor="in-process", shown=False)
    outcome = start(spec, home=tmp_path / "b", or_resume=True, running=here)
    assert (outcome.result.sweep, outcome.result.counts["completed"]) == ("small", 2)
    trained = [line.rpartition(" ")[0] for line in (tmp_path / "epochs.txt").read_text().splitlines()]
    assert trained.count("0 3") == 1  # nothing that was recorded is trained again


def test_the_best_checkpoints_come_home_and_trials_go_on_from_them(small_spec, tmp_path, place):
    spec = small_spec(
        storage=place,
        early_stopping=None,
        resources={"keep_best": 1},
        search={"trials": 3, "sampler": "random"},
    )
    result = start_sweep(spec, home=tmp_path / "sweeps", name=None, surroundings=around(place))
    (kept,) = (result.folder / "best").iterdir()
    assert (kept / "state.json").read_text() == "9"
    longer = resume_sweep(
        SweepFolder(home=tmp_path / "sweeps", name="small"),
        assignments=["training.epochs=11"],
        surroundings=around(place),
    )
    assert longer.counts["completed"] == 3


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("s3://key:secret@bucket/sweeps", "a URL with a password would be seen"),
        ("ftp://host/sweeps", "takes URLs with s3, gs"),
        ("sweeps", "is a URL or a whole path, but got `sweeps`"),
    ],
)
def test_what_is_no_storage_is_refused(place, expected):
    with pytest.raises(UserError, match=expected):
        check_place(place, "storage")


def test_a_storage_out_of_reach_burns_no_name(small_spec, tmp_path):
    (tmp_path / "file").write_text("")
    spec = small_spec(storage=f"{tmp_path}/file/sweeps")
    with pytest.raises(UserError, match=r"storage: .*cannot be written"):
        start_sweep(spec, home=tmp_path / "sweeps", name=None, surroundings=around("/nowhere"))
    assert not (tmp_path / "sweeps").exists()


def test_names_that_climb_are_taken_from_no_storage(small_spec, tmp_path, place):
    spec = small_spec(storage=place, search={"trials": 1})
    start_sweep(spec, home=tmp_path / "a", name=None, surroundings=around(place))
    folder = SweepFolder(home=tmp_path / "b", name="small")
    storage = Storage(below(place, "small"))
    for name in ("evil.txt", "control/stop", "figures/../../../evil.txt", "figures/fine.svg"):
        storage.write(name, b"x")
    fetch_sweep(storage.place, folder)
    brought = {
        str(path.relative_to(tmp_path / "b")) for path in (tmp_path / "b").rglob("*") if path.is_file()
    }
    assert brought == {"small/journal.jsonl", "small/figures/fine.svg"}
    evil = call_cli(["fetch", below(place, ".."), "--home", str(tmp_path / "c")], cwd=tmp_path)
    assert evil.returncode == 2
    assert "`name` consists of letters" in evil.stderr


def test_places_below_a_url_keep_its_query():
    url = "s3://bucket/sweeps/?endpoint_override=127.0.0.1:9000"
    assert below(url, "small", "logs") == "s3://bucket/sweeps/small/logs?endpoint_override=127.0.0.1:9000"
    assert below("/mnt/sweeps", "small") == "/mnt/sweeps/small"
