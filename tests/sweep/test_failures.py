"""A sweep in which nothing works says so, to people and to programs."""

import json

import pytest

from tests.support.processes import call_cli


@pytest.mark.slow
def test_a_sweep_whose_trials_all_fail_ends_with_1_and_says_why(write_spec, tmp_path):
    spec = write_spec(
        task="tests.support.trainables:raise_at_once", search={"trials": 4, "sampler": "random"}
    )
    done = call_cli(["run", str(spec), "--executor", "in-process", "--json"], cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback (most recent call last)" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(
        "error: no trial of small has a result; trial 0 failed: RuntimeError: no such [thing]"
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["trials"] == {"completed": 0, "stopped": 0, "failed": 4, "diverged": 0}
    assert found["best"] is None
    assert last == f"error: {found['error']}"

    export = call_cli(["export", "small"], cwd=tmp_path)
    assert export.returncode == 2
    assert "nothing to export" in export.stderr
