"""`validate`: what a spec means, before anything starts."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from ubn_sweep import schema
from ubn_sweep.commands.live import console, print_json, prose, say
from ubn_sweep.dotted import value_at
from ubn_sweep.masking import masked, masked_values
from ubn_sweep.sweep.explaining.describe import describe_space, first_trials, rung_epochs, show, stop_rules
from ubn_sweep.sweep.running import launch
from ubn_sweep.sweep.spec.loading import load_spec_with_origins
from ubn_sweep.sweep.spec.spec import SweepSpec

MOST_SHOWN = 10
"""Of the trials that come before the sampler's own."""


def validate_spec(path: Path, assignments: Sequence[str], *, as_json: bool) -> None:
    """Checks a spec, its data and its task included, and shows what it says."""
    spec, origins = load_spec_with_origins(path, assignments)
    launch.check_runnable(spec)
    if as_json:
        print_json(
            {
                "valid": True,
                "spec": masked_values(schema.to_plain(spec)),
                "order": [key for key, _, _ in describe_space(spec)],
                "rungs": rung_epochs(spec),
                "origins": masked_values(origins),
            }
        )
        return
    say((spec.name, "bold"), f"  {spec.description}")
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("varied", "values", "only where"):
        table.add_column(name)
    for row in describe_space(spec):
        table.add_row(*row)
    console.print(table, soft_wrap=False)
    rungs = ", ".join(map(str, rung_epochs(spec)))
    say(
        f"{spec.search.trials} trials by the sampler `{spec.search.sampler}` from seed {spec.search.seed}; "
        f"compared after epochs {rungs}"
    )
    if rules := stop_rules(spec):
        say(f"ends before that at {rules}")
    if spec.objective.second is not None:
        say(
            "two objectives: "
            + " and ".join(f"{metric.name} ({metric.direction})" for metric in spec.metrics)
            + "; what none beats in both is the front"
        )
    if spec.objective.constraints:
        bounds = " and ".join(item.text(name) for name, item in spec.objective.constraints.items())
        say(f"the best is one of those with {bounds}")
    first = first_trials(spec)
    for name, params in first[:MOST_SHOWN]:
        prose(f"first, {name}: " + ", ".join(f"{key}={show(value)}" for key, value in params.items()))
    if len(first) > MOST_SHOWN:
        say(f"and {len(first) - MOST_SHOWN} more before the sampler's own")
    if len(set(origins.values())) > 1:
        _tell_origins(spec, origins)
    changed = "".join(f" --set {shlex.quote(masked(assignment))}" for assignment in assignments)
    say("\nvalid. Start it with ", (f"ubn-sweep run {shlex.quote(str(path))}{changed}", "bold"))


def _tell_origins(spec: SweepSpec, origins: dict[str, str]) -> None:
    """The keys that were written, as they are resolved, below the file or option that each came from."""
    values = masked_values(schema.to_plain(spec))
    for origin in dict.fromkeys(origins.values()):
        say("\n", ("from", "dim"), f" {masked(origin)}")
        for key in [key for key, owner in origins.items() if owner == origin]:
            say(f"  {key}: {_written(values, key)}")


def _written(values: dict[str, Any], key: str) -> str:
    """The value of a key of the spec, as YAML writes it on one line; the space's keys have dots of their own."""
    section, _, rest = key.partition(".")
    if section == "space":
        parameter = values["space"][rest]
        unset = [name for name, value in parameter.items() if value is None or value is False or value == {}]
        return schema.on_one_line({name: parameter[name] for name in parameter if name not in unset})
    return schema.on_one_line(value_at(values, "task" if key == "trainable" else key))
