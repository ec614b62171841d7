"""The command line: parses, calls, prints. Results go to stdout, all else to stderr; mistakes exit with 2."""

from __future__ import annotations

import errno
import json
import sys
from pathlib import Path
from typing import Any

import click

from ubn_sweep import __version__
from ubn_sweep.cli_cluster import COMMANDS
from ubn_sweep.cli_options import (
    address_option,
    as_json,
    complete_sweep,
    home_option,
    set_option,
    with_running_options,
)
from ubn_sweep.errors import InterruptedSweepError, NothingFoundError, UserError
from ubn_sweep.invocation import as_typed
from ubn_sweep.masking import masked
from ubn_sweep.privacy import opt_out_of_usage_reports

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    invoke_without_command=True,
)
@click.version_option(__version__)
@click.pass_context
def cli(context: click.Context) -> None:
    """Sweep, map and settle the hyperparameters of Unified Batch Normalization networks."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@cli.command()
@click.argument("spec_path", metavar="SPEC", type=click.Path(path_type=Path))
@set_option
@as_json
def validate(spec_path: Path, assignments: tuple[str, ...], as_json: bool) -> None:
    """Check a spec and show the resolved space, without starting anything."""
    from ubn_sweep.commands.checking import validate_spec

    validate_spec(spec_path, assignments, as_json=as_json)


@cli.command()
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


@cli.command()
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


@cli.command()
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


@cli.command("map")
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


@cli.command("list")
@home_option
@as_json
def list_sweeps(home: Path | None, as_json: bool) -> None:
    """List the sweeps of this folder: state, trials, best."""
    from ubn_sweep.commands import steering

    steering.list_sweeps(home, as_json=as_json)


@cli.command()
@click.argument("sweep", shell_complete=complete_sweep)
@click.argument("trial", type=click.IntRange(0), required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on with what it prints, until it is over.")
@home_option
@address_option
def logs(sweep: str, trial: int | None, follow: bool, home: Path | None, address: str | None) -> None:
    """Print what a trial printed; with --address, what a sweep that was sent prints."""
    if address is not None:
        from ubn_sweep.commands.jobs import job_log

        job_log(sweep, address=address, follow=follow)
        return
    if trial is None:
        raise UserError("logs: needs the trial's number, or --address: add one of them")
    from ubn_sweep.commands.logs import print_log

    print_log(sweep, trial, follow=follow, home=home)


@cli.command()
@click.argument("sweep", shell_complete=complete_sweep)
@home_option
@address_option
@as_json
def status(sweep: str, home: Path | None, address: str | None, as_json: bool) -> None:
    """Say how a sweep stands, from any terminal or machine that sees its folder."""
    if address is not None:
        from ubn_sweep.commands.jobs import job_status

        job_status(sweep, address=address, as_json=as_json)
        return
    from ubn_sweep.commands.steering import sweep_status

    sweep_status(sweep, home=home, as_json=as_json)


@cli.command()
@click.argument("sweep", shell_complete=complete_sweep)
@click.option("--trial", type=click.IntRange(0), help="Stop this trial alone, with its next report.")
@home_option
@address_option
def stop(sweep: str, trial: int | None, home: Path | None, address: str | None) -> None:
    """End a running sweep from another terminal, as Ctrl-C does; `resume` goes on."""
    if address is not None:
        if trial is not None:
            raise UserError(
                "--trial: is told to a sweep's own folder, and not through --address: leave one out"
            )
        from ubn_sweep.commands.jobs import stop_job

        stop_job(sweep, address=address)
        return
    from ubn_sweep.commands.steering import stop_sweep

    stop_sweep(sweep, trial=trial, word="stopped", home=home)


@cli.command()
@click.argument("sweep", shell_complete=complete_sweep)
@home_option
def pause(sweep: str, home: Path | None) -> None:
    """End a running sweep for now, and call it paused; `resume` goes on."""
    from ubn_sweep.commands.steering import stop_sweep

    stop_sweep(sweep, trial=None, word="paused", home=home)


@cli.command()
@click.argument("sweep", shell_complete=complete_sweep)
@home_option
def salvage(sweep: str, home: Path | None) -> None:
    """Keep the whole records of a damaged journal; the damaged file is set aside."""
    from ubn_sweep.commands.mending import salvage_sweep

    salvage_sweep(sweep, home=home)


@cli.command()
@click.argument("sweep", shell_complete=complete_sweep)
@home_option
@as_json
def landscape(sweep: str, home: Path | None, as_json: bool) -> None:
    """Map a sweep: the table of all observations, and the report."""
    from ubn_sweep.commands.results import map_landscape

    map_landscape(sweep, home=home, as_json=as_json)


@cli.command()
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


@cli.command()
@click.argument("sweep", shell_complete=complete_sweep)
@click.option("--top", type=int, help="How many configs.  [default: 3; with two objectives the whole front]")
@click.option("--out", type=click.Path(path_type=Path), default=Path("configs"), show_default=True)
@home_option
@as_json
def export(sweep: str, top: int | None, out: Path, home: Path | None, as_json: bool) -> None:
    """Write a sweep's best configs, ready for `ubn-sweep train`."""
    from ubn_sweep.commands.results import export_best

    export_best(sweep, top=top, out=out, home=home, as_json=as_json)


