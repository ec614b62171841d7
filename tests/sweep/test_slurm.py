"""The batch script of docs/cluster.md, run by bash: where it asks Slurm, this machine answers in its place."""

import contextlib
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.processes import REPOSITORY, alive, kill_all, wait_until
from tests.support.ray_nodes import ANY_PORTS, SEVERAL_MACHINES, free_port
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import read_journal

SCONTROL = "#!/bin/sh\nprintf '127.0.0.1\\n127.0.0.2\\n'\n"
SRUN = f"""#!/bin/bash
while [[ $1 == --* ]]; do shift; done
exec "$@" {" ".join(ANY_PORTS)}
"""


def start(folder, port):
    """The batch job, with the environment that Slurm gives it."""
    (script,) = re.findall(
        r"```bash\n(#!/bin/bash\n.*?)```", (REPOSITORY / "docs/cluster.md").read_text(), re.DOTALL
    )
    (folder / "job.sbatch").write_text(script)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("RAY_AUTH")}
    environment |= {
        **SEVERAL_MACHINES,
        "PYTHONPATH": str(REPOSITORY),
        "PATH": f"{folder / 'bin'}{os.pathsep}{environment['PATH']}",
        "SLURM_JOB_ID": "17",
        "SLURM_JOB_NODELIST": "node[1-2]",
        "SLURM_CPUS_PER_TASK": "1",
        "RAY_PORT": str(port),
        "TEST_EPOCH_S": "0.2",
    }
    with (folder / "job.out").open("w") as out:
        return subprocess.Popen(
            ["bash", "job.sbatch"],
            cwd=folder,
            env=environment,
            stdout=out,
            stderr=out,
            text=True,
            start_new_session=True,
        )


def living_in(folder):
    """The processes whose current folder it is."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if path.readlink() == folder:
                found.append(int(path.parent.name))
    return [pid for pid in found if alive(pid)]


def ends(job, folder, timeout_s):
    """The exit code and what was printed; nothing of the job is left running."""
    try:
        code = job.wait(timeout=timeout_s)
        wait_until(lambda: not living_in(folder), timeout_s=60)
    finally:
        kill_all(job)
        for pid in living_in(folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    return code, (folder / "job.out").read_text()


@pytest.mark.slow
def test_the_batch_script_runs_a_sweep_ends_it_in_order_and_goes_on(write_spec, tmp_path):
    bin = tmp_path / "bin"
    bin.mkdir()
    for name, text in (("scontrol", SCONTROL), ("srun", SRUN)):
        (bin / name).write_text(text)
        (bin / name).chmod(0o755)
    write_spec(early_stopping=None, search={"trials": 4, "sampler": "random"}).rename(tmp_path / "mine.yaml")
    folder = SweepFolder(home=tmp_path / "sweeps", name="mine")
    job = start(tmp_path, free_port())
    try:
        wait_until(lambda: folder.journal.exists() and '"epoch"' in folder.journal.read_text(), timeout_s=200)
        job.send_signal(signal.SIGTERM)  # the end of its time: to the batch shell alone
    finally:
        code, told = ends(job, tmp_path, 100)
    assert code == 143, told
    assert "go on with it by" in told
    assert not list(folder.home.glob(".token-*"))
    code, told = ends(start(tmp_path, free_port()), tmp_path, 250)
    assert code == 0, told
    ended = [event for event in read_journal(folder.path) if type(event).__name__ == "TrialEnded"]
    assert sorted(event.trial for event in ended) == [0, 1, 2, 3]
    assert len({event.time_s for event in ended}) == 4
