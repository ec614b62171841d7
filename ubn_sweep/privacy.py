"""Nothing phones home: the libraries' usage reports are off unless the user asks for them."""

from __future__ import annotations

import os

ASK_FOR_REPORTS = "UBN_SWEEP_USAGE_REPORTS"
OPT_OUTS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_USAGE_STATS_PROMPT_ENABLED": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
}


def opt_out_of_usage_reports() -> None:
    """Switches off the usage reports of Ray, MLflow and what they bring along.

    Must be called before their import.

    `UBN_SWEEP_USAGE_REPORTS=1` leaves every library to its own settings.
    """
    if os.environ.get(ASK_FOR_REPORTS) == "1":
        return
    os.environ.update(OPT_OUTS)