@cli.command()
@click.argument("config_path", metavar="CONFIG", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the run.  [default: runs/NAME]")
@click.option(
    "--confirm",
    "to_confirm",
    is_flag=True,
    help="Train once more as the sweep did, with a new seed, and say whether its promise was kept.",
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
    """Train a config for good, on train + validation, and test it once."""
    from ubn_sweep.commands.train import train_final

    train_final(config_path, **options)


@cli.command()
@click.argument("sweep", shell_complete=complete_sweep)
@click.option("--to", "tracking_uri", metavar="URI", help="Another MLflow store.  [default: the sweep's]")
@click.option("--from-start", is_flag=True, help="Offer all records again: repairs a store that lost some.")
@home_option
@as_json
def sync(sweep: str, **options: Any) -> None:
    """Deliver to MLflow and the Optuna storage what has not arrived there yet."""
    from ubn_sweep.commands.results import sync_sweep

    sync_sweep(sweep, **options)


@cli.command()
@click.argument("sweep", required=False, shell_complete=complete_sweep)
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
@home_option
def ui(sweep: str | None, port: int, home: Path | None) -> None:
    """Open MLflow's UI on the sweeps of this folder, on localhost only."""
    from ubn_sweep.commands.results import open_ui

    open_ui(sweep, port=port, home=home)


for command in COMMANDS:
    cli.add_command(command)


def main() -> None:
    """Entry point: one line and exit code 2 for what the user can mend."""
    opt_out_of_usage_reports()
    try:
        cli.main(standalone_mode=False)
    except UserError as error:
        _fail(str(error), 2)
    except NothingFoundError as error:
        _fail(str(error), 1, in_json=False)  # the sweep's own object says it
    except InterruptedSweepError as notice:
        _fail(str(notice), notice.code)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.ClickException as error:
        _fail(f"{error.format_message()} (`ubn-sweep --help` explains)", 2)
    except (KeyboardInterrupt, click.Abort):
        _fail("interrupted", 130)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        _fail(f"{error.filename or 'the disk'}: {error.strerror}: free space, then type the same again", 2)


def _fail(message: str, code: int, *, in_json: bool = True) -> None:
    line = as_typed(masked(" ".join(message.split("\n"))))
    print(f"error: {line}", file=sys.stderr)
    if in_json and "--json" in sys.argv[1:]:
        print(json.dumps({"error": line, "exit_code": code}))
    sys.exit(code)


if __name__ == "__main__":
    main()
