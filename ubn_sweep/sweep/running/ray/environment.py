"""What Ray reads from the environment when it is imported: quiet, private, and on localhost only."""

from __future__ import annotations

import os
import secrets

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
