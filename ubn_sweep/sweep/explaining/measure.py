"""How long an epoch takes on this machine: measured, by training the sweep's first trial for a moment."""

from __future__ import annotations

import time
from typing import Any

from ubn_sweep import schema
from ubn_sweep.errors import UserError
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.spec.spec import SweepSpec
from ubn_sweep.training.distributed.led_run import started_run


def measured_epoch_s(spec: SweepSpec) -> float:
    """Seconds of the second epoch of the sweep's first trial, with its workers and their processors.

    The first epoch compiles and fills caches. Trials beside one another are slower than one alone where they share a
    memory bus or a GPU, and other configs cost more or less.

    Raises:
        UserError: the task does not say how a run starts, or the data is not there.
    """
    task = spec.find_task()
    first = SweepState(spec, record=lambda event: None).next_trial()
    assert first is not None, "a sweep has at least one trial"
    config: Any = schema.parse(task.Config, first.config, source="the first trial's config")
    shape = spec.resources.shape(first.config)
    try:
        with started_run(task, config, workers=shape.workers, threads=shape.cpus) as run:
            run.train_epoch()
            begin_s = time.perf_counter()
            run.train_epoch()
            return time.perf_counter() - begin_s
    except UserError as error:
        raise UserError(f"--measure: {error}; or give the seconds by --epoch-seconds") from error
