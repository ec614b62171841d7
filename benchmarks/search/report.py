"""What the simulated sweeps say: tables as data, then as Markdown."""

import math
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

CHECKPOINTS = (0.1, 0.25, 0.5, 1.0)  # shares of the budget


@dataclass(frozen=True, kw_only=True)
class Record:
    """One simulated sweep: the regret after every `every` epochs, and what it took."""

    problem: str
    method: str
    seed: int
    every: int
    regrets: list[float]
    n_trials: int
    n_complete: int
    median_suggestion_cpu_s: float

    def regret_at(self, epochs: int) -> float:
        return self.regrets[epochs // self.every - 1]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One method against random on one problem, at the end of the budget."""

    problem: str
    method: str
    regret: float
    random_regret: float
    difference: float
    standard_error: float  # of the difference

    @property
    def is_worse(self) -> bool:
        """By more than two standard errors."""
        return self.difference > 2 * self.standard_error


def of_method(records: Sequence[Record], method: str) -> list[Record]:
    return [record for record in records if record.method == method]


def methods_of(records: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(record.method for record in records))


def mean_and_error(records: Sequence[Record], epochs: int) -> tuple[float, float]:
    """Mean over problems and seeds; the error is that of the seeds, the problems being fixed."""
    by_problem: dict[str, list[float]] = {}
    for record in records:
        by_problem.setdefault(record.problem, []).append(record.regret_at(epochs))
    means = [float(np.mean(values)) for values in by_problem.values()]
    squares = [np.var(values, ddof=1) / len(values) for values in by_problem.values() if len(values) > 1]
    return float(np.mean(means)), math.sqrt(float(np.sum(squares))) / len(means)


def summary(records: Sequence[Record], checkpoints: Sequence[int]) -> list[dict[str, Any]]:
    """One row a method: mean, standard error and median of the regret at the checkpoints."""
    rows = []
    for method in methods_of(records):
        mine = of_method(records, method)
        row: dict[str, Any] = {"method": method, "sweeps": len(mine)}
        for epochs in checkpoints:
            mean, error = mean_and_error(mine, epochs)
            row[f"mean at {epochs}"] = f"{mean:.3f} ± {error:.3f}"
        for epochs in checkpoints:
            row[f"median at {epochs}"] = f"{np.median([r.regret_at(epochs) for r in mine]):.3f}"
        row["trials"] = round(float(np.mean([r.n_trials for r in mine])))
        row["complete"] = round(float(np.mean([r.n_complete for r in mine])), 1)
        rows.append(row)
    return rows


def comparisons(records: Sequence[Record], epochs: int) -> list[Comparison]:
    """Every method against random, problem by problem."""
    values: dict[tuple[str, str], list[float]] = {}
    for record in records:
        values.setdefault((record.problem, record.method), []).append(record.regret_at(epochs))
    found = []
    for (problem, method), mine in values.items():
        random = values.get((problem, "random"))
        if method != "random" and random is not None and min(len(mine), len(random)) > 1:
            squared = np.var(mine, ddof=1) / len(mine) + np.var(random, ddof=1) / len(random)
            found.append(
                Comparison(
                    problem=problem,
                    method=method,
                    regret=float(np.mean(mine)),
                    random_regret=float(np.mean(random)),
                    difference=float(np.mean(mine) - np.mean(random)),
                    standard_error=math.sqrt(float(squared)),
                )
            )
    return found


def paired(records: Sequence[Record], other: str, checkpoints: Sequence[int]) -> list[dict[str, Any]]:
    """Every method against another one: the difference of sweeps of the same problem and seed, over all such pairs.

    The standard error is that over the pairs, problems and seeds together; a method with fewer than two is left out.
    """
    theirs = {(record.problem, record.seed): record for record in of_method(records, other)}
    rows = []
    for method in methods_of(records):
        mine = [record for record in of_method(records, method) if (record.problem, record.seed) in theirs]
        if method == other or len(mine) < 2:
            continue
        row: dict[str, Any] = {"method": method, "pairs": len(mine)}
        for epochs in checkpoints:
            found = [r.regret_at(epochs) - theirs[r.problem, r.seed].regret_at(epochs) for r in mine]
            error = np.std(found, ddof=1) / math.sqrt(len(found))
            row[f"at {epochs}"] = f"{np.mean(found):+.3f} ± {error:.3f}"
        rows.append(row)
    return rows


def goals(records: Sequence[Record], checkpoints: Sequence[int], method: str = "auto") -> dict[str, Any]:
    """The three goals: final regret, epochs to pass random's, and no problem worse."""
    random = mean_and_error(of_method(records, "random"), checkpoints[-1])[0]
    mine = of_method(records, method)
    every = mine[0].every
    marks = range(every, checkpoints[-1] + 1, every)
    passed = next((e for e in marks if mean_and_error(mine, e)[0] <= random), None)
    worse = [c.problem for c in comparisons(records, checkpoints[-1]) if c.method == method and c.is_worse]
    return {
        "random_final_regret": random,
        "final_regret": mean_and_error(mine, checkpoints[-1])[0],
        "regret_at_a_quarter": mean_and_error(mine, checkpoints[1])[0],
        "epochs_to_pass_random": passed,
        "problems_worse_than_random_by_2_errors": worse,
    }


def environment() -> dict[str, Any]:
    """Versions and the kind of machine, without its name."""
    packages = ("numpy", "scipy", "optuna", "ray", "torch")
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if "model name" in line] if info.exists() else []
    cpu = names[0].split(":", 1)[1].strip() if names else platform.machine()
    return {
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
        "cpu": cpu,
        "cores": len(names),
    }


def markdown(result: dict[str, Any]) -> str:
    """The recorded result, for people."""
    records = [Record(**record) for record in result["records"]]
    end = result["checkpoints"][-1]
    compared = [
        {
            "problem": c.problem,
            "method": c.method,
            "regret": c.regret,
            "random": c.random_regret,
            "difference": f"{c.difference:+.3f} ± {c.standard_error:.3f}",
            "worse": "**yes**" if c.is_worse else "",
        }
        for c in comparisons(records, end)
        if c.method == "auto"
    ]
    parts = [
        "# Search efficiency\n",
        f"Command: `{result['command']}`\n",
        f"{result['setting']}\n",
        "## Normalised regret (lower is better), mean ± standard error over seeds\n",
        tabulate(summary(records, result["checkpoints"]), headers="keys", tablefmt="github"),
        f"\n## Against random, problem by problem, after {end} epochs\n",
        "The difference is with its standard error; *worse* means by more than two of them.\n",
        tabulate(compared, headers="keys", tablefmt="github", floatfmt=".3f"),
        "\n## Against random, sweep by sweep of the same problem and seed\n",
        tabulate(paired(records, "random", result["checkpoints"]), headers="keys", tablefmt="github"),
        "\n## Goals\n",
        tabulate(result["goals"].items(), headers=("goal", "value"), tablefmt="github", floatfmt=".3f"),
        "\n## Seconds for a suggestion\n",
        tabulate(result["timing"], headers="keys", tablefmt="github", floatfmt=".4f"),
        "\n## Versions and machine\n",
        tabulate(result["environment"].items(), headers=("what", "which"), tablefmt="github"),
    ]
    return "\n".join(parts) + "\n"


def as_json(records: Sequence[Record]) -> list[dict[str, Any]]:
    return [asdict(record) | {"regrets": [round(r, 5) for r in record.regrets]} for record in records]
