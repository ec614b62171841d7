"""`train`: a config for good, and whether it kept what the sweep had promised."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from ubn_sweep.commands.common import home_folder
from ubn_sweep.commands.final_copies import following, sink_of, store_of
from ubn_sweep.commands.live import console, duration, print_json
from ubn_sweep.errors import DivergedError, InterruptedSweepError
from ubn_sweep.export.final import FinalResult, load_config, prepare_folder, train_for_good
from ubn_sweep.export.verdict import Verdict, verdict
from ubn_sweep.records.environment import describe_environment
from ubn_sweep.records.final_training import FinalRecorder, recording
from ubn_sweep.records.folder import FinalFolder
from ubn_sweep.schema import to_plain
from ubn_sweep.training.config import Provenance, TrialConfig
from ubn_sweep.training.data.check import check_dataset

if TYPE_CHECKING:
    from ubn_sweep.training.classification.run import TrainingRun


class EpochLines:
    """A line for each epoch, with the time left, and one when the copy of the records first lags behind."""

    def __init__(self, epochs: int, notice: Callable[[], str | None]) -> None:
        self._epochs = epochs
        self._notice = notice
        self._told = False
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
        notice = None if self._told else self._notice()
        if notice is not None:
            console.print(f"[yellow]{escape(notice)}: it is tried again[/yellow]", soft_wrap=True)
            self._told = True


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
    origin = config.provenance.tracking_uri if config.provenance is not None else None
    place = home_folder(home)
    uri = store_of(origin, tracking_uri, place)
    folder = FinalFolder(folder=(out if out is not None else Path("runs") / config_path.stem).absolute())
    prepare_folder(folder, config)
    sink = sink_of(folder, uri, place)
    begun_s = time.monotonic()
    with recording(folder) as recorder:
        recorder.begin(
            name=f"final {folder.path.name}",
            config=to_plain(config),
            tracking_uri=uri,
            environment=describe_environment(),
        )
        with following(folder, sink) as followers:
            result = _train(config, folder, recorder, notice=followers.notice)
    for store, why in followers.undelivered.items():
        console.print(
            f"[yellow]{store} has not taken the run ({escape(why)}); none of it is lost: "
            f"`ubn-sweep sync {folder.path}` delivers it[/yellow]",
            soft_wrap=True,
        )
    _tell(config, result, sink.run_id, took_s=time.monotonic() - begun_s, as_json=as_json)


def _train(
    config: TrialConfig, folder: FinalFolder, recorder: FinalRecorder, *, notice: Callable[[], str | None]
) -> FinalResult:
    """The training itself. However it ends, the record says so, unless the process is killed."""
    lines = EpochLines(config.training.epochs, notice)
    try:
        result = train_for_good(config, folder=folder, recorders=(recorder, lines), started=_tell_start)
    except KeyboardInterrupt as error:
        recorder.end("interrupted")
        raise InterruptedSweepError(
            f"interrupted; the same command goes on from the last epoch in {folder.path}"
        ) from error
    except DivergedError:
        recorder.end("diverged")
        raise
    except BaseException:
        recorder.end("failed")
        raise
    promised = config.provenance.promised_val_top1 if config.provenance is not None else None
    recorder.tested(
        result.test,
        epoch=result.epochs,
        promised={"val_top1": promised} if promised is not None else None,
        test_minus_promised=result.test["test_top1"] - promised if promised is not None else None,
    )
    recorder.end("completed")
    return result


def _tell_start(run: TrainingRun) -> None:
    again = f", going on from epoch {run.epoch}" if run.epoch else ""
    console.print(
        f"training on {run.train_examples} images (train + validation), {run.parameters:,} parameters, "
        f"on {run.device}{again}"
    )


def _tell(
    config: TrialConfig, result: FinalResult, run_id: str | None, *, took_s: float, as_json: bool
) -> None:
    promised = config.provenance.promised_val_top1 if config.provenance is not None else None
    if as_json:
        print_json(
            {
                "test_accuracy": result.test["test_top1"],
                "promised": promised,
                "checkpoint": str(result.checkpoint),
                "run_id": run_id,
            }
        )
        return
    console.print(f"\ntest top-1 [bold]{result.test['test_top1']:.2%}[/bold] after {duration(took_s)}")
    if config.provenance is not None:
        console.print(_verdict(config.provenance, result).sentence)
    console.print(f"checkpoint {result.checkpoint}", soft_wrap=True)
    if run_id is not None:
        console.print(f"MLflow run {run_id}; look at it with [bold]ubn-sweep ui[/bold]", soft_wrap=True)


def _verdict(provenance: Provenance, result: FinalResult) -> Verdict:
    return verdict(
        test_top1=result.test["test_top1"],
        promised_val_top1=provenance.promised_val_top1,
        validation_examples=provenance.validation_examples,
        test_examples=result.test_examples,
        candidates=provenance.candidates,
        repeats_std=provenance.val_top1_spread,
    )
