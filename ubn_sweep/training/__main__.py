"""`python -m ubn_sweep.training CONFIG.yaml`: trains one config without a sweep, validates every epoch."""

from __future__ import annotations

import json
import math
import signal
import sys
from pathlib import Path
from typing import Any

import click

from ubn_sweep import schema
from ubn_sweep.errors import UserError
from ubn_sweep.overrides import apply_overrides
from ubn_sweep.training import CHECKPOINT_FILE
from ubn_sweep.training.config import TrialConfig
from ubn_sweep.training.dataset_check import check_dataset

BAD_INPUT = 2
INTERRUPTED = 128 + signal.SIGINT


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("config_path", metavar="CONFIG", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of the checkpoint.  [default: runs/NAME]"
)
@click.option("--resume", is_flag=True, help="Go on from the checkpoint in that folder, if there is one.")
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a key, as in optimizer.lr=0.05.",
)
@click.option(
    "--threads", type=click.IntRange(1), help="Threads of the processor.  [default: PyTorch's choice]"
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line.")
def main(
    config_path: Path,
    out: Path | None,
    resume: bool,
    assignments: tuple[str, ...],
    threads: int | None,
    as_json: bool,
) -> None:
    """Train CONFIG, a trial config in YAML, and validate every epoch; the test set is not touched.

    Ctrl-C, or a kill, leaves a checkpoint of the last finished epoch, from which --resume goes on.
    """
    folder = Path("runs") / config_path.stem if out is None else out
    try:
        config = load_config(config_path, assignments)
        _check_folder(folder, resume=resume)
        result = _train(config, folder, threads=threads, resume=resume)
    except UserError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(BAD_INPUT)
    except KeyboardInterrupt:
        click.echo("\ninterrupted; the same command with --resume goes on", err=True)
        sys.exit(INTERRUPTED)
    if as_json:
        click.echo(json.dumps(result))


def load_config(path: Path, assignments: tuple[str, ...]) -> TrialConfig:
    """Reads and checks a trial config, and looks whether its data is there.

    Raises:
        UserError: one line with the place, the rule, the value and the remedy.
    """
    content, text = schema.load_yaml(path)
    if isinstance(content, dict):
        content = apply_overrides(content, assignments)
    config = schema.parse(TrialConfig, content, source=str(path), text=text)
    check_dataset(config.dataset)
    return config


def _check_folder(folder: Path, *, resume: bool) -> None:
    if not resume and (folder / CHECKPOINT_FILE).exists():
        raise UserError(
            f"--out: `{folder}` holds a checkpoint already: go on with --resume, or choose another folder"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"--out: `{folder}` cannot be made ({error.strerror}): choose another folder"
        ) from error


def _train(config: TrialConfig, folder: Path, *, threads: int | None, resume: bool) -> dict[str, Any]:
    from ubn_sweep.training.run import TrainingRun

    run = TrainingRun(config, threads=threads)
    if resume and (folder / CHECKPOINT_FILE).exists():
        run.load(folder)
        click.echo(f"going on after epoch {run.epoch}", err=True)
    click.echo(
        f"{config.model.name}, {config.norm.name}: {run.parameters:,} parameters, {run.device}, "
        f"{run.train_examples:,} images to train on, {run.validation_examples:,} to validate on",
        err=True,
    )
    metrics: dict[str, float] = {}
    while run.epoch < config.training.epochs and not run.diverged:
        metrics = run.train_epoch()
        click.echo(_line(run.epoch, config.training.epochs, metrics), err=True)
        if not run.diverged:
            run.save(folder)
    return {
        "epoch": run.epoch,
        "diverged": run.diverged,
        "metrics": _without_nan(metrics if metrics else run.evaluate_validation()),
        "checkpoint": str(folder),
    }


def _without_nan(metrics: dict[str, float]) -> dict[str, float | None]:
    """JSON has no NaN."""
    return {key: value if math.isfinite(value) else None for key, value in metrics.items()}


def _line(epoch: int, epochs: int, metrics: dict[str, float]) -> str:
    left_s = metrics["epoch_s"] * (epochs - epoch)
    shown = [f"loss {metrics['train_loss']:.4f}", f"val_loss {metrics['val_loss']:.4f}"]
    shown.append(f"val_top1 {100 * metrics['val_top1']:.2f}%")
    if "gate_open" in metrics:
        shown.append(f"similarity {metrics['similarity']:.3f}, gates open {100 * metrics['gate_open']:.0f}%")
    return f"epoch {epoch}/{epochs}  {'  '.join(shown)}  {metrics['epoch_s']:.1f} s, {left_s:.0f} s left"


if __name__ == "__main__":
    main(prog_name="python -m ubn_sweep.training")
