"""The sweep's own experiment once more, with a new seed: the one training that can be held against its promise."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from ubn_sweep.errors import DivergedError
from ubn_sweep.export.final import Recorder, trained
from ubn_sweep.records.events import FinalConfirmed
from ubn_sweep.records.final_training import FinalRecorder
from ubn_sweep.records.folder import FinalFolder
from ubn_sweep.training.distributed.led_run import started_run
from ubn_sweep.training.metrics import as_numbers
from ubn_sweep.training.run import Run
from ubn_sweep.training.seeds import derive_seed
from ubn_sweep.training.task import Task

SEED_LIMIT = 2**31


def confirmation_seed(config: Any) -> int:
    """Not that of any trial of the sweep, which count up from a small number."""
    return derive_seed(config.seed, "confirmation") % SEED_LIMIT


def confirm(
    task: Task,
    config: Any,
    *,
    folder: FinalFolder,
    recorder: FinalRecorder,
    recorders: tuple[Recorder, ...] = (),
    workers: int = 1,
    threads: int | None = None,
    started: Callable[[Run], None] = lambda run: None,
    testing: Callable[[], None] = lambda: None,
    tell: Callable[[str], None] = lambda line: None,
) -> FinalConfirmed:
    """Trains as the sweep did, holding the validation split out, and tests; once. Interrupted, it goes on when called
    again. One that diverges is recorded without metrics.

    Raises:
        UserError: the data is not there, or the folder cannot be written.
    """
    seed = confirmation_seed(config)
    before = recorder.record.confirmed
    if before is not None and before.seed == seed:
        return before
    again = dataclasses.replace(config, seed=seed)
    with started_run(task, again, workers=workers, threads=threads) as run:
        try:
            metrics, _ = trained(
                run, config, folder.confirmation, recorders=recorders, started=started, tell=tell
            )
            metrics = metrics if metrics else as_numbers(run.evaluate_validation())
            testing()
            metrics |= as_numbers(run.evaluate_test())
        except DivergedError:
            metrics = {}
        test_examples = run.test_examples
    recorder.confirmed(metrics, seed=seed, test_examples=test_examples)
    assert recorder.record.confirmed is not None
    return recorder.record.confirmed
