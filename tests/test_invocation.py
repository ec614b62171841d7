"""What is printed can be pasted, wherever the user stands."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import REPOSITORY, call_cli
from ubn_sweep.invocation import as_typed, invocation
from ubn_sweep.records.folder import SweepFolder

SCRIPT = Path(sys.executable).with_name("ubn-sweep")
QUICKSTART = str(REPOSITORY / "search_spaces" / "quickstart.yaml")


def make_installation(folder):
    (folder / "bin").mkdir(parents=True)
    for name in ("python", "ubn-sweep"):
        (folder / "bin" / name).write_text("#!/bin/sh\n")
        (folder / "bin" / name).chmod(0o755)
    return folder / "bin"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """An installation in `.venv` of the current folder, which the shell does not search."""
    there = make_installation(tmp_path / ".venv")
    monkeypatch.setattr(sys, "executable", str(there / "python"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    return there


def test_it_is_called_by_its_name_where_the_shell_finds_it(installed, monkeypatch):
    monkeypatch.setenv("PATH", f"{installed}:/usr/bin")
    assert invocation() == "ubn-sweep"


def test_it_is_called_by_its_path_where_the_shell_does_not_find_it(installed, monkeypatch, tmp_path):
    assert invocation() == ".venv/bin/ubn-sweep"
    (tmp_path / "with spaces").mkdir()
    monkeypatch.chdir(tmp_path / "with spaces")
    assert invocation() == f"{installed}/ubn-sweep"


def test_another_installation_in_front_is_not_taken_for_this_one(installed, monkeypatch, tmp_path):
    other = make_installation(tmp_path / "other")
    monkeypatch.setenv("PATH", f"{other}:{installed}")
    assert invocation() == ".venv/bin/ubn-sweep"


def test_without_a_script_the_module_is_called(installed):
    (installed / "ubn-sweep").unlink()
    assert invocation() == f"{installed}/python -m ubn_sweep"


def test_commands_in_a_text_are_spelled_out_and_nothing_else(installed):
    text = "go on by `ubn-sweep resume a`; docs of ubn-sweep: /opt/ubn-sweep run; ubn-sweep ui"
    assert as_typed(text) == (
        "go on by `.venv/bin/ubn-sweep resume a`; docs of ubn-sweep: /opt/ubn-sweep run; .venv/bin/ubn-sweep ui"
    )


def test_a_printed_line_runs(tmp_path):
    """As a shell in that folder runs it, `--set` included."""
    done = call_cli(["validate", QUICKSTART, "--set", "search.trials=3"], cwd=tmp_path, PATH="/usr/bin:/bin")
    command = done.stderr.rsplit("Start it with ", 1)[1].strip()
    assert command.endswith("--set search.trials=3")
    checked = command.replace(" run ", " validate ") + " --json"
    environment = {**os.environ, "PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY)}
    again = subprocess.run(checked, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert '"trials": 3' in again.stdout


def test_a_sweep_elsewhere_is_named_by_its_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert SweepFolder(home=tmp_path / "sweeps", name="a").typed == "a"
    assert SweepFolder(home=tmp_path / "far away", name="a").typed == f"'{tmp_path}/far away/a'"
