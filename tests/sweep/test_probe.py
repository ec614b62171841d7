"""What every node of a cluster is asked before the first trial: the rules, without a cluster."""

import dataclasses
import json
import os

import pytest

from ubn_sweep.errors import UserError
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.running import own_code
from ubn_sweep.sweep.running.dispatch import Dispatch
from ubn_sweep.sweep.running.in_process import InProcessExecutor
from ubn_sweep.sweep.running.launch import Surroundings, start_sweep
from ubn_sweep.sweep.running.ray import stranger
from ubn_sweep.sweep.running.ray.asking import Answer, Node
from ubn_sweep.sweep.running.ray.environment import check_home, cluster_address, job_brings_code
from ubn_sweep.sweep.running.ray.fitness import lacking
from ubn_sweep.sweep.running.ray.probe import needs_of, order_of, refuse, signed, why_strange
from ubn_sweep.training.device import choose_device

NODE = Node(id="abc", name="10.0.0.3 (abc)", resources={"CPU": 1.0})
FILES = (
    "data_batch_1",
    "data_batch_2",
    "data_batch_3",
    "data_batch_4",
    "data_batch_5",
    "test_batch",
    "batches.meta",
)


def answer(**changes):
    there = json.loads(stranger.look(order_of({})))
    there["versions"] |= changes
    return Answer(node=NODE, value=json.dumps(there))


def write_cifar(root, size=10):
    """What looks like the archive's files; their images are not read by a check."""
    for name in FILES:
        path = root / "cifar-10-batches-py" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
    return root


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (
            "ray://head:10001",
            r"--ray-address: .*remote client.*`ubn-sweep submit SPEC --address http://head:8265`",
        ),
        ("http://head:8265", r"address for jobs: .*submit SPEC --address http://head:8265.*head:6379"),
    ],
)
def test_addresses_that_cannot_run_a_sweep_are_told_the_way(address, expected):
    with pytest.raises(UserError, match=expected):
        cluster_address(address)


