"""What a sweep costs beyond its training: our engine against the plain pattern of Ray's documentation.

    python benchmarks/sweep_overhead.py                      200 trivial trials, both sides in turn, ratio of wall times
    python benchmarks/sweep_overhead.py --long               trials of 60 s of real work: the share that is not work
    python benchmarks/sweep_overhead.py --many 10000         the cost per trial as a sweep grows

The plain pattern is a function trainable under `Tuner` with OptunaSearch, ASHAScheduler and MLflowLoggerCallback, with
their defaults, recording to SQLite. Ours records the same to SQLite, and the Optuna study as well. Both sample the same
space by TPE on the same processors, each in a process and a Ray cluster of its own; a trial reports three epochs.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

EPOCHS = int(os.environ.get("BENCH_EPOCHS", "3"))
WORKERS = 2
LONG_TRIAL_S, LONG_TRIALS = 60.0, 10
SPACE = {
    "norm.threshold": {"type": "float", "low": 0.0, "high": 0.8},
    "norm.momentum": {"type": "float", "low": 0.01, "high": 0.5, "log": True},
    "norm.centering": {"type": "choice", "values": [True, False]},
}


def quality(threshold: float, momentum: float, epoch: int) -> float:
    """The trivial trial's accuracy."""
    return (1 - (threshold - 0.2) ** 2 - abs(momentum - 0.1)) * (1 - 0.5**epoch)


def work(seconds: float) -> None:
    """Keeps one processor busy with what training does, for so long."""
    if seconds <= 0:
        return
    import torch

    torch.set_num_threads(1)
    a = torch.rand(256, 256)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        a = torch.tanh(a @ a)


def train(trial: Any) -> None:
    """Our side's trainable; the plain side does the same by hand."""
    norm = trial.config.norm
    for epoch in range(1, EPOCHS + 1):
        work(float(os.environ.get("BENCH_WORK_S", "0")) / EPOCHS)
        trial.report(
            epoch, {"val_top1": quality(norm.threshold, norm.momentum, epoch)}, save=lambda folder: None
        )


def run_ours(folder: Path, trials: int, sampler: str, stopping: bool) -> dict[str, Any]:
    from ubn_sweep.records.events import TrialEnded
    from ubn_sweep.records.journal import read_journal
    from ubn_sweep.sweep.running.copies import Following
    from ubn_sweep.sweep.running.launch import Surroundings, start_sweep
    from ubn_sweep.sweep.running.ray.executor import RayExecutor
    from ubn_sweep.sweep.spec.loading import spec_from_plain

    content = {
        "name": "overhead",
        "task": "benchmarks.sweep_overhead:train",
        "base": {"training": {"epochs": EPOCHS}},
        "space": SPACE,
        "search": {"trials": trials, "sampler": sampler, "warm_starts": False},
        "early_stopping": {"grace_epochs": 1} if stopping else None,
    }
    spec = spec_from_plain(content)
    follow = Following().follow if os.environ.get("BENCH_FOLLOW", "1") == "1" else None
    begin = time.perf_counter()
    surroundings = Surroundings(executor=RayExecutor(cpus=WORKERS), follow=follow)
    result = start_sweep(spec, home=folder, name=None, surroundings=surroundings)
    wall_s = time.perf_counter() - begin
    assert sum(result.counts.values()) == trials
    ends = [event.time_s for event in read_journal(result.folder) if isinstance(event, TrialEnded)]
    return {"wall_s": wall_s, "counts": result.counts, "ends_s": [end - ends[0] for end in ends]}


def run_plain(folder: Path, trials: int, sampler: str, stopping: bool) -> dict[str, Any]:
    import ray
    from ray import tune
    from ray.air.integrations.mlflow import MLflowLoggerCallback
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    work_s = float(os.environ.get("BENCH_WORK_S", "0"))

    def objective(config: dict[str, Any]) -> None:
        for epoch in range(1, EPOCHS + 1):
            work(work_s / EPOCHS)
            tune.report({"val_top1": quality(config["threshold"], config["momentum"], epoch)})

    begin = time.perf_counter()
    # Named, since without an address Ray joins whatever cluster runs on the machine.
    ray.init(address="local", num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)
    tuner = tune.Tuner(
        objective,
        param_space={
            "threshold": tune.uniform(0.0, 0.8),
            "momentum": tune.loguniform(0.01, 0.5),
            "centering": tune.choice([True, False]),
        },
        tune_config=tune.TuneConfig(
            search_alg=OptunaSearch(),
            scheduler=ASHAScheduler(max_t=EPOCHS, grace_period=1, reduction_factor=3) if stopping else None,
            metric="val_top1",
            mode="max",
            num_samples=trials,
        ),
        run_config=tune.RunConfig(
            name="plain",
            storage_path=str(folder),
            callbacks=[
                MLflowLoggerCallback(tracking_uri=f"sqlite:///{folder / 'plain.db'}", experiment_name="plain")
            ],
        ),
    )
    results = tuner.fit()
    wall_s = time.perf_counter() - begin
    assert len(results) == trials
    ray.shutdown()
    return {"wall_s": wall_s}


