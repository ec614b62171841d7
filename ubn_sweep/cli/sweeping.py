"""The commands that start sweeps and go on with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ubn_sweep.cli.options import as_json, complete_sweep, home_option, set_option, with_running_options


@click.command()
@click.argument("spec_path", metavar="SPEC", type=click.Path(path_type=Path))
@set_option
@as_json
def validate(spec_path: Path, assignments: tuple[str, ...], as_json: bool) -> None:
    """Check a spec and show the resolved space, without starting anything."""
    from ubn_sweep.commands.checking import validate_spec

    validate_spec(spec_path, assignments, as_json=as_json)


@click.command()
@click.argument("spec_path", metavar="SPEC", type=click.Path(path_type=Path))
@click.option("--curves-of", multiple=True, metavar="SWEEP", help="An earlier sweep whose curves to replay.")
@click.option("--workers", type=click.IntRange(1), help="Trials at once.  [default: what this machine holds]")
@click.option(
    "--epoch-seconds", "epoch_s", type=float, help="What an epoch takes.  [default: as in the curves]"
)
@click.option("--measure", is_flag=True, help="Train the first trial for two epochs, to know what one takes.")
@set_option
@home_option
@as_json
def preview(spec_path: Path, **options: Any) -> None:
    """Say what a sweep will cost, before it starts."""
    from ubn_sweep.commands.preview import preview_sweep

    preview_sweep(spec_path, **options)


@click.command()
@click.argument("spec_path", metavar="SPEC", type=click.Path(path_type=Path))
@click.option("--name", help="The sweep's name.  [default: the spec's, counted up where it is taken]")
@click.option("--or-resume", is_flag=True, help="Go on with the sweep of this name, if there is one.")
@click.option("--learn-from", multiple=True, metavar="SWEEP", help="An earlier sweep to learn from.")
@set_option
@home_option
@with_running_options
@as_json
def run(spec_path: Path, **options: Any) -> None:
    """Start a sweep, and map its landscape when it ends."""
    from ubn_sweep.commands.sweeping import run_sweep

    run_sweep(spec_path, **options)


@click.command()
@click.argument("sweep", shell_complete=complete_sweep)
@click.option("--retry-failed", is_flag=True, help="Try failed trials again, too.")
@set_option
@home_option
@with_running_options
@as_json
def resume(sweep: str, **options: Any) -> None:
    """Go on with a sweep that was interrupted or killed."""
    from ubn_sweep.commands.sweeping import resume_sweep

    resume_sweep(sweep, **options)


@click.command("map")
@click.argument("sweep", shell_complete=complete_sweep)
@click.option("--add", type=click.IntRange(1), default=20, show_default=True, help="How many trials.")
@set_option
@home_option
@with_running_options
@as_json
def map_(sweep: str, **options: Any) -> None:
    """Run more trials where the best threshold may still be."""
    from ubn_sweep.commands.mapping import add_to_map

    add_to_map(sweep, **options)


COMMANDS = (validate, preview, run, resume, map_)
