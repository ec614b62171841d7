"""What travels to a cluster, and what does not."""

import base64
import io
import json
import sys
import tarfile
from importlib.metadata import version

import pytest
import yaml

from tests.support.processes import call_cli
from ubn_sweep import __version__
from ubn_sweep.commands import jobs
from ubn_sweep.commands.handing import BEGIN, END, take_over
from ubn_sweep.errors import UserError
from ubn_sweep.records.folder import SweepFolder, default_home
from ubn_sweep.sweep.running.parcel import pack, taken_environment, unlike_the_sender
from ubn_sweep.sweep.spec.loading import load_spec


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A spec that extends another one, with points in a file, beside its task."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "my_parcel_task.py").write_text("from tests.support.trainables import train\n")
    (folder / "points.csv").write_text("norm.threshold\n0.25\n")
    parent = {
        "name": "parent",
        "task": "my_parcel_task:train",
        "base": {"training": {"epochs": 3}},
        "space": {"norm.threshold": {"type": "float", "low": 0.0, "high": 0.6}},
        "search": {"trials": 2, "points": "points.csv"},
    }
    (folder / "parent.yaml").write_text(yaml.safe_dump(parent))
    (folder / "mine.yaml").write_text("extends: parent.yaml\nname: mine\n")
    (folder / "secret.env").write_text("TOKEN=x")
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_parcel_says_all_by_itself(project, tmp_path, monkeypatch):
    spec = load_spec(project / "mine.yaml", ["training.epochs=5", "dataset.root=/data/there"])
    parcel = tmp_path / "parcel"
    pack(spec, parcel)
    assert sorted(path.name for path in parcel.iterdir()) == ["my_parcel_task.py", "sender.json", "spec.yaml"]
    elsewhere = tmp_path / "elsewhere"
    parcel.rename(elsewhere)
    monkeypatch.chdir(elsewhere)
    there = load_spec(elsewhere / "spec.yaml")
    assert (there.name, there.base.training.epochs, there.base.dataset.root) == ("mine", 5, "/data/there")
    assert there.search.points == spec.search.points
    assert there.space == spec.space
    assert str(project) not in (elsewhere / "spec.yaml").read_text()


def test_what_only_this_machine_knows_does_not_travel(project, tmp_path):
    spec = load_spec(project / "mine.yaml", ["dataset.root=data"])
    with pytest.raises(UserError, match=r"^dataset\.root: is `data`, from a folder of this machine's"):
        pack(spec, tmp_path / "parcel")
    spec = load_spec(project / "mine.yaml", ["tracking.uri=postgresql://me:secret@host/db"])
    with pytest.raises(UserError, match=r"tracking\.uri has its password written out") as refused:
        pack(spec, tmp_path / "parcel")
    assert "secret" not in str(refused.value)
    with pytest.raises(UserError, match="--env: `NO_SUCH_VARIABLE` is not set here"):
        taken_environment(("NO_SUCH_VARIABLE",))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--address", "ray://head:10001", "--home", "/shared"], "--address: is http://HEAD:8265"),
        (
            ["--address", "http://127.0.0.1:9", "--home", "sweeps"],
            "--home: is a folder of the cluster, by its whole",
        ),
        (["--address", "http://127.0.0.1:9", "--home", "/shared", "--name", "../x"], "`name` consists of"),
        (
            ["--address", "http://127.0.0.1:9", "--home", "/shared"],
            "--address: http://127.0.0.1:9 cannot be asked",
        ),
    ],
)
def test_what_cannot_be_sent_is_one_line(project, arguments, expected):
    refused = call_cli(["submit", "mine.yaml", *arguments], cwd=project)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"error: {expected}")
    assert len(refused.stderr.splitlines()) == 1


def test_commands_of_a_folder_say_what_they_lack(project):
    assert "needs the trial's number, or --address" in call_cli(["logs", "mine"], cwd=project).stderr
    told = call_cli(["stop", "mine", "--trial", "1", "--address", "http://127.0.0.1:9"], cwd=project)
    assert "--trial: is told to a sweep's own folder" in told.stderr


def test_a_sender_of_another_version_is_told(project):
    command = ["keep", "mine.yaml", "--name", "mine", "--home", "/shared", "--sent-by", "0.0.1"]
    refused = call_cli(command, cwd=project)
    assert refused.returncode == 2
    assert "but 0.0.1 sent the sweep: install the same" in refused.stderr


def test_other_versions_than_the_senders_are_told_before_the_sweep_runs(project, tmp_path, monkeypatch):
    parcel = tmp_path / "parcel"
    pack(load_spec(project / "mine.yaml"), parcel)
    assert unlike_the_sender(parcel) is None
    sent = json.loads((parcel / "sender.json").read_text())
    assert set(sent) == {"python", "versions"}  # nothing of the machine
    sent["python"] = "3.9.1"
    sent["versions"] |= {
        "optuna": "4.0.0",
        "torch": f"{version('torch').partition('+')[0]}+cu999",
        "ray": None,
    }
    (parcel / "sender.json").write_text(json.dumps(sent))
    said, minor = [], ".".join(map(str, sys.version_info[:2]))
    monkeypatch.setattr(jobs, "keep", lambda *_: said.append("runs") or 0)
    monkeypatch.setattr(jobs, "warn", said.append)
    arguments = {"name": "mine", "home": tmp_path, "or_resume": False, "sent_by": __version__}
    assert jobs.keep_sweep(parcel / "spec.yaml", **arguments) == 0
    assert said == [
        f"the cluster has other versions than the sender (python 3.9 there, {minor} here, optuna 4.0.0 there, "
        f"{version('optuna')} here): what is suggested and trained may differ; install the same where that matters",
        "runs",
    ]
    (parcel / "sender.json").write_text("[]")  # of a sender of before, or of somebody else
    assert unlike_the_sender(parcel) is None


def test_of_what_a_cluster_sends_a_sweeps_own_files_alone_are_taken(tmp_path):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in ("journal.jsonl", "figures/a.svg", "control/stop", "driver", "figures/../../evil"):
            member = tarfile.TarInfo(name)
            member.size = 1
            archive.addfile(member, io.BytesIO(b"x"))
    log = f"hello\n{BEGIN}\n{base64.b64encode(packed.getvalue()).decode()}\n{END}\n"
    folder = SweepFolder(home=tmp_path / "sweeps", name="mine")
    with pytest.raises(UserError, match="did not arrive whole"):
        take_over(log.replace(END, ""), folder)
    with pytest.raises(UserError, match="leads out of the sweep's folder"):
        take_over(log, folder)
    assert not (tmp_path / "evil").exists()
    assert not (folder.path / "driver").exists()


def test_a_cluster_may_say_where_its_sweeps_lie(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UBN_SWEEP_HOME", raising=False)
    assert default_home() == tmp_path / "sweeps"
    monkeypatch.setenv("UBN_SWEEP_HOME", "/work/sweeps")
    assert str(default_home()) == "/work/sweeps"
