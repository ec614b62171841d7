"""The commands that look at sweeps and steer them, from any terminal."""

from __future__ import annotations

from pathlib import Path

import click

from ubn_sweep.cli.options import address_option, as_json, complete_sweep, home_option
from ubn_sweep.errors import UserError


@click.command("list")
@home_option
@as_json
def list_sweeps(home: Path | None, as_json: bool) -> None:
    """List the sweeps of this folder: state, trials, best."""
    from ubn_sweep.commands import steering

    steering.list_sweeps(home, as_json=as_json)


@click.command()
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


@click.command()
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


@click.command()
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


@click.command()
@click.argument("sweep", shell_complete=complete_sweep)
@home_option
def pause(sweep: str, home: Path | None) -> None:
    """End a running sweep for now, and call it paused; `resume` goes on."""
    from ubn_sweep.commands.steering import stop_sweep

    stop_sweep(sweep, trial=None, word="paused", home=home)


@click.command()
@click.argument("sweep", shell_complete=complete_sweep)
@home_option
def salvage(sweep: str, home: Path | None) -> None:
    """Keep the whole records of a damaged journal; the damaged file is set aside."""
    from ubn_sweep.commands.mending import salvage_sweep

    salvage_sweep(sweep, home=home)


COMMANDS = (list_sweeps, status, logs, stop, pause, salvage)
