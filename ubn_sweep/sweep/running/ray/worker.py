"""What Ray runs in a worker process. Kept apart, so that workers import neither Optuna nor the spec."""

from __future__ import annotations

from typing import Any

from ubn_sweep.sweep.running.job import Job, run_job
from ubn_sweep.training.trial import Report

REPORT = "report"
"""The key under which a report travels, as one value: Tune keeps windows of every metric that it knows by name."""


def run_tune_trial(config: dict[str, Any]) -> None:
    """A function trainable: Tune's config in, `tune.report` out."""
    from ray import tune

    def send(report: Report) -> None:
        tune.report({"score": 0.0, REPORT: report.to_json()})

    run_job(Job.from_json(config["job"]), send)
