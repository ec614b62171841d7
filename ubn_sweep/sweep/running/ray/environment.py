"""What Ray reads from the environment when it is imported: quiet, private, and on localhost only."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from ubn_sweep.errors import UserError
from ubn_sweep.privacy import opt_out_of_usage_reports

QUIET_TUNE = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no CSV, JSON and TensorBoard files beside the records
    "TUNE_GLOBAL_CHECKPOINT_S": str(10**9),  # the journal is exact, Tune's snapshots lag behind
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # ours knows SIGTERM too, and needs no 15 s
    "TUNE_FORCE_TRIAL_CLEANUP_S": "30",  # a process that a trial has spoilt may not end by itself
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a trial may end without a score: it failed
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_DEDUP_LOGS": "0",
}
JOB_CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""What Ray puts into the environment of a job's own process."""


def prepare_ray_environment(*, local: bool) -> None:
    """Sets what the user has not set. Must be called before the first `import ray`.

    A local cluster binds every port to the loopback address, and has a secret of this process's own: Ray would
    else listen on all addresses, and write a secret into the home folder, which may not be writable.
    """
    opt_out_of_usage_reports()
    for name, value in QUIET_TUNE.items():
        os.environ.setdefault(name, value)
    if not local:
        return
    # The variable is named after the systems where loopback is Ray's default; it has the same effect on Linux.
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    if "RAY_AUTH_MODE" not in os.environ:
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


def cluster_address(option: str | None) -> str | None:
    """The cluster to join: the option's, else RAY_ADDRESS, which a Ray job has; None for one of our own.

    Raises:
        UserError: the address is one that no sweep can be run through.
    """
    name = "RAY_ADDRESS" if option is None else "--ray-address"
    address = os.environ.get("RAY_ADDRESS") if option is None else option
    if address is None or address in ("", "local"):
        return None
    if address.startswith("ray://"):
        raise UserError(
            f"{name}: `{address}` is for Ray's remote client, through which no sweep can be run: send it to the "
            f"cluster by `ubn-sweep submit SPEC --address http://{_host(address)}:8265`"
        )
    if address.startswith(("http://", "https://")):
        raise UserError(
            f"{name}: `{address}` is the address for jobs: send the sweep by `ubn-sweep submit SPEC --address "
            f"{address}`, or name the cluster's own address, {_host(address)}:6379"
        )
    return address


def check_home(home: Path) -> None:
    """Refuses the folder in which Ray unpacks a job's files: it goes with the job.

    Raises:
        UserError: the folder of the sweeps lies there.
    """
    if JOB_CONFIG in os.environ and "runtime_resources" in home.parts:
        raise UserError(
            f"--home: {home} goes with this Ray job: name a folder that all nodes share, and that stays"
        )


def job_brings_code() -> bool:
    """Whether this process is that of a Ray job whose files Ray itself takes to every node."""
    runtime_env = json.loads(os.environ.get(JOB_CONFIG, "{}")).get("runtime_env") or {}
    return "working_dir" in runtime_env or "py_modules" in runtime_env


def _host(address: str) -> str:
    return address.partition("://")[2].rpartition(":")[0] or "HEAD"
