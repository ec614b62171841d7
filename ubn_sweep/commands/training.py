"""`train`: a config for good, and whether it kept what the sweep had promised."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ubn_sweep.commands.common import home_folder
from ubn_sweep.commands.live import console, duration, print_json
from ubn_sweep.errors import DivergedError, InterruptedSweepError
from ubn_sweep.export.final import FinalResult, load_config, prepare_folder, train_for_good
from ubn_sweep.export.verdict import Verdict, verdict
from ubn_sweep.records.environment import describe_environment
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.schema import to_plain
from ubn_sweep.tracking.mlflow.client import check_uri
from ubn_sweep.tracking.mlflow.final import FinalRun
from ubn_sweep.training.config import Provenance, TrialConfig
from ubn_sweep.training.data.check import check_dataset

if TYPE_CHECKING:
    from ubn_sweep.training.classification.run import TrainingRun


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
    prepare_folder(out, config)
    recording = _recording(config, out, tracking_uri, home)
    begun_s = time.monotonic()
    try:
        result = train_for_good(
            config, out=out, recorders=(EpochLines(config.training.epochs), recording), started=_tell_start
        )
    except KeyboardInterrupt as error:
        recording.end("interrupted")
        raise InterruptedSweepError(
            f"interrupted; the same command goes on from the last epoch in {out}"
        ) from error
    except DivergedError:
        recording.end("diverged")
        raise
    except BaseException:
        recording.end("failed")
        raise
    recording.result(result.test, step=result.epochs)
    recording.artifacts([out / "config.yaml", result.checkpoint])
    if not recording.end():
        console.print(
            f"[yellow]MLflow has not taken the run ({recording.last_error}); the same command tries again[/yellow]"
        )
    _tell(config, result, recording, took_s=time.monotonic() - begun_s, as_json=as_json)


def _recording(config: TrialConfig, out: Path, tracking_uri: str | None, home: Path | None) -> FinalRun:
    """Into the store of the sweep that the config came from; without one, into the store of this folder."""
    place = SweepFolder(home=home_folder(home), name="")
    origin = config.provenance.tracking_uri if config.provenance is not None else None
    uri = next(item for item in (tracking_uri, origin, place.default_tracking_uri) if item is not None)
    check_uri(uri)
    local = uri == place.default_tracking_uri
    if local:
        place.home.mkdir(parents=True, exist_ok=True)
    return FinalRun(
        out,
        name=f"final {out.name}",
        config=to_plain(config),
        tracking_uri=uri,
        artifact_root=place.default_artifact_root if local else None,
        environment=describe_environment(),
    )


def _tell_start(run: TrainingRun) -> None:
    again = f", going on from epoch {run.epoch}" if run.epoch else ""
    console.print(
        f"training on {run.train_examples} images (train + validation), {run.parameters:,} parameters, "
        f"on {run.device}{again}"
    )


def _tell(
    config: TrialConfig, result: FinalResult, recording: FinalRun, *, took_s: float, as_json: bool
) -> None:
    promised = config.provenance.promised_val_top1 if config.provenance is not None else None
    if as_json:
        print_json(
            {
                "test_accuracy": result.test["test_top1"],
                "promised": promised,
                "checkpoint": str(result.checkpoint),
                "run_id": recording.run_id,
            }
        )
        return
    console.print(f"\ntest top-1 [bold]{result.test['test_top1']:.2%}[/bold] after {duration(took_s)}")
    if config.provenance is not None:
        console.print(_verdict(config.provenance, result).sentence)
    console.print(f"checkpoint {result.checkpoint}", soft_wrap=True)
    console.print(f"MLflow run {recording.run_id}; look at it with [bold]ubn-sweep ui[/bold]", soft_wrap=True)


def _verdict(provenance: Provenance, result: FinalResult) -> Verdict:
    return verdict(
        test_top1=result.test["test_top1"],
        promised_val_top1=provenance.promised_val_top1,
        validation_examples=provenance.validation_examples,
        test_examples=result.test_examples,
        candidates=provenance.candidates,
        repeats_std=provenance.val_top1_spread,
    )
