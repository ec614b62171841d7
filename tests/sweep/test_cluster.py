"""A sweep on a cluster that was there before: nodes with addresses, folders and mounts of their own."""

import threading

import pytest
import yaml

from tests.support.processes import wait_until
from tests.support.ray_nodes import can_hide_folders, head, node
from tests.sweep.test_probe import write_cifar
from ubn_sweep.errors import UserError
from ubn_sweep.records.events import EpochReported, TrialFault
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import read_journal
from ubn_sweep.sweep.running.launch import Surroundings, start_sweep
from ubn_sweep.sweep.running.places import read_log
from ubn_sweep.sweep.running.ray.executor import RayExecutor
from ubn_sweep.sweep.spec.loading import load_spec

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not can_hide_folders(), reason="processes may not have mounts of their own here"),
]
TASK = """
import os, time
from pathlib import Path
from tests.support.trainables import train_to

def train(trial):
    print("here:", __file__, trial.config.dataset.root, os.getcwd(), flush=True)
    told = Path(trial.config.dataset.root) / "told"

    def before_epoch(epoch):
        deadline_s = time.monotonic() + 90
        while epoch == 3 and not told.exists() and time.monotonic() < deadline_s:
            time.sleep(0.1)

    train_to(trial, before_epoch)
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """`project` and `private`, which the first node does not see, and `local`, which the last one does not."""
    root = tmp_path_factory.mktemp("cluster")
    for name in ("project", "shared", "local", "private"):
        (root / name).mkdir()
    write_cifar(root / "local" / "data")
    write_cifar(root / "shared" / "data")
    (root / "project" / "my_cluster_task.py").write_text(TASK)
    (root / "without" / "ubn_sweep").mkdir(parents=True)
    (root / "without" / "ubn_sweep" / "__init__.py").write_text("raise ImportError('not installed')\n")
    return root


@pytest.fixture(scope="module")
def address(folders):
    """A head, and a node that sees no `project`."""
    with (
        head(folders / "head") as address,
        node(address, "127.0.0.2", folders / "node-2", hidden=[folders / "project", folders / "private"]),
    ):
        yield address


def spec_of(folders, write, *, root, **changes):
    """Of a task that lies in `project`, with that root of its data."""
    text = write(task="my_cluster_task:train", early_stopping=None, search={"trials": 4, "sampler": "random"})
    content = yaml.safe_load(text.read_text())
    content["base"] = {"training": {"epochs": 5}, "dataset": {"name": "cifar10", "root": root}}
    content |= changes
    path = folders / "project" / "my.yaml"
    path.write_text(yaml.safe_dump(content))
    return load_spec(path)


def test_what_trials_need_travels_and_unfit_newcomers_get_none(folders, address, write_spec, monkeypatch):
    monkeypatch.chdir(folders / "shared")
    spec = spec_of(folders, write_spec, root="data")
    folder = SweepFolder(home=folders / "shared" / "sweeps", name="small")
    told, over = [], threading.Event()

    def join():
        wait_until(lambda: folder.journal.exists() and '"epoch"' in folder.journal.read_text(), timeout_s=120)
        with (
            node(address, "127.0.0.3", folders / "node-3", hidden=[folders / "shared"]),
            node(address, "127.0.0.5", folders / "node-5", PYTHONPATH=str(folders / "without")),
        ):
            over.wait(120)

    def tell(line):
        told.append(line)
        if len(told) == 2:
            (folders / "shared" / "data" / "told").touch()  # which the first trial waits for, its place taken

    newcomer = threading.Thread(target=join)
    newcomer.start()
    around = Surroundings(executor=RayExecutor(address=address), tell=tell)
    try:
        result = start_sweep(spec, home=folder.home, name=None, surroundings=around)
    finally:
        over.set()
        newcomer.join()
    assert result.counts == {"completed": 4, "stopped": 0, "failed": 0, "diverged": 0}
    assert len([event for event in read_journal(folder.path) if isinstance(event, EpochReported)]) == 20
    log = folder.log(0).read_text()
    assert f"{folders}/project" not in log  # its module came with the sweep
    assert f"{folders}/shared/data" in log  # a relative path, made whole
    unfit = sorted(line for line in told if "no trial is placed there" in line)
    assert len(unfit) == len(told) == 2, told
    assert "127.0.0.3" in unfit[0]
    assert "does not share the folder" in unfit[0]
    assert "127.0.0.5" in unfit[1]
    assert "has no ubn-sweep (ImportError: not installed)" in unfit[1]
    # It was no trial's fault, whichever met them.
    assert not [event for event in read_journal(folder.path) if isinstance(event, TrialFault)]


def test_with_a_storage_nodes_and_driver_share_no_folder(folders, address, write_spec):
    spec = spec_of(
        folders, write_spec, root=str(folders / "shared" / "data"), storage=f"file://{folders}/shared/bucket"
    )
    folder = SweepFolder(home=folders / "private" / "sweeps", name="small")
    (folders / "shared" / "data" / "told").touch()  # nothing to wait for
    around = Surroundings(executor=RayExecutor(address=address))
    result = start_sweep(spec, home=folder.home, name=None, surroundings=around)
    assert result.counts["completed"] == 4
    assert b"here:" in read_log(spec, folder, 3)
    assert not folder.log(0).exists()
    assert len([event for event in read_journal(folder.path) if isinstance(event, EpochReported)]) == 20


def test_what_a_node_lacks_is_told_before_anything_is_burnt(folders, address, write_spec):
    spec = spec_of(folders, write_spec, root=str(folders / "shared" / "data"))
    local = folders / "local"
    on_local = spec_of(folders, write_spec, root=str(local / "data"))
    executor = RayExecutor(address=address)
    with node(address, "127.0.0.4", folders / "node-4", hidden=[local]):
        with pytest.raises(
            UserError, match=r"^node 127\.0\.0\.4 .* does not share the folder .*/local/sweeps"
        ):
            executor.check(spec, local / "sweeps")
        assert not (local / "sweeps").exists()
        with pytest.raises(
            UserError, match=r"^node 127\.0\.0\.4 .* dataset\.root: .*local/data` does not exist"
        ):
            start_sweep(
                on_local,
                home=folders / "shared" / "other",
                name=None,
                surroundings=Surroundings(executor=executor),
            )
        assert not (folders / "shared" / "other").exists()
