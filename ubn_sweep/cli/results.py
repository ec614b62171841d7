"""The commands that read what sweeps found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ubn_sweep.cli.options import as_json, complete_sweep, home_option


@click.command()
@click.argument("sweeps", nargs=-1, required=True, metavar="SWEEP...", shell_complete=complete_sweep)
@click.option(
    "--from-mlflow",
    metavar="URI",
    help="Read them from this MLflow store alone: SWEEP is a run's id or name, or an experiment.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the report of several sweeps.  [default: A+B, beside them]",
)
@home_option
@as_json
def landscape(sweeps: tuple[str, ...], **options: Any) -> None:
    """Map a sweep, or several together: the table of all observations, and the report."""
    from ubn_sweep.commands.results import map_landscape

    map_landscape(sweeps, **options)


@click.command()
@click.argument("sweep", shell_complete=complete_sweep)
@click.option(
    "--sweeps", type=click.IntRange(1), default=100, show_default=True, help="Replays of each kind."
)
@click.option(
    "--without",
    multiple=True,
    metavar="KEY",
    help="Replays in which all but KEY matters, too.  [default: norm.threshold]",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--processes", type=click.IntRange(1), help="Replays at once.  [default: one a processor]")
@home_option
@as_json
def null(sweep: str, **options: Any) -> None:
    """Count what the report would say of such a sweep, were nothing to be found."""
    from ubn_sweep.commands.null import count_null

    count_null(sweep, **options)


@click.command()
@click.argument("number", type=click.Choice(["2", "3", "4", "7", "8"]))
@click.option(
    "--from", "first", multiple=True, required=True, metavar="NAME", help="A sweep; more may follow."
)
@click.argument("more", nargs=-1, shell_complete=complete_sweep)
@click.option(
    "--dataset",
    type=click.Choice(["cifar10", "cifar100", "imagenet"]),
    help="What the images of a parquet or imagefolder data set are.  [default: the table's, where it has one]",
)
@home_option
@as_json
def table(number: str, first: tuple[str, ...], more: tuple[str, ...], **options: Any) -> None:
    """Set sweeps beside a table of the paper."""
    from ubn_sweep.commands.tables import show_table

    show_table(int(number), [*first, *more], **options)


@click.command()
@click.argument("sweep", shell_complete=complete_sweep)
@click.option("--to", "tracking_uri", metavar="URI", help="Another MLflow store.  [default: the sweep's]")
@click.option("--from-start", is_flag=True, help="Offer all records again: repairs a store that lost some.")
@home_option
@as_json
def sync(sweep: str, **options: Any) -> None:
    """Deliver to MLflow and the Optuna storage what has not arrived there yet."""
    from ubn_sweep.commands.results import sync_sweep

    sync_sweep(sweep, **options)


@click.command()
@click.argument("sweep", required=False, shell_complete=complete_sweep)
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
@home_option
def ui(sweep: str | None, port: int, home: Path | None) -> None:
    """Open MLflow's UI on the sweeps of this folder, on localhost only."""
    from ubn_sweep.commands.results import open_ui

    open_ui(sweep, port=port, home=home)


COMMANDS = (landscape, null, table, sync, ui)
