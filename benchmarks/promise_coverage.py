"""How often promises hold: of sweeps alone and of confirmed ones, where the truth is known.

    python benchmarks/promise_coverage.py --random 60 --auto 8 --out benchmarks/results/promise_coverage.json

Nothing is trained: each training gets each image right or wrong by its config, its seed, its split and the image's
difficulty. Sweeps run through the real SweepState, with early stopping; races through the real race; promises come
from the files that `export` writes, and verdicts from `verdict`. Each promise is held against trainings of the same
config with new seeds, on the sweep's own split, tested on images of their own. Some minutes on one core; what is in
the file is not measured again, so that it goes on when it is interrupted.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np  # noqa: E402  (after the thread counts)
from tabulate import tabulate  # noqa: E402

from benchmarks.promise.sweeps import difference_of, exported, raced, swept  # noqa: E402
from benchmarks.promise.world import SCENARIOS, Scenario, World  # noqa: E402
from ubn_sweep import schema  # noqa: E402
from ubn_sweep.export.forecast import of_one_more  # noqa: E402
from ubn_sweep.export.verdict import Judged, verdict  # noqa: E402
from ubn_sweep.landscape.views.numbers import binomial_error  # noqa: E402
from ubn_sweep.training.classification.task import ImageClassification  # noqa: E402
from ubn_sweep.training.provenance import Provenance  # noqa: E402

TRIALS, TOP, SEEDS, HELD_OUT = 40, 5, 5, 5
TESTS, JUDGED = 200, 40
"""Trainings that a promise is held against, and of these those that a verdict is asked of."""
DROP = 0.05
"""A promise is broken where the training is so much worse."""
METRIC = ImageClassification.metrics[0]


def judged(world: World, content: dict[str, Any]) -> dict[str, float]:
    """One promise: the share of new trainings in its 90% interval, and what verdicts say of kept and broken ones."""
    origin = schema.parse(Provenance, content["provenance"], source="the export")
    assert origin.promised is not None
    tests = world.tests(content, TESTS)
    examples = world.scenario.test
    by_chance = binomial_error(origin.promised, examples)
    before = 1.645 * np.hypot(by_chance, binomial_error(origin.promised, world.scenario.validation))
    middle = origin.promised - (origin.optimism or 0.0)
    found = {
        "bias_raw": origin.promised - tests.mean(),
        "before": float(np.mean(np.abs(tests - middle) <= before)),
    }
    if origin.forecast is not None:
        low, high = of_one_more(origin.forecast, by_chance=by_chance)
        found["covered"] = float(np.mean((tests >= low) & (tests <= high)))
        found["bias"] = origin.forecast.expected - tests.mean()
        found["half"] = (high - low) / 2
    for name, values in (("kept", tests[:JUDGED]), ("broken", tests[:JUDGED] - DROP)):
        said = [
            verdict(
                METRIC,
                judged=Judged(test=max(float(value), 0.0), examples=examples, same_protocol=True),
                origin=origin,
            ).kept
            for value in values
        ]
        found[f"{name}_called_broken"] = sum(kept is False for kept in said) / len(said)
        found[f"{name}_called_open"] = sum(kept is None for kept in said) / len(said)
    return {key: float(value) for key, value in found.items()}


def one(scenario: Scenario, number: int, sampler: str) -> dict[str, Any]:
    """A sweep, its promise, its race, and the winner's promise."""
    world = World(scenario, number)
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        folder, spec = swept(world, home, sampler=sampler, trials=TRIALS)
        alone = exported(folder, home / "alone")
        trainings = raced(world, folder, spec, top=TOP, seeds=SEEDS, held_out=HELD_OUT)
        confirmed = exported(folder, home / "confirmed")
        difference = difference_of(world, folder, confirmed)
    return {
        "alone": judged(world, alone),
        "confirmed": judged(world, confirmed) | {"worth": world.worth(confirmed)},
        "gain": world.worth(confirmed) - world.worth(alone),
        "difference_covered": difference,
        "trainings": trainings,
    }


