"""MLflow's UI on the sweeps, on this machine only."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Callable

from ubn_sweep.errors import UserError
from ubn_sweep.masking import masked
from ubn_sweep.privacy import opt_out_of_usage_reports
from ubn_sweep.tracking.delivery.follower import describe
from ubn_sweep.tracking.mlflow.client import DEFAULT_EXPERIMENT, connect
from ubn_sweep.tracking.mlflow.view import SweepPage, share
from ubn_sweep.tracking.uri import check_uri, with_driver

TRAINING = "workflowType=machine_learning"
"""MLflow opens in its mode for language models otherwise, whatever kind the experiment has."""
LEAN = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
"""Without the workers of features that sweeps do not use: 2 processes in place of 15."""
STORE = "MLFLOW_BACKEND_STORE_URI"
"""Where MLflow's server finds its store: a command line, with the address's password, everybody may read."""


def serve_ui(
    tracking_uri: str,
    *,
    host: str = "127.0.0.1",
    port: int = 5000,
    page: SweepPage | None = None,
    experiment: str = DEFAULT_EXPERIMENT,
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
) -> None:
    """Becomes MLflow's server until it is interrupted; for a store behind a server, only says where to look.

    Raises:
        UserError: the port is taken, or the URI is of no kind that keeps runs.
    """
    check_uri(tracking_uri)
    if tracking_uri.startswith(("http:", "https:")):
        say(f"the runs are on a server of their own: {masked(tracking_uri)}")
        _say_page(tracking_uri, experiment, page, say)
        return
    _check_port(host, port)
    front = f"http://{host}:{port}/"
    say(f"MLflow: {page_url(tracking_uri, front, page=page, experiment=experiment)}")
    if page is not None:
        say(f"filter:  {page.filter}")
    say("Ctrl-C ends it")
    opt_out_of_usage_reports()
    os.environ.update({**LEAN, STORE: with_driver(tracking_uri)})
    sys.stdout.flush()
    os.execv(sys.executable, server_command(host=host, port=port))


def server_command(*, host: str, port: int) -> list[str]:
    """MLflow's server with one worker, on the store that the environment names under `STORE`."""
    return [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--host", host, "--port", str(port), "--workers", "1"),
    ]


def page_url(tracking_uri: str, front: str, *, page: SweepPage | None, experiment: str) -> str:
    """The page of the sweep's trials, or of the experiment; the front page where there is none yet.

    Raises:
        UserError: the store cannot be opened.
    """
    try:
        client = connect(tracking_uri)
        found = client.get_experiment_by_name(experiment)
        if found is None:
            return front
        query = TRAINING if page is None else f"{TRAINING}&{share(client, found.experiment_id, page)}"
    except Exception as error:
        raise UserError(
            f"{masked(tracking_uri)}: cannot be opened ({describe(error)}): see that the store runs"
        ) from error
    return f"{front}#/experiments/{found.experiment_id}/runs?{query}"


def _say_page(tracking_uri: str, experiment: str, page: SweepPage | None, say: Callable[[str], None]) -> None:
    """Where to look on a server that somebody else runs; it may be out of reach from here."""
    if page is None:
        return
    with contextlib.suppress(UserError):
        front = masked(tracking_uri).rstrip("/") + "/"
        say(f"MLflow: {page_url(tracking_uri, front, page=page, experiment=experiment)}")
    say(f"filter:  {page.filter}")


def _check_port(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UserError(
                f"--port: {port} on {host} cannot be used ({error.strerror}): choose another, such as {port + 1}"
            ) from error
