"""The counts of benchmarks/landscape_null.py as Markdown."""

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version

import numpy as np
from tabulate import tabulate

from benchmarks.landscape.worlds import MATTER
from ubn_sweep.landscape.claims import EQUAL, KINDS, key_of, kind_of
from ubn_sweep.landscape.null import bounds, is_too_often


def is_error(claim: str, world: str) -> bool:
    """Whether nothing of the kind is so in a world; condensation, for one, never is."""
    return key_of(claim) not in MATTER[world]


def markdown(records: Sequence[dict]) -> str:
    """Errors by kind of claim, then what was rightly found, then what it cost."""
    groups = list(dict.fromkeys((r["world"], r["method"]) for r in records))
    parts = ["# What reports claim of sweeps whose truth is known\n"]
    parts.append("## Errors\n\n" + _errors(records, groups))
    parts.append(_named(records, groups))
    parts.append("## What is there, and found\n\n" + _found(records, groups))
    parts.append("## Cost\n\n" + _cost(records, groups))
    return "\n\n".join(parts) + "\n"


def _of(records: Sequence[dict], group: tuple[str, str]) -> list[dict]:
    return [r for r in records if (r["world"], r["method"]) == group]


def _errors(records: Sequence[dict], groups: list[tuple[str, str]]) -> str:
    """The comparison with the best is of trainings, which differ here: comparison_with_best.py has its errors."""
    rows = []
    kinds = [kind for kind in KINDS.values() if kind.world != EQUAL]
    for world, method in groups:
        mine = _of(records, (world, method))
        row = {"world": world, "sampler": method, "n": len(mine)}
        for kind in kinds:
            times = sum(any(kind_of(c) == kind.name and is_error(c, world) for c in r["said"]) for r in mine)
            row[kind.name] = f"{times}{' !' if is_too_often(times, len(mine)) else ''}"
        times = sum(
            any(is_error(c, world) and KINDS[kind_of(c)].world != EQUAL for c in r["said"]) for r in mine
        )
        low, high = bounds(times, len(mine))
        row["any"] = f"{times} ({low:.0%} to {high:.0%})"
        rows.append(row)
    return tabulate(rows, headers="keys", tablefmt="github") + (
        "\n\nSweeps in which the report claims an effect that is not there, by kind of claim. `!`: more than 5%, its "
        "lower bound (one-sided, 95%) taken; behind `any`, the 90% interval of the rate."
    )


def _named(records: Sequence[dict], groups: list[tuple[str, str]]) -> str:
    """Which parameters the errors were about."""
    lines = []
    for world, method in groups:
        counts: dict[str, int] = {}
        for record in _of(records, (world, method)):
            for claim in record["said"]:
                if is_error(claim, world) and KINDS[kind_of(claim)].world != EQUAL:
                    counts[claim] = counts.get(claim, 0) + 1
        told = ", ".join(f"{claim} {n}" for claim, n in sorted(counts.items(), key=lambda pair: -pair[1]))
        lines.append(f"- {world}, {method}: {told or 'none'}")
    return "Each of them:\n\n" + "\n".join(lines)


def _found(records: Sequence[dict], groups: list[tuple[str, str]]) -> str:
    rows = []
    for world, method in groups:
        if not MATTER[world]:
            continue
        mine = _of(records, (world, method))
        right = sorted({c for r in mine for c in r["said"] if not is_error(c, world)})
        for claim in right:
            times = sum(claim in r["said"] for r in mine)
            low, high = bounds(times, len(mine))
            rows.append([world, method, claim, f"{times} of {len(mine)}", f"{low:.0%} to {high:.0%}"])
    return tabulate(rows, ["world", "sampler", "claim", "made in", "90% interval"], "github")


def _cost(records: Sequence[dict], groups: list[tuple[str, str]]) -> str:
    rows = [
        [world, method, f"{np.mean([r['cpu_s'] for r in _of(records, (world, method))]):.1f}"]
        for world, method in groups
    ]
    table = tabulate(rows, ["world", "sampler", "processor seconds a sweep, made and read"], "github")
    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "scikit-learn", "optuna"))
    return f"{table}\n\nPython {platform.python_version()}, {libraries}; {os.cpu_count()} cores."
