"""Which searcher finds better configurations for fewer epochs, on problems whose learning curves are known.

    python benchmarks/search_efficiency.py --data FOLDER --methods auto,random,tpe,stock --seeds 4
    python benchmarks/search_efficiency.py --families gated,crossing,nested-100 --curves table.json

Simulated asynchronous workers drive ubn-sweep's own SweepState, which a sweep of trials asks, and, as `stock`, Ray
Tune's own OptunaSearch and AsyncHyperBandScheduler. Nothing is trained.

Regret = (best - v) / (best - median): v is the value at the last epoch of the configuration with the best value
observed so far at any epoch; best and median are those of 1,500 random configurations trained to the end.
"""

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np  # noqa: E402  (after the thread counts)
import optuna  # noqa: E402
from tabulate import tabulate  # noqa: E402

from benchmarks.search import families, problems, report, synthetic  # noqa: E402
from benchmarks.search.methods import check, make_engine  # noqa: E402
from benchmarks.search.simulation import Schedule, simulate  # noqa: E402

_PROBLEMS: dict[str, problems.Problem] = {}  # filled before the workers are forked


def load(args: argparse.Namespace) -> None:
    found: list[problems.Problem] = []
    if args.data is not None:
        found += problems.lcbench(args.data, args.tasks)
    found += [problems.table(file) for file in args.curves]
    found += [
        (families if families.is_of_a_kind(name) else synthetic).problem(name) for name in args.families
    ]
    if not found:
        raise SystemExit("nothing to search: give --data FOLDER, --curves FILE.json or --families NAMES")
    _PROBLEMS.update({problem.name: problem for problem in found})


def run_one(job: tuple[str, str, int, int, int]) -> report.Record:
    name, method, seed, budget, workers = job
    quiet()
    problem = _PROBLEMS[name]
    engine = make_engine(method, problem, seed=seed, schedule=Schedule())
    run = simulate(problem, engine, budget_epochs=budget, workers=workers)
    every = every_of(budget)
    return report.Record(
        problem=name,
        method=method,
        seed=seed,
        every=every,
        regrets=run.regrets[every - 1 :: every],
        n_trials=len(run.suggestion_cpu_s),
        n_complete=run.n_complete,
        median_suggestion_cpu_s=float(np.median(run.suggestion_cpu_s)),
    )


