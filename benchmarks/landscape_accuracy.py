"""How well sweeps learn the profile of one hyperparameter, others at their best and on average: no training.

    python benchmarks/landscape_accuracy.py --data FOLDER --seeds 2 --markdown benchmarks/results/landscape_accuracy.md
    python benchmarks/landscape_accuracy.py --families ridge,cliff,crossing,noise,conditional

Sweeps are simulated on known curves, through the real state, sampler and early stopping, with 8 workers, rungs at 2, 6
and 18 of 52 epochs. All of them are read by the same model at the last epoch, as the report does. The error is the
root mean square over 17 places of the axis of estimate less truth, in units of the best less the median of 1,500
random configurations; what is worse than twice the median's regret counts as that. Coverage is the share of the 17
places whose truth lies in the 90% band. FOLDER is LCBench's surrogate, as in benchmarks/search_efficiency.py; it
needs onnxruntime.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np  # noqa: E402  (after the thread counts)

from benchmarks.landscape.families import FAMILIES, family  # noqa: E402
from benchmarks.landscape.report import Record, markdown  # noqa: E402
from benchmarks.landscape.sweeps import METHODS, Reports, swept  # noqa: E402
from benchmarks.landscape.truth import Task, Truth, truth_of  # noqa: E402
from ubn_sweep.surrogate.last_epoch import LastEpochModel  # noqa: E402
from ubn_sweep.surrogate.profile import profiles  # noqa: E402

CHECKPOINTS = (260, 520, 1040)


def read(task: Task, truth: Truth, reports: Reports, *, method: str, seed: int, epochs: int) -> Record:
    """What the landscape says after so many epochs, held against the truth."""
    began = time.process_time()
    model = LastEpochModel(task.space, reports.seen(task, epochs), max_epochs=task.problem.max_epochs)
    found = profiles(model, task.over, floor=task.floor)
    unit = task.problem.best - task.problem.median
    errors, covered, widths = {}, {}, {}
    for name in ("best", "average"):
        draws, true = getattr(found, name), getattr(truth, name)
        low, middle, high = np.quantile(draws, (0.05, 0.5, 0.95), axis=0)
        errors[name] = float(np.sqrt(np.mean(((middle - true) / unit) ** 2)))
        covered[name] = float(np.mean((low <= true) & (true <= high)))
        widths[name] = float(np.mean(high - low) / unit)
    return Record(
        task=task.name,
        method=method,
        seed=seed,
        epochs=epochs,
        errors=errors,
        covered=covered,
        widths=widths,
        trials=len({trial for trial, _, _ in reports.reports[:epochs]}),
        read_cpu_s=time.process_time() - began,
    )


def measured(tasks: Sequence[Task], methods: Sequence[str], seeds: Sequence[int]) -> Iterator[Record]:
    """One record for each task, method, seed and checkpoint. What does not know the axis is swept once for all axes."""
    swept_already: dict[tuple[str, str, int], Reports] = {}
    for task in tasks:
        truth = truth_of(task)
        for method in methods:
            for seed in seeds:
                key = (task.name if method.startswith("map") else task.problem.name, method, seed)
                if key not in swept_already:
                    swept_already[key] = swept(task, method, seed=seed, budget_epochs=CHECKPOINTS[-1])
                for epochs in CHECKPOINTS:
                    yield read(task, truth, swept_already[key], method=method, seed=seed, epochs=epochs)


def tasks_of(args: argparse.Namespace) -> list[Task]:
    found: list[Task] = []
    if args.data is not None:
        from benchmarks.landscape.lcbench import lcbench_tasks

        found += lcbench_tasks(args.data, args.tasks, tuple(args.axes))
    found += [family(name) for name in args.families]
    if not found:
        raise SystemExit("nothing to map: give --data FOLDER --tasks NAMES, or --families NAMES")
    return found


def names(text: str) -> list[str]:
    return [name.strip() for name in text.split(";" if ";" in text else ",") if name.strip()]


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    described = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=described)
    parser.add_argument("--data", type=Path, help="folder with LCBench's model.onnx and its two JSON files")
    parser.add_argument("--tasks", type=names, default=[], help="of that folder")
    parser.add_argument("--axes", type=names, default=["learning_rate", "max_dropout", "weight_decay"])
    parser.add_argument("--families", type=names, default=[], help="made up: " + ",".join(FAMILIES))
    parser.add_argument(
        "--methods", type=names, default=list(METHODS), help="separated by `;`: " + "; ".join(METHODS)
    )
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    args = parse(arguments)
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    records = []
    for record in measured(tasks_of(args), args.methods, seeds):
        records.append(record)
        print(record.line(), flush=True)
        if args.json is not None:  # what is interrupted has not been for nothing
            args.json.write_text(json.dumps([record.plain() for record in records]) + "\n")
    text = markdown(records)
    print(text)
    if args.markdown is not None:
        args.markdown.write_text(text)


if __name__ == "__main__":
    main()
