"""Interleaved timing: every variant once per round, so that a slow moment of the machine hits all alike."""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Milliseconds per call over the rounds."""

    median_ms: float
    min_ms: float
    max_ms: float
    rounds: int


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
"""cpu: the process's own seconds on all cores, which other processes of a busy machine disturb less."""


def _seconds(work: Callable[[], object], device: str, calls: int, clock: str) -> float:
    now = CLOCKS[clock]
    _finish(device)
    start = now()
    for _ in range(calls):
        work()
    _finish(device)
    return now() - start


def _finish(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def interleaved(
    variants: Mapping[str, Callable[[], object]],
    *,
    device: str,
    repeats: int,
    clock: str = "wall",
    at_least_s: float = 0.05,
) -> dict[str, Timing]:
    """Times each variant once per round, `repeats` rounds after a warm-up, at least `at_least_s` each time."""
    calls = {}
    for name, work in variants.items():
        work()
        work()
        calls[name] = max(1, int(at_least_s / max(_seconds(work, device, 1, clock), 1e-6)))
    seen: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(repeats):
        for name, work in variants.items():
            seen[name].append(_seconds(work, device, calls[name], clock) / calls[name] * 1e3)
    return {
        name: Timing(median_ms=statistics.median(ms), min_ms=min(ms), max_ms=max(ms), rounds=repeats)
        for name, ms in seen.items()
    }


def environment(device: str) -> dict[str, Any]:
    """What the figures depend on. No host name, no path."""
    processor = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line
        ]
        processor = names[0] if names else processor
    return {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "processor": processor,
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if device == "cuda" else None,
        "numba": version("numba") if device == "cpu" and find_spec("numba") else None,
        "cuda": torch.version.cuda if device == "cuda" else None,
        "cudnn": torch.backends.cudnn.version() if device == "cuda" else None,
        "triton": version("triton") if device == "cuda" and find_spec("triton") else None,
    }


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def write_json(path: Path | None, result: dict[str, Any]) -> None:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result, indent=1, default=asdict) + "\n")
