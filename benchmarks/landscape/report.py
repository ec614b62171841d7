"""What the simulated maps say: tables as Markdown."""

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from tabulate import tabulate

PROFILES = ("best", "average")


@dataclass(frozen=True, kw_only=True)
class Record:
    """One sweep, read once. By profile: error, share of places covered by the 90% band, mean width of the band."""

    task: str
    method: str
    seed: int
    epochs: int
    errors: dict[str, float]
    covered: dict[str, float]
    widths: dict[str, float]
    trials: int
    read_cpu_s: float

    def line(self) -> str:
        parts = [f"{name} {self.errors[name]:.3f} ({self.covered[name]:.0%})" for name in PROFILES]
        begin = f"{self.task:28} {self.method:24} seed {self.seed} {self.epochs:5}"
        return f"{begin} {'  '.join(parts)}  {self.read_cpu_s:.1f}s"

    def plain(self) -> dict[str, Any]:
        return asdict(self)


def markdown(records: Sequence[Record]) -> str:
    """A table for all tasks together, and one for each axis."""
    groups: dict[str, list[Record]] = {"All": list(records)}
    for record in records:
        groups.setdefault(record.task.partition("/")[2], []).append(record)
    tables = {
        name: tabulate(_rows(group), headers="keys", tablefmt="github") for name, group in groups.items()
    }
    parts = [f"## {name}\n\n{table}\n" for name, table in tables.items()]
    return "\n".join([*parts, _environment()])


def _rows(records: Sequence[Record]) -> list[dict[str, Any]]:
    """One row a method and checkpoint: mean errors and their standard error over sweeps, coverage, width."""
    rows = []
    for method in dict.fromkeys(record.method for record in records):
        for epochs in sorted({record.epochs for record in records}):
            mine = [r for r in records if r.method == method and r.epochs == epochs]
            row: dict[str, Any] = {"method": method, "epochs": epochs, "n": len(mine)}
            for name in PROFILES:
                row[name] = _mean([r.errors[name] for r in mine])
            row["sum"] = _mean([sum(r.errors.values()) for r in mine])
            for name in PROFILES:
                row[f"{name} covered"] = f"{np.mean([r.covered[name] for r in mine]):.0%}"
            row["trials"] = round(float(np.mean([r.trials for r in mine])))
            rows.append(row)
    return rows


def _mean(values: Sequence[float]) -> str:
    error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else float("nan")
    return f"{np.mean(values):.3f} ± {error:.3f}"


def _environment() -> str:
    rows = [{"what": "python", "which": platform.python_version()}]
    rows += [{"what": name, "which": version(name)} for name in ("numpy", "scipy", "optuna")]
    rows += [{"what": "cores", "which": str(os.cpu_count())}]
    return f"## Versions and machine\n\n{tabulate(rows, headers='keys', tablefmt='github')}\n"
