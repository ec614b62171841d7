"""How often a sweep in which the threshold does nothing is said to have ruled out thresholds, and one in which it does.

    python benchmarks/landscape_null.py --sweeps 20 --methods "map;best;random"

Simulated sweeps on made-up problems, through the real state, sampler and early stopping, read by the report's own
model; a claim is what the report would say. `noise`: the other parameters matter, the threshold does not, and seeds
differ much. The goal is a claim in 5% of them at most. `cliff` and `ridge` are there to see what is found where it
matters.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.landscape.families import family  # noqa: E402  (after the thread counts)
from benchmarks.landscape.sweeps import swept  # noqa: E402
from benchmarks.landscape.truth import Task  # noqa: E402
from ubn_sweep.landscape.views.profile import MARGIN_SHARE, is_claimed  # noqa: E402
from ubn_sweep.surrogate.last_epoch import LastEpochModel  # noqa: E402
from ubn_sweep.surrogate.profile import profiles  # noqa: E402


def claims(task: Task, method: str, *, seed: int, epochs: int) -> tuple[bool, float]:
    """Whether the report would rule a threshold out after so many epochs, and the evidence."""
    seen = swept(task, method, seed=seed, budget_epochs=epochs).seen(task, epochs)
    model = LastEpochModel(task.space, seen, max_epochs=task.problem.max_epochs)
    found = profiles(model, task.over)
    evidence = model.evidence(task.over)
    return is_claimed(found.best, MARGIN_SHARE * found.unit, evidence), evidence


def names(text: str) -> list[str]:
    return [name.strip() for name in text.split(";") if name.strip()]


def main(arguments: Sequence[str] | None = None) -> None:
    described = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=described)
    parser.add_argument("--families", type=names, default=["noise"])
    parser.add_argument("--methods", type=names, default=["map", "best", "random"])
    parser.add_argument("--sweeps", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=520)
    args = parser.parse_args(arguments)
    for name in args.families:
        task = family(name)
        for method in args.methods:
            found = [claims(task, method, seed=seed, epochs=args.epochs) for seed in range(args.sweeps)]
            said = sum(is_said for is_said, _ in found)
            strongest = ", ".join(f"{e:.1f}" for e in sorted((e for _, e in found), reverse=True)[:3])
            print(
                f"{name}, {method}: claimed in {said} of {args.sweeps}; strongest evidence {strongest}",
                flush=True,
            )


if __name__ == "__main__":
    main()
