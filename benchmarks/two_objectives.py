"""How much of a known front samplers find: the hypervolume that a sweep lacks, as a share of the whole.

    python -m benchmarks.two_objectives                     all samplers but `gp`, 8 seeds
    python -m benchmarks.two_objectives --samplers gp auto --seeds 3

Nothing is trained. A trial's accuracy falls with the square of the momentum and with the distance of the learning rate
from 0.01; its epoch takes the longer the less momentum, and the farther from that rate. So the front is that learning
rate with any momentum. With `--asha` accuracy comes nearer to that from epoch to epoch, at speeds that the seed draws,
and rungs at epochs 1 and 3 of 9 stop trials. The volume is that between the front of the trials at full budget and the
point (accuracy 0.4, 12 s).
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import random
import statistics
from pathlib import Path
from typing import Any

from benchmarks.sweep_overhead import surroundings
from ubn_sweep.records.fronts import Pair, front
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.spec.loading import spec_from_plain

SAMPLERS = ("random", "qmc", "tpe", "auto", "optuna.samplers:NSGAIISampler")
SPACE = {
    "optimizer.lr": {"type": "float", "low": 0.0001, "high": 1.0, "log": True},
    "norm.momentum": {"type": "float", "low": 0.0, "high": 1.0},
}
EPOCHS = 9
REFERENCE = (0.4, -12.0)


def outcome(params: dict[str, Any]) -> tuple[float, float]:
    """Accuracy, and seconds of an epoch."""
    momentum, miss = params["norm.momentum"], abs(math.log10(params["optimizer.lr"]) + 2)
    return 0.9 - 0.3 * momentum**2 - 0.1 * miss, 10 - 8 * momentum + miss


def volume(points: list[Pair]) -> float:
    """The area that points dominate, both coordinates the higher the better, from REFERENCE on."""
    inside = [point for point in points if point[0] > REFERENCE[0] and point[1] > REFERENCE[1]]
    stairs = [inside[place] for place in front(inside)]
    floors = [REFERENCE[1], *(second for _, second in stairs)]
    return sum(
        (first - REFERENCE[0]) * (second - floor)
        for (first, second), floor in zip(stairs, floors, strict=False)
    )


def whole() -> float:
    """Of the whole front."""
    rate = {"optimizer.lr": 0.01}
    found = (outcome({**rate, "norm.momentum": step / 5000}) for step in range(5001))
    return volume([(accuracy, -seconds) for accuracy, seconds in found])


def lacking(sampler: str, seed: int, trials: int, *, asha: bool) -> float:
    """The share of the front's volume that one sweep did not find."""
    spec = spec_from_plain(
        {
            "name": "two",
            "base": {"training": {"epochs": EPOCHS}},
            "space": SPACE,
            "objective": ["val_top1", "epoch_s"],
            "search": {"trials": trials, "sampler": sampler, "warm_starts": False, "seed": seed},
            "early_stopping": {"grace_epochs": 1} if asha else None,
        }
    )
    state = SweepState(spec, record=lambda event: None, now_s=lambda: 0.0)
    dice, found = random.Random(seed), []
    while (trial := state.next_trial()) is not None:
        accuracy, seconds = outcome(trial.params)
        speed = dice.uniform(0.5, 1.5)
        for epoch in range(1, EPOCHS + 1):
            value = accuracy * (1 - 0.5 * math.exp(-speed * epoch)) if asha and epoch < EPOCHS else accuracy
            if state.report(trial.number, epoch, {"val_top1": value, "epoch_s": seconds}):
                break
        if trial.status == "completed":
            found.append((accuracy, -seconds))
    return 1 - volume(found) / whole()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samplers", nargs="+", default=list(SAMPLERS))
    parser.add_argument("--trials", type=int, default=48)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--asha", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result: dict[str, Any] = {"trials": options.trials, "asha": options.asha, "lacking": {}}
    for sampler, seed in itertools.product(options.samplers, range(options.seeds)):
        of_sampler = result["lacking"].setdefault(sampler, [])
        of_sampler.append(lacking(sampler, seed, options.trials, asha=options.asha))
        if len(of_sampler) == options.seeds:
            error = statistics.stdev(of_sampler) / math.sqrt(options.seeds)
            print(f"{sampler:32} {statistics.fmean(of_sampler):.3f} ± {error:.3f}", flush=True)
    result |= surroundings()
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
