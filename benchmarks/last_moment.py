"""Small sweeps in fresh processes, one after another, while another thread collects garbage: how many end badly?

A thread that collects garbage, as any thread may at any moment, once ended the process behind the last trial: an
object of Ray that was dropped while Ray shut down made Ray leave the process. `python -m benchmarks.last_moment 100`.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.sweep.deciding.state import SweepState

TRIALS = 4
CIRCLES = 2000
TIMEOUT_S = 240


def one_sweep(home: Path) -> None:
    """A sweep of a few trials that train nothing, while a thread does nothing but collect."""
    from tests.sweep.conftest import SPEC
    from ubn_sweep import schema
    from ubn_sweep.sweep.running.launch import Surroundings, start_sweep
    from ubn_sweep.sweep.running.ray.executor import RayExecutor
    from ubn_sweep.sweep.spec.loading import load_spec

    spec_path = home / "small.yaml"
    spec_path.write_text(schema.dump_yaml({**SPEC, "search": {"trials": TRIALS, "sampler": "random"}}))
    surroundings = Surroundings(executor=RayExecutor(cpus=2), follow=collecting)
    result = start_sweep(load_spec(spec_path), home=home, name=None, surroundings=surroundings)
    assert result.finished
    print("ended well", flush=True)


class Circle:
    """Garbage that refers to Ray, as Tune leaves it: it goes when some thread happens to collect."""

    def __init__(self, ref: Any) -> None:
        self.itself, self.ref = self, ref


@contextmanager
def collecting(state: SweepState, folder: SweepFolder) -> Iterator[None]:
    """Lets garbage lie while the sweep runs, and collects it in a thread of its own while Ray shuts down."""
    over = threading.Event()

    def collect() -> None:
        while not over.wait(0.01) and not state.trials:
            pass  # whoever imports Ray first must have set its environment
        ray = sys.modules["ray"]
        gc.disable()
        for _ in range(CIRCLES):
            Circle(ray.put(1))
        while not over.wait(0.0002) and ray.is_initialized():
            pass
        while not over.is_set():
            gc.collect()
            time.sleep(0.001)

    thread = threading.Thread(target=collect, daemon=True)
    thread.start()
    try:
        yield
    finally:
        time.sleep(0.5)  # Ray's shutdown may be over in no time, and its objects go after it
        over.set()
        thread.join()
        gc.enable()


def run_one(home: str) -> str | None:
    """How a sweep in a process of its own ended badly; None where it ended well."""
    command = [sys.executable, "-m", "benchmarks.last_moment", "--one", home]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return f"still there after {TIMEOUT_S} s"
    if done.returncode == 0 and "ended well" in done.stdout:
        return None
    return f"exit {done.returncode}: {' '.join(done.stderr.split())[:300]}"


def main(runs: int) -> int:
    """Prints each bad end and the count; how many there were."""
    bad = 0
    for run in range(runs):
        with tempfile.TemporaryDirectory() as home:
            why = run_one(home)
        bad += why is not None
        print(f"run {run}: {why or 'ended well'}", flush=True)
    print(f"{bad} of {runs} runs ended badly", flush=True)
    return bad


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        one_sweep(Path(sys.argv[2]))
    else:
        sys.exit(main(int(sys.argv[1])) > 0)