def measured(path: Path, counts: dict[str, int]) -> dict[str, Any]:
    """All scenarios and samplers; those that the file has are taken from there."""
    found = json.loads(path.read_text()) if path.exists() else {}
    for sampler, count in counts.items():
        for scenario in SCENARIOS:
            key = f"{sampler}/{scenario.name}"
            if len(found.get(key, [])) >= count:
                continue
            found[key] = [one(scenario, number, sampler) for number in range(count)]
            path.write_text(json.dumps(_rounded(found)) + "\n")
            print(f"{key}: {count} sweeps", file=sys.stderr, flush=True)
    return found


def _rounded(value: Any) -> Any:
    """What a thousandth of a point adds is none of the record's business."""
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return round(value, 5) if isinstance(value, float) else value


def mean(results: list[dict[str, Any]], *keys: str, scale: float = 100.0, digits: int = 1) -> str:
    """`89.3 ± 1.2`: mean and standard error over sweeps; empty where none has it."""
    values = []
    for result in results:
        value: Any = result
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None:
            values.append(scale * value)
    if not values:
        return ""
    error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else float("nan")
    return f"{np.mean(values):.{digits}f} ± {error:.{digits}f}"


def report(found: dict[str, Any]) -> str:
    lines = ["# How often promises hold", ""]
    lines += [
        f"`benchmarks/promise_coverage.py`: sweeps of {TRIALS} trials with early stopping in worlds of known truth; "
        f"races of the {TOP} finalists and BatchNorm on {SEEDS} rounds, {HELD_OUT} held out. Each promise is held "
        f"against {TESTS} new trainings of its config, verdicts against {JUDGED} as they are and {JUDGED} that are "
        f"{100 * DROP:.0f} points worse. Mean ± standard error over n sweeps; percent, or points of accuracy. The "
        "goal for 90% intervals is 87 to 93.",
        "",
    ]
    for sampler in dict.fromkeys(key.split("/")[0] for key in found):
        parts = {key.split("/")[1]: value for key, value in found.items() if key.startswith(f"{sampler}/")}
        lines += [f"## Sampler `{sampler}`", "", "### Coverage of the 90% promise", ""]
        rows = [
            [
                name,
                len(results),
                mean(results, "alone", "before"),
                mean(results, "alone", "covered"),
                mean(results, "confirmed", "covered"),
                mean(results, "alone", "half", digits=2),
                mean(results, "confirmed", "half", digits=2),
            ]
            for name, results in parts.items()
        ]
        heads = [
            "scenario",
            "n",
            "images alone",
            "sweep",
            "confirmed",
            "half width, sweep",
            "half width, confirmed",
        ]
        lines += [
            tabulate(rows, heads, "github"),
            "",
            "### Bias of what is expected, and what confirming gains",
            "",
        ]
        rows = [
            [
                name,
                mean(results, "alone", "bias_raw", digits=2),
                mean(results, "alone", "bias", digits=2),
                mean(results, "confirmed", "bias", digits=2),
                mean(results, "gain", digits=2),
                mean(results, "difference_covered"),
                mean(results, "trainings", scale=1),
            ]
            for name, results in parts.items()
        ]
        heads = [
            "scenario",
            "best score",
            "sweep",
            "confirmed",
            "winner's gain",
            "BN's difference covered",
            "trainings",
        ]
        lines += [tabulate(rows, heads, "github"), "", '### Verdicts: called "not kept"', ""]
        rows = [
            [
                name,
                mean(results, "alone", "kept_called_broken"),
                mean(results, "alone", "broken_called_broken"),
                mean(results, "alone", "broken_called_open"),
                mean(results, "confirmed", "kept_called_broken"),
                mean(results, "confirmed", "broken_called_broken"),
            ]
            for name, results in parts.items()
        ]
        heads = ["scenario", "sweep: kept", "broken", "broken, left open", "confirmed: kept", "broken"]
        lines += [tabulate(rows, heads, "github"), ""]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--random", type=int, default=60, help="sweeps of each scenario by random search")
    parser.add_argument("--auto", type=int, default=8, help="the same by `auto`")
    parser.add_argument("--out", type=Path, default=Path("promise_coverage.json"))
    options = parser.parse_args()
    counts = {
        name: count for name, count in (("random", options.random), ("auto", options.auto)) if count > 0
    }
    print(report(measured(options.out, counts)))


if __name__ == "__main__":
    main()
