"""The commands that settle on a config and train it for good."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ubn_sweep.cli.options import as_json, complete_sweep, home_option, set_option, with_running_options


@click.command()
@click.argument("sweep", shell_complete=complete_sweep)
@click.option("--top", type=int, help="How many configs.  [default: 3; with two objectives the whole front]")
@click.option("--out", type=click.Path(path_type=Path), default=Path("configs"), show_default=True)
@home_option
@as_json
def export(sweep: str, top: int | None, out: Path, home: Path | None, as_json: bool) -> None:
    """Write a sweep's best configs, ready for `ubn-sweep train`, each with its bundle."""
    from ubn_sweep.commands.results import export_best

    export_best(sweep, top=top, out=out, home=home, as_json=as_json)


@click.command()
@click.argument("config_path", metavar="CONFIG", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the run.  [default: runs/NAME]")
@click.option(
    "--confirm",
    "to_confirm",
    is_flag=True,
    help="Train once more as the sweep did, with a new seed, and say whether its promise was kept.",
)
@click.option(
    "--seeds",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="How many trainings, which differ in their seed alone.",
)
@click.option(
    "--register",
    "register_as",
    metavar="NAME",
    help="Put the trained model into MLflow's registry, as the next version of NAME.",
)
@click.option("--tracking-uri", help="MLflow's store.  [default: the sweep's]")
@click.option(
    "--task", "task_name", metavar="MODULE:CLASS", help="What is trained.  [default: what was swept]"
)
@set_option
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Processes that train together.  [default: as many as the exported trial had]",
)
@home_option
@as_json
def train(config_path: Path, **options: Any) -> None:
    """Train a config, or a bundle's, for good, on train + validation, and test it once."""
    from ubn_sweep.commands.train import train_final

    train_final(config_path, **options)


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--epochs", type=click.IntRange(1), help="How many are trained again.  [default: 3]")
@set_option
@as_json
def verify(bundle: Path, **options: Any) -> None:
    """Train a bundle's first epochs again, and compare them with what its sweep recorded.

    Ends with 0 where they are the same, or within the spread of the sweep's seeds, with 1 where they are not.
    """
    from ubn_sweep.commands.verify import verify_bundle

    verify_bundle(bundle, **options)


@click.command()
@click.argument("sweep", shell_complete=complete_sweep)
@click.option("--top", type=click.IntRange(1), help="How many configs race.  [default: 5]")
@click.option("--seeds", type=click.IntRange(2), help="Rounds that choose the winner.  [default: 5]")
@click.option(
    "--held-out",
    type=click.IntRange(2),
    help="Other rounds, which say what the winner is worth.  [default: as many]",
)
@click.option("--name", help="The race's name.  [default: SWEEP-confirm]")
@home_option
@with_running_options
@as_json
def confirm(sweep: str, **options: Any) -> None:
    """Train a sweep's best configs and BatchNorm on fresh seeds and splits; again, it goes on."""
    from ubn_sweep.commands.confirming import confirm_sweep

    confirm_sweep(sweep, **options)


@click.command()
@click.option("--tracking-uri", metavar="URI", help="Another MLflow store.  [default: that of the home]")
@home_option
@as_json
def promises(**options: Any) -> None:
    """Count how often what sweeps promised was kept: over the final trainings here and in MLflow."""
    from ubn_sweep.commands.promises import count_promises

    count_promises(**options)


COMMANDS = (confirm, export, train, verify, promises)
