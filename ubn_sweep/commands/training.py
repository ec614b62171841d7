"""`train`: a config for good, and whether it kept what the sweep had promised."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ubn_sweep.errors import InterruptedSweepError
from ubn_sweep.export.final import FinalResult, load_config, train_for_good
from ubn_sweep.export.verdict import verdict
from ubn_sweep.live import console, duration, print_json
from ubn_sweep.tracking.final import FinalRun
from ubn_sweep.tracking.store import SweepFolder
from ubn_sweep.training.config import TrialConfig
from ubn_sweep.training.dataset_check import check_dataset

if TYPE_CHECKING:
    from ubn_sweep.training.run import TrainingRun


class EpochLines:
    """A line for each epoch, with the time left."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._begun_s = time.monotonic()
        self._first: int | None = None

    def epoch(self, epoch: int, metrics: dict[str, float]) -> None:
        first = self._first = self._first if self._first is not None else epoch
        each_s = (time.monotonic() - self._begun_s) / (epoch - first + 1)
        left = duration(each_s * (self._epochs - epoch))
        console.print(
            f"epoch {epoch}/{self._epochs}  training loss {metrics['train_loss']:.4f}  "
            f"top-1 {metrics['train_top1']:.2%}  {left} left"
        )


def train_final(
    config_path: Path,
    *,
    out: Path | None,
    tracking_uri: str | None,
    assignments: Sequence[str],
    home: Path | None,
    as_json: bool,
) -> None:
    """Trains, tests once, records, and compares with the promise."""
    config = load_config(config_path, tuple(assignments))
    check_dataset(config.dataset)
    out = (out if out is not None else Path("runs") / config_path.stem).absolute()
    recording = _recording(config, config_path, tracking_uri, home)
    _announce(config, out)
    begun_s = time.monotonic()
    try:
        result = train_for_good(
            config, out=out, recorders=(EpochLines(config.training.epochs), recording), started=_tell_size
        )
    except KeyboardInterrupt as error:
        recording.end(status="interrupted")
        raise InterruptedSweepError(
            f"interrupted; the same command goes on from the last epoch in {out}"
        ) from error
    except BaseException:
        recording.end(status="failed")
        raise
    _tell(config, result, recording, took_s=time.monotonic() - begun_s, as_json=as_json)
