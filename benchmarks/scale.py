"""A large sweep with all its records on PostgreSQL: trials per second, the driver's memory, how far the copies lag.

    python -m benchmarks.scale                      10,000 trials of 20 epochs, each with 100 metrics of layers
    python -m benchmarks.scale --trials 1000        fewer of them
    python -m benchmarks.scale --no-copies          the journal alone
    python -m benchmarks.scale --in-process         without Ray, one trial after another

It trains nothing: a trial reports 20 epochs as fast as it is listened to, on two workers under Ray Tune, sampled at
random, without early stopping. MLflow's runs and the Optuna study go into two databases of a PostgreSQL server that it
starts in a temporary folder. At each tenth of the trials it looks at the clock, at the driver's processor time (which
tells whether a trial costs more than before, also where others use the machine) and its resident memory, both with the
followers', and at what the copies lack of the journal. Last it waits until all has arrived.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.driver_memory import EPOCHS, LAYER_METRICS, PAGE_KB
from benchmarks.sweep_overhead import SPACE, WORKERS, surroundings
from tests.tracking.servers import PostgresServer
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.running.copies import Following, deliver_all, sinks_of
from ubn_sweep.sweep.running.in_process import InProcessExecutor
from ubn_sweep.sweep.running.launch import Surroundings, recorded_spec, spec_events, start_sweep
from ubn_sweep.sweep.running.ray.executor import RayExecutor
from ubn_sweep.sweep.spec.loading import spec_from_plain
from ubn_sweep.sweep.spec.spec import SweepSpec
from ubn_sweep.tracking.delivery.cursor import read_cursor

LOOK_EVERY_S = 0.1
PARTS = 10


@dataclass(frozen=True, kw_only=True)
class Look:
    """The sweep at one moment."""

    trials: int
    """That had ended."""
    at_s: float
    """Since the first trial ended."""
    driver_cpu_s: float
    """Processor time of all threads of the driver since it began."""
    driver_mb: float
    undelivered_mb: dict[str, float]
    """Of the journal, by store."""


@dataclass(kw_only=True)
class Looks:
    """What is seen from another thread of the driver while the sweep runs."""

    spec: SweepSpec
    trials: int
    copies: bool
    seen: list[Look] = field(default_factory=list)

    @contextlib.contextmanager
    def watch(self, state: SweepState, folder: SweepFolder) -> Iterator[None]:
        """Looks on while the block runs."""
        over = threading.Event()
        thread = threading.Thread(target=self._look_on, args=(state, folder, over), daemon=True)
        thread.start()
        yield
        over.set()
        thread.join()

    def _look_on(self, state: SweepState, folder: SweepFolder, over: threading.Event) -> None:
        marks = [1, *(self.trials * part // PARTS for part in range(1, PARTS + 1))]
        begun_s = 0.0
        while marks:
            ended = sum(state.counts.values())
            if ended >= marks[0]:
                begun_s = time.monotonic() if not self.seen else begun_s
                marks.pop(0)
                self._look(ended, time.monotonic() - begun_s, folder)
            elif over.wait(LOOK_EVERY_S):
                return

    def _look(self, ended: int, at_s: float, folder: SweepFolder) -> None:
        look = Look(
            trials=ended,
            at_s=at_s,
            driver_cpu_s=time.process_time(),
            driver_mb=int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_KB / 1024,
            undelivered_mb=undelivered_mb(self.spec, folder) if self.copies else {},
        )
        self.seen.append(look)
        print(json.dumps(asdict(look)), flush=True)


def undelivered_mb(spec: SweepSpec, folder: SweepFolder) -> dict[str, float]:
    """Store -> what it lacks of the journal."""
    size = folder.journal.stat().st_size
    return {
        sink.store: (size - read_cursor(sink.cursor, folder.journal)) / 2**20
        for sink in sinks_of(spec, folder)
    }


def measure(trials: int, home: Path, stores: dict[str, str], *, in_process: bool) -> dict[str, Any]:
    """One sweep; without stores the journal is all that is written."""
    spec = spec_from_plain(
        {
            "name": "scale",
            "task": "benchmarks.driver_memory:train",
            "base": {"training": {"epochs": EPOCHS}},
            "space": SPACE,
            "search": {"trials": trials, "sampler": "random", "warm_starts": False},
            "early_stopping": None,
            "tracking": stores,
        }
    )
    looks = Looks(spec=spec, trials=trials, copies=bool(stores))
    begun_s = time.monotonic()
    result = start_sweep(
        spec,
        home=home,
        name=None,
        surroundings=Surroundings(
            executor=InProcessExecutor() if in_process else RayExecutor(cpus=WORKERS),
            watch=looks.watch,
            follow=Following().follow if stores else None,
        ),
    )
    ended_s = time.monotonic()
    assert result.counts["completed"] == trials, result.counts
    folder = SweepFolder(home=home, name=result.sweep)
    after = undelivered_mb(spec, folder) if stores else {}
    delivered = deliver_all(folder, recorded_spec(spec_events(folder))) if stores else {}
    return {
        "trials": trials,
        "epochs": EPOCHS,
        "layer_metrics": len(LAYER_METRICS),
        "sweep_s": ended_s - begun_s,
        "undelivered_at_the_end_mb": after,
        "delivery_after_the_end_s": time.monotonic() - ended_s,
        "records_after_the_end": list(delivered.values()),
        "journal_mb": folder.journal.stat().st_size / 2**20,
        "executor": "in process" if in_process else "ray",
        "trials_per_s": [1 / cost for cost in costs(looks.seen, "at_s")],
        "driver_cpu_ms_per_trial": [1000 * cost for cost in costs(looks.seen, "driver_cpu_s")],
        "looks": [asdict(look) for look in looks.seen],
        **surroundings(),
    }


def costs(seen: list[Look], of: str) -> list[float]:
    """Seconds of a kind that a trial took, between two looks."""
    return [
        (getattr(after, of) - getattr(before, of)) / (after.trials - before.trials)
        for before, after in itertools.pairwise(seen)
    ]


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[dict[str, str]]:
    """`tracking` of a spec: two databases of a server that runs while the block does."""
    server = PostgresServer(folder / "postgres")
    server.start()
    try:
        yield {"uri": server.new_database("mlflow"), "study_storage": server.new_database("optuna")}
    finally:
        server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--no-copies", action="store_true")
    parser.add_argument("--in-process", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)  # PostgreSQL may run as another user
        stores = {} if options.no_copies else stack.enter_context(postgres(folder))
        result = measure(options.trials, folder, stores, in_process=options.in_process)
    print(json.dumps({name: value for name, value in result.items() if name != "looks"}, indent=1))
    print("trials per second, part by part:", "  ".join(f"{rate:.1f}" for rate in result["trials_per_s"]))
    print("driver's ms a trial:", "  ".join(f"{ms:.1f}" for ms in result["driver_cpu_ms_per_trial"]))
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1) + os.linesep)


if __name__ == "__main__":
    main()
