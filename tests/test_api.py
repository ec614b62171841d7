"""Sweeps from Python: what docs/api.md says, run as it stands, and that it is the command line's own."""

import json
import re
import subprocess
import sys

import pytest

import ubn_sweep
from tests.support.processes import REPOSITORY, call_cli
from ubn_sweep import Sweep
from ubn_sweep.errors import UserError
from ubn_sweep.sweep.spec.loading import load_spec

DOCUMENT = (REPOSITORY / "docs" / "api.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
FEW = {"trials": 2, "sampler": "random"}
TASK = {
    "name": "small",
    "task": "tests.support.trainables:train",
    "base": {"training": {"epochs": 2}},
    "space": {"norm.threshold": {"type": "float", "low": 0.0, "high": 0.5}},
}


@pytest.mark.slow
def test_the_document_runs_as_it_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in BLOCKS:
        exec(compile(block, "docs/api.md", "exec"), names)
    sweep, trials = names["sweep"], names["trials"]
    assert names["result"].finished
    assert list(trials.index) == list(range(6))
    assert set(trials["status"]) <= {"completed", "stopped"}
    assert names["curves"].shape == (3, 6)
    assert names["best"]["score"] == names["good"]["metrics.val_top1"].iloc[0]
    assert names["best"]["trial"] == names["result"].best.number
    assert names["report"].html == sweep.folder / "landscape.html"
    assert names["config"].exists()
    assert names["landscape"].summary == names["report"].summary
    assert list(names["spread"]["epoch"]) == [1, 2, 3]
    assert set(names["everything"]["part"]) >= {"by_epoch", "best_so_far"}
    assert (tmp_path / "course.svg").read_text().startswith("<?xml")
    assert names["report_again"].html == tmp_path / "elsewhere" / "landscape.html"
    # The command line sees the same.
    told = call_cli(["status", "notebook", "--json"], cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    facts = json.loads(told.stdout.splitlines()[-1])
    assert {key: facts[key] for key in sweep.status()} == sweep.status()
    assert facts["trials"] == {**names["result"].counts, "open": 0}


def test_a_file_a_mapping_and_a_checked_spec_are_the_same(write_spec_file, tmp_path):
    path = write_spec_file(TASK)
    spec = load_spec(path, ["search.trials=3"])
    for what in (str(path), path, TASK):
        assert Sweep(what, set=["search.trials=3"], home=tmp_path).spec == spec
    assert Sweep(spec, home=tmp_path).spec == spec


@pytest.fixture
def write_spec_file(tmp_path):
    def write(content):
        path = tmp_path / "small.yaml"
        path.write_text(json.dumps(content))
        return path

    return write


def test_mistakes_are_one_line(tmp_path):
    def refuses(match, action):
        with pytest.raises(UserError, match=match) as caught:
            action()
        assert "\n" not in str(caught.value)

    refuses(
        r"the spec: search.trails: unknown key .*did you mean `trials`",
        lambda: Sweep({**TASK, "search": {"trails": 3}}),
    )
    refuses("unknown sweep `absent`", lambda: Sweep("absent", home=tmp_path))
    sweep = Sweep(TASK, home=tmp_path)
    refuses("has not been started", sweep.trials)
    refuses("executor: is `ray` or `in-process`, but got `slurm`", lambda: sweep.run(executor="slurm"))
    assert not any(tmp_path.iterdir())


def test_a_sweep_that_is_there_is_not_run_again(tmp_path, monkeypatch):
    monkeypatch.setenv("TEST_INTERRUPT_AT", "1 1")
    content = {**TASK, "task": "tests.support.trainables:interrupt", "search": FEW}
    sweep = Sweep(content, home=tmp_path, name="mine")
    assert repr(sweep) == "Sweep('mine', not started)"
    assert not sweep.run(executor="in-process", show=False).finished
    assert sweep.status()["state"] == "interrupted"
    with pytest.raises(UserError, match="go on with it by resume"):
        sweep.run()
    with pytest.raises(UserError, match="change its spec by resume"):
        Sweep("mine", home=tmp_path, set=["search.trials=3"])
    same = Sweep(tmp_path / "mine")
    assert (same.name, same.folder) == ("mine", sweep.folder)
    assert len(same.trials()) == 2
    assert same.best() is not None


def test_importing_the_package_is_light():
    code = (
        "import sys, ubn_sweep; print([n for n in sys.modules if 'ubn_sweep.' in n], 'click' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[] False\n"
    with pytest.raises(AttributeError, match="no attribute 'Swep'"):
        ubn_sweep.Swep  # noqa: B018
