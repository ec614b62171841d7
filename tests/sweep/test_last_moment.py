"""Ray shuts down while other threads collect garbage: the process goes on."""

import subprocess
import sys

import pytest

from tests.support.processes import REPOSITORY

PROGRAM = """
import gc, sys, threading, time
from ubn_sweep.sweep.running.ray.environment import prepare_ray_environment
prepare_ray_environment(local=True)
import ray
from ubn_sweep.sweep.running.ray.cluster import shut_down

class Circle:
    def __init__(self):
        self.itself, self.ref = self, ray.put(1)

def collect():
    while ray.is_initialized():
        time.sleep(0.0002)
    for _ in range(200):
        [[] for _ in range(1000)]  # enough for the interpreter to collect by itself
        if collects:
            gc.collect()

ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
collects, end = sys.argv[1] == "by hand", {"ray": ray.shutdown, "ours": shut_down}[sys.argv[2]]
gc.disable()  # until the garbage is complete
for _ in range(5000):
    Circle()
thread = threading.Thread(target=collect, daemon=True)
thread.start()
gc.enable()
end()
thread.join()
print("ended well")
"""


def run(collects, end):
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, collects, end],
        env={"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("collects", ["by hand", "by itself"])
def test_a_collection_in_another_thread_ends_no_process(collects):
    """Tune leaves circles that refer to Ray. One that goes while Ray shuts down makes Ray leave the process."""
    done = run(collects, "ours")
    assert (done.returncode, done.stdout.strip()) == (0, "ended well"), done.stderr
