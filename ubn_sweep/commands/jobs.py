"""`submit`, and what is asked of sweeps that were sent: `jobs`; `status`, `logs`, `stop` and `fetch` with --address."""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.live import Live
from rich.table import Table

from ubn_sweep import __version__
from ubn_sweep.commands.common import home_folder
from ubn_sweep.commands.live import IN_JOB, MARK, console, drawn, print_json, say, warn
from ubn_sweep.errors import InterruptedSweepError, NothingFoundError, UserError
from ubn_sweep.records.folder import HOME, SweepFolder
from ubn_sweep.storage import below
from ubn_sweep.sweep.running.keeping import keep
from ubn_sweep.sweep.running.parcel import SPEC_FILE, pack, taken_environment, unlike_the_sender
from ubn_sweep.sweep.running.ray.jobs import Job, JobServer
from ubn_sweep.sweep.spec.loading import load_spec
from ubn_sweep.sweep.spec.spec import check_name


def submit(
    spec_path: Path,
    *,
    address: str,
    name: str | None,
    home: str | None,
    assignments: Sequence[str],
    environment: tuple[str, ...],
    or_resume: bool,
    follow: bool,
    as_json: bool,
) -> None:
    """Sends a sweep to a cluster, and follows it.

    Raises:
        UserError: the spec, or the server, does not take it.
    """
    spec = load_spec(spec_path, assignments)
    sweep = spec.name if name is None else name
    check_name(sweep)
    if home is not None and not Path(home).is_absolute():
        raise UserError(
            f"--home: is a folder of the cluster, by its whole path, but got `{home}`: write it from / on"
        )
    taken = taken_environment(environment)
    spec = dataclasses.replace(spec, name=sweep)
    server = JobServer(address)
    arguments = [SPEC_FILE, "--name", sweep, *(["--or-resume"] if or_resume else [])]
    where = _home_there(home, stored=spec.storage is not None)
    with tempfile.TemporaryDirectory(prefix="ubn-sweep-") as folder:
        pack(spec, Path(folder))
        id = server.submit(
            Path(folder),
            sweep=sweep,
            entrypoint=f"python -m ubn_sweep keep --sent-by {__version__} {shlex.join(arguments)}{where}",
            home=home or "",
            storage=None if spec.storage is None else below(spec.storage, sweep),
            environment={**taken, IN_JOB: "1"},
        )
    if as_json:
        print_json({"sweep": sweep, "job": id, "address": address})
    say((sweep, "bold"), f" is sent as {id}; it runs there, whatever becomes of this terminal")
    say("look again: ", (f"ubn-sweep logs {sweep} --follow --address {address}", "bold"))
    if follow:
        follow_job(server, server.find(id))


def _home_there(home: str | None, *, stored: bool) -> str:
    """The option for the shell there. With a storage any folder will do, without one the cluster must name it."""
    if home is not None:
        return f" --home {shlex.quote(home)}"
    return f' --home "${{{HOME}:-$HOME/ubn-sweeps}}"' if stored else ""


def keep_sweep(spec_path: Path, *, name: str, home: Path | None, or_resume: bool, sent_by: str) -> int:
    """Runs a sweep that was sent here to its end, however often its process is killed; its exit code.

    Raises:
        UserError: another version of ubn-sweep sent it.
    """
    if sent_by != __version__:
        raise UserError(
            f"the cluster has ubn-sweep {__version__}, but {sent_by} sent the sweep: install the same"
        )
    unlike = unlike_the_sender(spec_path.parent)
    if unlike is not None:
        warn(unlike)
    folder = SweepFolder(home=home_folder(home), name=name)
    arguments = [str(spec_path), "--name", name, "--home", str(folder.home)]
    return keep([*arguments, "--or-resume"] if or_resume else arguments, folder.journal, warn)


