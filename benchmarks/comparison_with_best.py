"""How often the comparison with the best trial errs, and what it finds, on trials whose true accuracy is known.

    python benchmarks/comparison_with_best.py --sweeps 200 > benchmarks/results/comparison_with_best.md

Nothing is trained: each trial gets each image right or wrong by its true accuracy and the image's difficulty, so that
trials agree on most images, as networks do. An error is a sweep in which any trial is told from the best one though
none is worse. A few minutes on one core.
"""

import argparse
import dataclasses
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np  # noqa: E402  (after the thread counts)
from scipy import stats  # noqa: E402
from tabulate import tabulate  # noqa: E402

from ubn_sweep.landscape.views.comparison import Compared, compare_with_best  # noqa: E402
from ubn_sweep.landscape.views.numbers import binomial_error  # noqa: E402

SPREAD = 2.0
"""Of the images' difficulty, in units of what a network decides by chance."""
Z_95 = 1.96
Rule = Callable[[list[Compared]], int]
"""Trials, best first -> how many of them are not told from the best."""


def simulated(
    levels: Sequence[float],
    *,
    images: int,
    generator: np.random.Generator,
    seeds: int = 1,
    seed_std: float = 0.0,
) -> list[tuple[Compared, float]]:
    """A trial for each true accuracy, with it, best score first.

    `seed_std` is the standard deviation of a network's own accuracy over the seeds, to first order.
    """
    scale = np.hypot(1.0, SPREAD)
    places = stats.norm.ppf(levels) * scale
    slopes = stats.norm.pdf(places / scale) / scale
    difficulty = SPREAD * generator.standard_normal(images)
    found = []
    for level, place, slope in zip(levels, places, slopes, strict=True):
        ability = place + generator.standard_normal((seeds, 1)) * seed_std / slope
        bits = ability - difficulty + generator.standard_normal((seeds, images)) > 0
        of_seeds = bits.mean(axis=1)
        trial = Compared(
            score=float(of_seeds.mean()),
            examples=images,
            bits=bits,
            seed_std=float(of_seeds.std(ddof=1)) if seeds > 1 else None,
            seeds=seeds,
        )
        found.append((trial, level))
    return sorted(found, key=lambda pair: -pair[0].score)


def pairwise(trials: list[Compared]) -> int:
    """As versions before 0.2 did: 1.96 binomial errors, each trial by itself, as if it had images of its own."""
    errors = [binomial_error(trial.score, trial.examples) for trial in trials]
    apart = [
        trials[0].score - trial.score <= Z_95 * np.hypot(errors[0], error)
        for trial, error in zip(trials, errors, strict=True)
    ]
    return sum(apart)


def without_images(trials: list[Compared]) -> int:
    """All at once, by the scores alone."""
    return compare_with_best([dataclasses.replace(trial, bits=None) for trial in trials]).undecided


def image_by_image(trials: list[Compared]) -> int:
    """All at once, paired."""
    return compare_with_best(trials).undecided


RULES: dict[str, Rule] = {
    "one by one": pairwise,
    "all at once": without_images,
    "all at once, image by image": image_by_image,
}


def errors(
    rule: Rule, levels: Sequence[float], sweeps: int, *, images: int, seeds: int = 1, seed_std: float = 0.0
) -> tuple[float, float]:
    """(share of sweeps in which one of the best is told from the best, share of the worse ones that are told)."""
    false, found, worse = 0, 0, 0
    for sweep in range(sweeps):
        generator = np.random.default_rng(sweep)
        pairs = simulated(levels, images=images, generator=generator, seeds=seeds, seed_std=seed_std)
        told = pairs[rule([trial for trial, _ in pairs]) :]
        best = max(levels)
        false += any(level == best for _, level in told)
        found += sum(level < best for _, level in told)
        worse += sum(level < best for level in levels)
    return false / sweeps, found / worse if worse else float("nan")


def equal_trials(sweeps: int) -> str:
    rows = []
    for count, images, level in [
        (15, 360, 0.985), (15, 1000, 0.6), (30, 1000, 0.93), (100, 1000, 0.93), (15, 10_000, 0.93),
    ]:  # fmt: skip
        rates = [errors(rule, [level] * count, sweeps, images=images)[0] for rule in RULES.values()]
        rows.append([count, f"{images:,}", f"{level:.1%}", *(f"{rate:.1%}" for rate in rates)])
    return tabulate(rows, ["trials", "images", "accuracy", *RULES], "github")


def seeds_matter(sweeps: int) -> str:
    """All configs are equal, but each training has the luck of its seed."""
    rows = []
    for seeds in (1, 2, 3, 5):
        rates = [
            errors(image_by_image, [0.93] * 30, sweeps, images=1000, seeds=seeds, seed_std=std)[0]
            for std in (0.0, 0.005, 0.01)
        ]
        rows.append([seeds, *(f"{rate:.1%}" for rate in rates)])
    return tabulate(rows, ["seeds", "± 0.0 points", "± 0.5 points", "± 1.0 points"], "github")


def power(sweeps: int) -> str:
    """Half of 20 trials are worse than the other half, which are equally good."""
    rows = []
    for images in (1000, 10_000):
        for drop in (0.01, 0.02, 0.04, 0.08):
            levels = [0.93] * 10 + [0.93 - drop] * 10
            found = [errors(rule, levels, sweeps, images=images) for rule in RULES.values()]
            texts = [f"{share:.0%} ({rate:.1%})" for rate, share in found]
            rows.append([f"{images:,}", f"{100 * drop:.0f}", *texts])
    return tabulate(rows, ["images", "points worse", *RULES], "github")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sweeps", type=int, default=200, help="simulated sweeps a number  [default: 200]")
    sweeps = parser.parse_args().sweeps
    print("# The comparison with the best\n")
    print(f"Command: `python benchmarks/comparison_with_best.py --sweeps {sweeps}`\n")
    print(
        f"{sweeps} simulated sweeps a number: a share of 5% has a standard error of "
        f"{np.sqrt(0.05 * 0.95 / sweeps):.1%}.\n"
    )
    print("## All trials are equally good: sweeps in which any of them was told from the best\n")
    print(equal_trials(sweeps))
    print("\n## All 30 configs are equally good, but their seeds have luck: the same, image by image\n")
    print(
        "With one seed each the report says so: trainings are told apart, and rightly, but nothing of their configs."
        "\nThe luck is the standard deviation of the networks' own accuracies; 1,000 images, 93%.\n"
    )
    print(seeds_matter(sweeps))
    print("\n## Ten of 20 trials are worse: share of them told from the best (and sweeps with an error)\n")
    print(power(sweeps))


if __name__ == "__main__":
    main()
