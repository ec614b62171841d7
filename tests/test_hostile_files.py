"""What others wrote, and this package reads: specs, checkpoints, what a cluster sends. None of it runs code."""

import base64
import gzip
import io
import pickle
import tarfile

import pytest
import torch
import yaml

from tests.support.processes import call_cli
from tests.sweep.conftest import SPEC
from ubn_sweep.commands import handing
from ubn_sweep.commands.handing import BEGIN, END, take_over
from ubn_sweep.errors import UserError
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.training.checkpoint import CHECKPOINT_FILE, read_checkpoint
from ubn_sweep.training.models.weights import load_weights


class Bomb:
    """Makes a file where it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return open, (str(self.mark), "w")


@pytest.fixture
def mark(tmp_path):
    """The file that a bomb makes; that it does is shown first."""
    found = tmp_path / "mark"
    pickle.loads(pickle.dumps(Bomb(found))).close()
    found.unlink()
    return found


@pytest.mark.parametrize("write", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_a_checkpoint_and_weights_are_read_without_unpickling(tmp_path, mark, write):
    write({"config": {}, "hold_out": True, "epoch": Bomb(mark)}, tmp_path / CHECKPOINT_FILE)
    with pytest.raises(UserError, match="is damaged, or no checkpoint of a training run"):
        read_checkpoint(tmp_path, torch.device("cpu"))
    with pytest.raises(UserError, match="cannot be read as weights"):
        load_weights(torch.nn.Linear(2, 2), str(tmp_path / CHECKPOINT_FILE))
    assert not mark.exists()


@pytest.mark.parametrize("command", ["validate", "preview"])
@pytest.mark.parametrize(
    "changes",
    [
        "name: !!python/object/apply:os.mkdir [MARK]",
        "task: !!python/name:os.system",
        "base: !!python/object/new:pathlib.PosixPath [MARK]",
        "task: os:mkdir",
        "task: builtins:exec",
        "name: ../../mark",
    ],
)
def test_a_spec_runs_nothing_by_being_read(tmp_path, mark, command, changes):
    plain = {key: value for key, value in SPEC.items() if key != changes.partition(":")[0]}
    content = f"{yaml.safe_dump(plain)}\n{changes.replace('MARK', str(mark))}\n"
    (tmp_path / "spec.yaml").write_text(content)
    refused = call_cli([command, "spec.yaml"], cwd=tmp_path)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1), refused.stderr
    assert not mark.exists()


def test_values_of_the_command_line_are_plain_too(tmp_path, mark):
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(SPEC))
    value = f"search.trials=!!python/object/apply:os.mkdir ['{mark}']"
    refused = call_cli(["validate", "spec.yaml", "--set", value], cwd=tmp_path)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1), refused.stderr
    assert not mark.exists()


def test_what_a_spec_has_run_at_the_end_is_not_run_by_a_look_at_it(tmp_path, mark):
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump({**SPEC, "on_end": {"command": f"touch {mark}"}}))
    for command in ("validate", "preview"):
        done = call_cli([command, "spec.yaml"], cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert not mark.exists()


def sent(content):
    return f"{BEGIN}\n{base64.b64encode(content).decode()}\n{END}\n"


def packed(*members):
    """An archive of what is no plain file."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, kind, target in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member)
    return file.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        f"{BEGIN}\nno base64 at all: ä\n{END}\n",
        sent(b"no archive"),
        sent(gzip.compress(b"no archive either")),
        sent(packed(("figures", tarfile.DIRTYPE, ""))[:40]),
    ],
    ids=["no base64", "no gzip", "no tar", "cut off"],
)
def test_what_is_no_parcel_is_one_line(tmp_path, text):
    with pytest.raises(UserError, match="what the cluster sent is no sweep"):
        take_over(text, SweepFolder(home=tmp_path / "sweeps", name="mine"))


def test_links_and_devices_are_not_taken(tmp_path):
    (tmp_path / "own").write_text("mine")
    folder = SweepFolder(home=tmp_path / "sweeps", name="mine")
    members = [
        ("journal.jsonl", tarfile.SYMTYPE, str(tmp_path / "own")),
        ("figures", tarfile.SYMTYPE, str(tmp_path)),
        ("landscape.html", tarfile.LNKTYPE, "/etc/passwd"),
        ("landscape.json", tarfile.FIFOTYPE, ""),
        (".", tarfile.DIRTYPE, ""),
    ]
    take_over(sent(packed(*members)), folder)
    assert list(folder.path.iterdir()) == []
    assert (tmp_path / "own").read_text() == "mine"


def test_what_would_fill_the_disk_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(handing, "MOST_UNPACKED_BYTES", 1000)
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        member = tarfile.TarInfo("journal.jsonl")
        member.size = 1001
        archive.addfile(member, io.BytesIO(bytes(member.size)))
    folder = SweepFolder(home=tmp_path / "sweeps", name="mine")
    with pytest.raises(UserError, match="unpacks to more than"):
        take_over(sent(file.getvalue()), folder)
    assert not folder.journal.exists()