def test_the_environments_address_is_taken_where_none_is_given(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert cluster_address(None) is None
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert cluster_address(None) == "10.0.0.1:6379"
    assert cluster_address("10.0.0.9:6379") == "10.0.0.9:6379"
    assert cluster_address("local") is None  # whatever the environment says
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    with pytest.raises(UserError, match="RAY_ADDRESS: `ray://head:10001`"):
        cluster_address(None)


def test_a_jobs_temporary_folder_holds_no_sweeps(monkeypatch, tmp_path):
    unpacked = tmp_path / "runtime_resources" / "working_dir_files" / "sweeps"
    check_home(unpacked)
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", '{"runtime_env": {"working_dir": "gcs://x.zip"}}')
    with pytest.raises(UserError, match="goes with this Ray job: name a folder that all nodes share"):
        check_home(unpacked)
    check_home(tmp_path)
    assert job_brings_code()
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", '{"runtime_env": {"env_vars": {"A": "1"}}}')
    assert not job_brings_code()


def test_a_nodes_versions_are_compared_with_the_drivers():
    same = answer()
    assert why_strange(same) is None
    here = json.loads(same.value)["versions"]
    assert (
        why_strange(answer(torch=here["torch"].partition("+")[0] + "+cu130")) is None
    )  # the build may differ
    assert "has torch 1.0, but the sweep's own process has" in why_strange(answer(torch="1.0"))
    assert "has python 3.9.1, but" in why_strange(answer(python="3.9.1"))
    assert "has ubn-sweep 0.1.0, but" in why_strange(answer(**{"ubn-sweep": "0.1.0"}))
    lacks = why_strange(answer(**{"ubn-sweep": None}))
    assert lacks.startswith("has no ubn-sweep")
    assert "install ubn-sweep" in lacks
    assert why_strange(Answer(node=NODE, error="did not answer")) == "did not answer"


def test_nodes_that_lack_the_same_are_named_together():
    refuse({})
    lines = {"10.0.0.3": "has no torch", "10.0.0.4": "has no torch", "10.0.0.5": "has other data"}
    with pytest.raises(
        UserError, match=r"^nodes 10.0.0.3, 10.0.0.4 has no torch; node 10.0.0.5 has other data$"
    ):
        refuse(lines)


@pytest.fixture
def cifar_spec(small_spec, tmp_path):
    root = write_cifar(tmp_path / "data")
    base = {"training": {"epochs": 9}, "dataset": {"name": "cifar10", "root": str(root)}}
    return small_spec(base=base)


def test_a_node_lacks_nothing_and_answers_by_the_shared_folder(cifar_spec, tmp_path):
    home = tmp_path / "sweeps"
    with signed(str(home), [NODE]) as (sign, nonce):
        needs = needs_of(cifar_spec, place=str(home), sign=sign, nonce=nonce).to_json()
        assert lacking(needs, f"{sign}.{NODE.id}") is None
        assert (home / f"{sign}.{NODE.id}").read_text() == nonce
    assert not (tmp_path / "sweeps").exists()  # nothing is left of it


def test_what_a_node_lacks_is_named(cifar_spec, tmp_path):
    home = str(tmp_path / "sweeps")
    with signed(home, []) as (sign, nonce):
        needs = needs_of(cifar_spec, place=home, sign=sign, nonce=nonce)
        # As on a node whose folder is another one, with the same file in it.
        elsewhere = dataclasses.replace(needs, nonce="another")
        assert "does not share the folder" in lacking(elsewhere.to_json())
        write_cifar(tmp_path / "copy", size=11)
        config = {**needs.config, "dataset": {**needs.config["dataset"], "root": str(tmp_path / "copy")}}
        assert "has other data" in lacking(dataclasses.replace(needs, config=config).to_json())
        config = {**needs.config, "dataset": {**needs.config["dataset"], "root": str(tmp_path / "absent")}}
        assert "does not exist" in lacking(dataclasses.replace(needs, config=config).to_json())
        unknown = dataclasses.replace(needs, task="absent_module:Task")
        assert "no module that can be imported" in lacking(unknown.to_json())


def test_the_same_data_elsewhere_is_the_same(cifar_spec, tmp_path):
    task = cifar_spec.find_task()
    copy = write_cifar(tmp_path / "elsewhere")
    dataset = dataclasses.replace(cifar_spec.base.dataset, root=str(copy))
    os.utime(copy / "cifar-10-batches-py" / "test_batch", (1, 1))
    moved = dataclasses.replace(cifar_spec.base, dataset=dataset)
    assert task.fingerprint(moved) == task.fingerprint(cifar_spec.base)


def test_paths_are_whole_before_they_travel(small_spec, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    base = {"training": {"epochs": 9}, "dataset": {"name": "cifar10", "root": "data"}}
    spec = small_spec(base=base)
    state = SweepState(spec, record=lambda event: None)
    job = Dispatch(state, SweepFolder(home=tmp_path, name="small")).next_job()
    assert job.config["dataset"]["root"] == str(tmp_path / "data")
    assert state.trials[0].config["dataset"]["root"] == "data"  # the record says what the user wrote


def test_modules_travel_without_what_lies_beside_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_travelling_task.py").write_text("import my_package.inner\n")
    package = tmp_path / "my_package"
    (package / "__pycache__").mkdir(parents=True)
    for name in ("__init__.py", "inner.py", "words.txt", ".secret", "__pycache__/x.pyc"):
        (package / name).write_text("")
    (package / "large.bin").write_bytes(b"x" * (own_code.LARGEST_FILE_BYTES + 1))
    (tmp_path / "unrelated.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    import my_travelling_task  # noqa: F401

    modules = own_code.own_modules([tmp_path])
    assert modules == [package, tmp_path / "my_travelling_task.py"]
    staged = own_code.stage(modules, tmp_path / "staged")
    assert [path.name for path in staged] == ["my_package", "my_travelling_task.py"]
    found = {
        str(path.relative_to(tmp_path / "staged"))
        for path in (tmp_path / "staged").rglob("*")
        if path.is_file()
    }
    assert found == {
        "my_travelling_task.py", "my_package/__init__.py", "my_package/inner.py", "my_package/words.txt"
    }  # fmt: skip
    order = order_of(own_code.files_of(modules))
    assert json.loads(stranger.look(order))["other"] == []
    (package / "inner.py").write_text("x = 1\n")
    assert json.loads(stranger.look(order))["other"] == [str(package / "inner.py")]


def test_a_trial_in_this_process_sees_no_gpu_that_it_does_not_take(small_spec, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    spec = small_spec(task="tests.support.trainables:print_its_devices", search={"trials": 1})
    around = Surroundings(executor=InProcessExecutor())
    start_sweep(spec, home=tmp_path / "sweeps", name=None, surroundings=around)
    assert "devices: ''" in capsys.readouterr().out
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3"


def test_hidden_gpus_are_absent_however_late_they_were_hidden(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert choose_device("auto").type == "cpu"
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert choose_device("auto").type == "cuda"