def list_jobs(address: str, *, as_json: bool) -> None:
    """The sweeps that were sent to a cluster, oldest first."""
    jobs = JobServer(address).jobs()
    if as_json:
        print_json({"address": address, "jobs": [dataclasses.asdict(job) for job in jobs]})
        return
    if not jobs:
        say(f"no sweep was sent to {address} yet: send one by `ubn-sweep submit SPEC --address {address}`")
        return
    table = Table(box=None, header_style="dim", pad_edge=False)
    for column in ("sweep", "job", "state", "started"):
        table.add_column(column)
    for job in jobs:
        started = "" if job.started_s is None else f"{datetime.fromtimestamp(job.started_s):%Y-%m-%d %H:%M}"
        table.add_row(job.sweep, job.id, job.state, started)
    console.print(table, soft_wrap=False)


def job_status(name: str, *, address: str, as_json: bool) -> None:
    """How a sweep that was sent stands, as it said last."""
    server = JobServer(address)
    job = server.find(name)
    snapshot = _last_snapshot(server.log(job.id).splitlines())
    if as_json:
        print_json({**dataclasses.asdict(job), "snapshot": snapshot})
        return
    say((job.sweep, "bold"), f": {job.state}{f', {job.message}' if job.over and job.message else ''}")
    if snapshot is not None:
        say(snapshot["line"])
        console.print(drawn(snapshot, snapshot.get("notice")), soft_wrap=False)


def job_log(name: str, *, address: str, follow: bool) -> None:
    """What the sweep's process there printed; with `follow` until it is over."""
    server = JobServer(address)
    job = server.find(name)
    if follow:
        follow_job(server, job)
        return
    for line in server.log(job.id).splitlines():
        print(_shown(line))


def stop_job(name: str, *, address: str) -> None:
    """Ends a sweep there as SIGTERM does here: it can be sent again, and goes on."""
    server = JobServer(address)
    job = server.find(name)
    if job.over:
        raise UserError(f"{job.sweep}: is not running, but {job.state}: there is nothing to stop")
    server.stop(job.id)
    say(f"{job.sweep} ends there; send it again with --or-resume, and it goes on")


def follow_job(server: JobServer, job: Job) -> None:
    """Shows what a job prints until it is over.

    Raises:
        NothingFoundError: it failed.
        InterruptedSweepError: Ctrl-C, which ends the looking alone.
    """
    with _screen() as show:
        try:
            for line in _lines(server.follow(job.id, warn)):
                show(line)
        except KeyboardInterrupt as stop:
            raise InterruptedSweepError(
                f"not followed any more; {job.sweep} goes on there: `ubn-sweep stop {job.sweep} --address "
                f"{server.address}` ends it"
            ) from stop
    job = server.find(job.id)
    if job.state == "succeeded":
        say(f"{job.sweep} is over; its report comes here by ", (_fetching(job, server.address), "bold"))
    elif job.state == "stopped":
        say(f"{job.sweep} was stopped; send it again with --or-resume, and it goes on")
    else:
        raise NothingFoundError(f"{job.sweep} failed there: {job.message or 'see what it printed above'}")


def _fetching(job: Job, address: str) -> str:
    return f"ubn-sweep fetch {job.sweep} --address {address}"


@contextmanager
def _screen() -> Iterator[Any]:
    """Takes lines: snapshots are drawn as one live table on a terminal, and told in a line elsewhere."""
    if not console.is_terminal:
        yield lambda line: print(_shown(line), file=sys.stderr, flush=True)
        return
    with Live(console=console, auto_refresh=False) as live:

        def show(line: str) -> None:
            snapshot = _snapshot(line)
            if snapshot is None:
                live.console.print(line, markup=False, highlight=False)
            else:
                live.update(drawn(snapshot, snapshot.get("notice")), refresh=True)

        yield show


def _lines(texts: Iterable[str]) -> Iterator[str]:
    """Whole lines of texts that are cut anywhere."""
    rest = ""
    for text in texts:
        *whole, rest = (rest + text).split("\n")
        yield from whole
    if rest:
        yield rest


def _snapshot(line: str) -> dict[str, Any] | None:
    if not line.startswith(MARK):
        return None
    try:
        content = json.loads(line.removeprefix(MARK))
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _last_snapshot(lines: Sequence[str]) -> dict[str, Any] | None:
    return next((found for line in reversed(lines) if (found := _snapshot(line)) is not None), None)


def _shown(line: str) -> str:
    snapshot = _snapshot(line)
    return line if snapshot is None else snapshot["line"]
