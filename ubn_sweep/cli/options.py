"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


def complete_sweep(context: click.Context, parameter: click.Parameter, begin: str) -> list[str]:
    from ubn_sweep.commands.completion import sweep_names

    return sweep_names(begin, context.params.get("home"))


as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line.")
home_option = click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the sweeps.  [default: $UBN_SWEEP_HOME, or ./sweeps]",
)
address_option = click.option(
    "--address", metavar="URL", help="Of a sweep that was sent there by `submit`: http://HEAD:8265."
)
set_option = click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a key, such as dataset.root=/data.",
)
running_options: list[Callable[[Any], Any]] = [
    click.option(
        "--executor",
        type=click.Choice(["ray", "in-process"]),
        default="ray",
        show_default=True,
        help="Who runs the trials; in-process is one after another, for a debugger.",
    ),
    click.option("--ray-address", help="A Ray cluster to run on.  [default: one of its own on this machine]"),
    click.option("--cpus", type=click.IntRange(1), help="Processors of the own cluster.  [default: all]"),
    click.option("--gpus", type=click.IntRange(0), help="GPUs of the own cluster.  [default: all]"),
]


def with_running_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(running_options):
        command = option(command)
    return command
