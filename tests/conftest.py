"""What all tests share. Ray and OpenMP read their environment once, so it is set before any test module is imported."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ubn_sweep.sweep.running.ray.environment import prepare_ray_environment

if TYPE_CHECKING:
    import torch

prepare_ray_environment(local=True)
# Small tensors gain nothing by threads, and tests share the processors; a test about threads sets its own number.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# As in a shell with the environment active: commands are printed by their short name.
os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
# A shell's background jobs ignore Ctrl-C, and so would all processes that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Decoded images of tests lie apart from those of the user's sweeps; the last few stay there.
os.environ.setdefault("UBN_SWEEP_CACHE", str(Path(tempfile.gettempdir()) / f"ubn-sweep-tests-{os.getuid()}"))

LONGEST = (
    "tests/test_main_job.py",
    "tests/sweep/test_engine.py",
    "tests/nn/test_surgery.py",
    "tests/sweep/test_version_0_1.py",
    "tests/sweep/test_larger_budget.py",
    "tests/landscape/test_report.py",
    "tests/sweep/test_lessons.py",
    "tests/sweep/test_faults.py",
    "tests/training/test_resume.py",
    "tests/training/test_models.py",
    "tests/sweep/test_in_process.py",
    "tests/tracking/test_faults.py",
    # of the slow ones
    "tests/sweep/test_jobs.py",
    "tests/sweep/test_cluster.py",
    "tests/sweep/test_slurm.py",
    "tests/sweep/test_restart.py",
    "tests/nn/test_triton.py",
    "tests/commands/test_final_killed.py",
)
"""Files that take long as a whole: first, so that no worker is left alone with one at the end."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", default="cpu", help="the device of tests that run on any: cpu, cuda, cuda:1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; the order within a file stays."""
    rank = {name: position for position, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.nodeid.split("::")[0], len(LONGEST)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors, since many tests wait; more than eight would mostly fill the memory."""
    return min(8, len(os.sched_getaffinity(0)) + 1)


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> torch.device:
    """The device that was asked for by `--device`."""
    import torch

    return torch.device(request.config.getoption("--device"))
