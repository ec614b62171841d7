"""What Ray runs in a worker process. Kept apart, so that workers import neither Optuna nor the spec."""

from __future__ import annotations

from typing import Any

from ubn_sweep.sweep.running.trial import Job, run_job


def run_tune_trial(config: dict[str, Any]) -> None:
    """A function trainable: Tune's config in, `tune.report` out."""
    from ray import tune

    run_job(Job.from_json(config["job"]), tune.report)