def every_of(budget: int) -> int:
    """The finest grid of at most 100 points that holds every checkpoint."""
    steps = [step for step in range(1, budget + 1) if all(c % step == 0 for c in checkpoints_of(budget))]
    return next(step for step in steps if budget // step <= 100 or step == steps[-1])


def checkpoints_of(budget: int) -> list[int]:
    return [round(budget * share) for share in report.CHECKPOINTS]


def time_suggestions(method: str, n_trials: int) -> dict[str, Any]:
    """Seconds for each of the first `n_trials` suggestions of one sweep on the first problem."""
    problem = next(iter(_PROBLEMS.values()))
    engine = make_engine(method, problem, seed=0, schedule=Schedule())
    wall_s: list[float] = []
    cpu_s: list[float] = []
    for _ in range(n_trials):
        began_wall, began_cpu = time.perf_counter(), time.process_time()
        trial, params = engine.ask()
        wall_s.append(time.perf_counter() - began_wall)
        cpu_s.append(time.process_time() - began_cpu)
        for epoch, value in enumerate(problem.curves([params])[0], start=1):
            if engine.report(trial, epoch, float(value)):
                break
    spans = {
        "wall": wall_s,
        "processor": cpu_s,
        "wall, last 100": wall_s[-100:],
        "processor, last 100": cpu_s[-100:],
    }
    row: dict[str, Any] = {"method": method, "trials": n_trials}
    for clock, seconds in spans.items():
        row[f"{clock}: median"], row[f"{clock}: p95"] = np.quantile(seconds, (0.5, 0.95)).tolist()
    return row


def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


def names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    described = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=described)
    parser.add_argument("--data", type=Path, help="folder with LCBench's model.onnx and its two JSON files")
    parser.add_argument("--tasks", type=names, help="of that folder; default: all")
    parser.add_argument("--curves", type=Path, nargs="*", default=[], help="tables of curves as JSON")
    made_up = ",".join([*synthetic.FAMILIES, *(f"{kind}-NUMBER" for kind in families.KINDS)])
    parser.add_argument("--families", type=names, default=[], help=f"made up: {made_up}")
    parser.add_argument("--methods", type=names, default=["auto", "random", "tpe", "stock"])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--budget", type=int, default=1040, help="epochs of all trials together")
    parser.add_argument("--workers", type=int, default=8, help="simulated ones")
    parser.add_argument("--timing-trials", type=int, default=500, help="0: no timing")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--add-to", type=Path, help="an earlier --json: its other methods are kept")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--figure", type=Path)
    args = parser.parse_args(arguments)
    args.methods = [check(method) for method in args.methods]
    return args


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Everything that the report says."""
    load(args)
    jobs = [
        (name, method, seed, args.budget, args.workers)
        for method in args.methods
        for name in _PROBLEMS
        for seed in range(args.seeds)
    ]
    if args.processes > 1:
        import multiprocessing

        fork = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(args.processes, mp_context=fork) as pool:
            records = list(pool.map(run_one, jobs))
    else:
        records = [run_one(job) for job in jobs]
    timing = [time_suggestions(m, args.timing_trials) for m in args.methods if args.timing_trials > 0]
    if args.add_to is not None:
        earlier = json.loads(args.add_to.read_text())
        old = [report.Record(**record) for record in earlier["records"]]
        records += [record for record in old if record.method not in args.methods]
        timing += [row for row in earlier["timing"] if row["method"] not in args.methods]
    args.methods = report.methods_of(records)
    checkpoints = checkpoints_of(args.budget)
    has_goals = {"auto", "random"} <= set(args.methods)
    return {
        "command": command_of(args),
        "setting": f"{len(_PROBLEMS)} problems, {args.seeds} seeds each, {args.workers} workers, rungs "
        f"{Schedule().grace_epochs} times powers of {Schedule().reduction_factor:g}, budget {args.budget} epochs.",
        "checkpoints": checkpoints,
        "goals": report.goals(records, checkpoints) if has_goals else {},
        "timing": timing,
        "environment": report.environment(),
        "records": report.as_json(records),
    }


def command_of(args: argparse.Namespace) -> str:
    """The command without the paths of this machine."""
    parts = ["python benchmarks/search_efficiency.py"]
    parts += ["--data DIR"] if args.data is not None else []
    parts += [f"--tasks {','.join(args.tasks)}"] if args.tasks is not None else []
    parts += [f"--curves {' '.join(file.name for file in args.curves)}"] if args.curves else []
    parts += [f"--families {','.join(args.families)}"] if args.families else []
    parts += [f"--methods {','.join(args.methods)} --seeds {args.seeds} --budget {args.budget}"]
    return " ".join([*parts, f"--workers {args.workers}"])


def main(arguments: Sequence[str] | None = None) -> None:
    args = parse(arguments)
    quiet()
    result = measure(args)
    records = [report.Record(**record) for record in result["records"]]
    text = report.markdown(result)
    print(tabulate(report.summary(records, result["checkpoints"]), headers="keys"))
    print(text[text.index("## Against random") :])
    if args.json is not None:
        args.json.write_text(json.dumps(result) + "\n")
    if args.markdown is not None:
        args.markdown.write_text(text)
    if args.figure is not None:
        from benchmarks.search.figure import draw

        draw(records, args.figure, f"{len(_PROBLEMS)} problems, {args.seeds} seeds, {args.workers} workers")


if __name__ == "__main__":
    main()
