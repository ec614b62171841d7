"""`python -m ubn_sweep.training CONFIG.yaml`: trains one config without a sweep, validates every epoch.

`torchrun --nproc-per-node N -m ubn_sweep.training CONFIG.yaml`: the same by N workers, on one machine or several.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ubn_sweep import schema
from ubn_sweep.errors import UserError
from ubn_sweep.plain_json import with_nulls
from ubn_sweep.training import CHECKPOINT_FILE
from ubn_sweep.training.distributed.group import started_by_torchrun
from ubn_sweep.training.loading import load_config
from ubn_sweep.training.memory import is_out_of_memory, out_of_memory_in_words
from ubn_sweep.training.run import Run
from ubn_sweep.training.share import Share
from ubn_sweep.training.task import Task

BAD_INPUT = 2
INTERRUPTED = 128 + signal.SIGINT
OUT_OF_MEMORY = 1


def main(arguments_given: Sequence[str] | None = None) -> int:
    """Parses the command line, trains, prints; returns the exit code."""
    arguments = _parser().parse_args(arguments_given)
    try:
        with started_by_torchrun() as share:
            return _run(arguments, share)
    except UserError as error:
        _tell(f"error: {error}")
        return BAD_INPUT


def _run(arguments: argparse.Namespace, share: Share) -> int:
    tell = _tell if share.is_first else _say_nothing
    config_path: Path = arguments.config
    folder = Path("runs") / config_path.stem if arguments.out is None else arguments.out
    try:
        task, config = load_config(config_path, arguments.assignments, task=arguments.task)
        task.check(config)
        task.check_workers(share.count)
        _check_folder(folder, resume=arguments.resume)
        result = _train(
            task, config, folder, threads=arguments.threads, resume=arguments.resume, share=share, tell=tell
        )
    except UserError as error:
        _tell(f"error: {error}" if share.is_first else f"worker {share.rank}: error: {error}")
        return BAD_INPUT
    except KeyboardInterrupt:
        tell("interrupted; the same command with --resume goes on")
        return INTERRUPTED
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        words = out_of_memory_in_words(error, schema.to_plain(config))
        _tell(f"error: {words}: lower it, or training.eval_batch_size")
        return OUT_OF_MEMORY
    if arguments.json and share.is_first:
        print(json.dumps(result))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ubn_sweep.training",
        description="Train CONFIG, a trial config in YAML, and validate every epoch; the test set is not touched. "
        "Ctrl-C, or a kill, leaves a checkpoint of the last finished epoch, from which --resume goes on.",
    )
    parser.add_argument("config", metavar="CONFIG", type=Path)
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the checkpoint (default: runs/NAME)"
    )
    parser.add_argument(
        "--task", metavar="MODULE:CLASS", help="what is trained (default: the config's, else classification)"
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on from the checkpoint in it, if there is one"
    )
    parser.add_argument(
        "--set",
        dest="assignments",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a key, as in optimizer.lr=0.05",
    )
    parser.add_argument("--threads", type=_positive, metavar="N", help="threads of the processor")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    return parser


def _positive(text: str) -> int:
    if int(text) < 1:
        raise ValueError
    return int(text)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _say_nothing(line: str) -> None:
    """What rank 0 says, it says for all."""


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


def _train(
    task: Task,
    config: Any,
    folder: Path,
    *,
    threads: int | None,
    resume: bool,
    share: Share,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    run = task.start(config, threads=threads)
    if resume and (folder / CHECKPOINT_FILE).exists():
        run.load(folder)
        tell(f"going on after epoch {run.epoch}")
    tell(run.summary)
    metrics: dict[str, float] = {}
    epochs = config.training.epochs
    while run.epoch < epochs and not run.diverged:
        begun_s = time.perf_counter()
        metrics = run.train_epoch()
        tell(_line(task, run, epochs, metrics, time.perf_counter() - begun_s))
        if not run.diverged and share.is_first:
            run.save(folder)
    return {
        "epoch": run.epoch,
        "diverged": run.diverged,
        "metrics": with_nulls(metrics if metrics else run.evaluate_validation()),
        "checkpoint": str(folder) if (folder / CHECKPOINT_FILE).exists() else None,
    }


def _line(task: Task, run: Run, epochs: int, metrics: dict[str, float], epoch_s: float) -> str:
    """The task's metrics, as far as they are reported, and the gate where there is one."""
    shown = [
        f"{metric.name} {metric.text(metrics[metric.name])}"
        for metric in (*task.told, *task.metrics)
        if metric.name in metrics
    ]
    if "gate_open" in metrics:
        shown.append(f"similarity {metrics['similarity']:.3f}, gates open {100 * metrics['gate_open']:.0f}%")
    left_s = epoch_s * (epochs - run.epoch)
    return f"epoch {run.epoch}/{epochs}  {'  '.join(shown)}  {epoch_s:.1f} s, {left_s:.0f} s left"


if __name__ == "__main__":
    sys.exit(main())
