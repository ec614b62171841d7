"""The commands that send a sweep to a cluster, and bring it home."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from ubn_sweep.cli.options import address_option, as_json, home_option, set_option


@click.command()
@click.argument("place", metavar="URL|SWEEP")
@home_option
@address_option
@as_json
def fetch(place: str, home: Path | None, address: str | None, as_json: bool) -> None:
    """Bring a sweep's records and results here, from its storage's URL or, by its name, from a cluster."""
    from ubn_sweep.commands import fetching

    if address is not None:
        fetching.fetch_from_job(place, address=address, home=home, as_json=as_json)
    else:
        fetching.fetch(place, home=home, as_json=as_json)


@click.command()
@click.argument("spec_path", metavar="SPEC", type=click.Path(path_type=Path))
@click.option("--address", required=True, metavar="URL", help="Of the cluster's jobs: http://HEAD:8265.")
@click.option("--name", help="The sweep's name.  [default: the spec's]")
@click.option(
    "--home",
    metavar="FOLDER",
    help="Folder of the sweeps there, which all its nodes share.  [default: the cluster's own]",
)
@click.option("--env", "environment", multiple=True, metavar="NAME", help="Send this variable along.")
@click.option("--or-resume", is_flag=True, help="Go on with the sweep of this name, if there is one.")
@click.option(
    "--follow/--no-follow", default=True, help="Show what it does, until it is over.  [default: follow]"
)
@set_option
@as_json
def submit(spec_path: Path, **options: Any) -> None:
    """Send a sweep to a Ray cluster, and follow it; it runs there whatever becomes of this machine."""
    from ubn_sweep.commands import jobs

    jobs.submit(spec_path, **options)


@click.command()
@click.option("--address", required=True, metavar="URL", help="Of the cluster's jobs: http://HEAD:8265.")
@as_json
def jobs(address: str, as_json: bool) -> None:
    """List the sweeps that were sent to a cluster."""
    from ubn_sweep.commands.jobs import list_jobs

    list_jobs(address, as_json=as_json)


@click.command(hidden=True)
@click.argument("spec_path", metavar="SPEC", type=click.Path(path_type=Path))
@click.option("--name", required=True)
@click.option("--home", type=click.Path(path_type=Path))
@click.option("--or-resume", is_flag=True)
@click.option("--sent-by", required=True)
def keep(spec_path: Path, **options: Any) -> None:
    """What `submit` has a cluster run: a sweep that is started again when its process is killed."""
    from ubn_sweep.commands.jobs import keep_sweep

    sys.exit(keep_sweep(spec_path, **options))


@click.command(hidden=True)
@click.argument("sweep")
@home_option
def hand_over(sweep: str, home: Path | None) -> None:
    """What `fetch` has a cluster print: a sweep's records and results."""
    from ubn_sweep.commands import handing

    handing.hand_over(sweep, home=home)


COMMANDS = (submit, jobs, fetch, keep, hand_over)