SIDES = {"ours": run_ours, "plain": run_plain}


def measure(
    side: str, trials: int, *, work_s: float = 0.0, sampler: str = "tpe", stopping: bool = True
) -> dict[str, Any]:
    """One side in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--side", side, "--trials", str(trials), "--folder", folder]
        command += ["--sampler", sampler] + ([] if stopping else ["--no-stopping"])
        root = str(Path(__file__).resolve().parents[1])
        environment = {**os.environ, "BENCH_WORK_S": str(work_s), "PYTHONPATH": root}
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, text=True, check=False, cwd=root
        )
    if done.returncode != 0:
        sys.exit(f"{side} ended with {done.returncode}:\n{done.stdout}")
    return json.loads(done.stdout.splitlines()[-1])


def compare(trials: int, repeats: int) -> dict[str, Any]:
    walls: dict[str, list[float]] = {side: [] for side in SIDES}
    for _ in range(repeats):
        for side in SIDES:
            walls[side].append(measure(side, trials)["wall_s"])
            print(f"{side}: {walls[side][-1]:.1f} s", file=sys.stderr)
    ratios = [ours / plain for ours, plain in zip(walls["ours"], walls["plain"], strict=True)]
    print(f"{trials} trivial trials, {repeats} repeats, {WORKERS} workers")
    for side, values in walls.items():
        print(f"  {side:6} {statistics.median(values):7.1f} s  ({min(values):.1f} to {max(values):.1f})")
    print(f"  ratio  {statistics.median(ratios):7.2f}    ({min(ratios):.2f} to {max(ratios):.2f})")
    return {"trials": trials, "wall_s": walls, "ratio": ratios}


def long_trials(trials: int) -> dict[str, Any]:
    """The share of the wall time that was not work: start-up of Ray included, then without it."""
    result = measure("ours", trials, work_s=LONG_TRIAL_S, stopping=False)
    busy_s = LONG_TRIAL_S * trials / WORKERS
    share = 1 - busy_s / result["wall_s"]
    print(f"{trials} trials of {LONG_TRIAL_S:.0f} s on {WORKERS} workers: {result['wall_s']:.1f} s,")
    print(
        f"  of which {share:.1%} is not work (start of Ray and of the workers, recording and the end included)"
    )
    return {"trials": trials, "wall_s": result["wall_s"], "overhead_share": share}


def many_trials(trials: int) -> dict[str, Any]:
    """Trials per second of the controller, tenth by tenth: one report a trial, sampled at random.

    MLflow is left out: on SQLite it takes a few runs a second, and catches up after such a sweep.
    """
    os.environ |= {"BENCH_EPOCHS": "1", "BENCH_FOLLOW": "0"}
    result = measure("ours", trials, sampler="random")
    ends, tenth = result["ends_s"], max(trials // 10, 1)
    marks = [ends[min(i * tenth, len(ends) - 1)] for i in range(11)]
    rates = [tenth / (b - a) for a, b in itertools.pairwise(marks) if b > a]
    print(f"{trials} trivial trials in {result['wall_s']:.0f} s; trials per second, tenth by tenth:")
    print("  " + "  ".join(f"{rate:.1f}" for rate in rates))
    return {"trials": trials, "wall_s": result["wall_s"], "trials_per_s_by_tenth": rates}


def surroundings() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        **{name: version(name) for name in ("ray", "optuna", "mlflow", "torch")},
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--many", type=int)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--sampler", default="tpe", help=argparse.SUPPRESS)
    parser.add_argument("--no-stopping", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side is not None:
        result = SIDES[options.side](options.folder, options.trials, options.sampler, not options.no_stopping)
        print(json.dumps(result))
        return
    if options.many is not None:
        result = many_trials(options.many)
    elif options.long:
        result = long_trials(LONG_TRIALS)
    else:
        result = compare(options.trials, options.repeats)
    result |= surroundings()
    print(", ".join(f"{key} {value}" for key, value in surroundings().items()))
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
