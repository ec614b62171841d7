"""What each command does: calls the rooms in turn, and tells the user what came of it and what to type next."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from ubn_sweep import schema
from ubn_sweep.cli import print_json
from ubn_sweep.live import console, duration, score, watch_sweep
from ubn_sweep.sweep import launch
from ubn_sweep.sweep.describe import describe_space, first_trials, rung_epochs, show
from ubn_sweep.sweep.launch import SweepResult, Surroundings
from ubn_sweep.sweep.spec import SweepSpec, load_spec
from ubn_sweep.tracking.store import SweepFolder, default_home, find_sweep


def validate_spec(path: Path, assignments: Sequence[str], *, as_json: bool) -> None:
    """Checks a spec, its data and its trainable included, and shows what it says."""
    spec = load_spec(path, assignments)
    launch.check_runnable(spec)
    if as_json:
        print_json(
            {
                "valid": True,
                "spec": schema.to_plain(spec),
                "order": [key for key, _, _ in describe_space(spec)],
                "rungs": rung_epochs(spec),
            }
        )
        return
    console.print(f"[bold]{spec.name}[/bold]  {spec.description}")
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("varied", "values", "only where"):
        table.add_column(name)
    for row in describe_space(spec):
        table.add_row(*row)
    console.print(table)
    rungs = ", ".join(map(str, rung_epochs(spec)))
    console.print(
        f"{spec.search.trials} trials by the sampler `{spec.search.sampler}` from seed {spec.search.seed}; "
        f"compared after epochs {rungs}"
    )
    for name, params in first_trials(spec):
        console.print(f"first, {name}: " + ", ".join(f"{key}={show(value)}" for key, value in params.items()))
    console.print(f"\nvalid. Start it with [bold]ubn-sweep run {path}[/bold]")


def run_sweep(
    spec_path: Path,
    *,
    name: str | None,
    learn_from: tuple[str, ...],
    assignments: Sequence[str],
    home: Path | None,
    ray_address: str | None,
    cpus: int | None,
    gpus: int | None,
    as_json: bool,
) -> None:
    """Starts a sweep and maps it."""
    spec = load_spec(spec_path, assignments)
    if learn_from:
        search = dataclasses.replace(spec.search, learn_from=(*spec.search.learn_from, *learn_from))
        spec = dataclasses.replace(spec, search=search)
    home = _home(home)
    result = launch.start_sweep(
        spec, home=home, name=name, surroundings=_surroundings(ray_address, cpus, gpus)
    )
    _finish(SweepFolder(home=home, name=result.sweep), spec, result, as_json=as_json)


def resume_sweep(
    sweep: str,
    *,
    home: Path | None,
    ray_address: str | None,
    cpus: int | None,
    gpus: int | None,
    as_json: bool,
) -> None:
    """Goes on with a sweep and maps it."""
    folder = find_sweep(sweep, _home(home))
    result = launch.resume_sweep(folder, surroundings=_surroundings(ray_address, cpus, gpus))
    _finish(folder, launch.recorded_spec(launch.read_journal(folder.path)), result, as_json=as_json)


def _home(home: Path | None) -> Path:
    return home.resolve() if home is not None else default_home()


def _surroundings(ray_address: str | None, cpus: int | None, gpus: int | None) -> Surroundings:
    from ubn_sweep.sweep.follow import follow_sweep

    return Surroundings(ray_address=ray_address, cpus=cpus, gpus=gpus, watch=watch_sweep, follow=follow_sweep)


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _jsonable(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value
