"""A folder of checkpoints, one a saved epoch: whole whenever somebody looks, whatever a task writes into them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ubn_sweep.errors import ForeignCheckpointError
from ubn_sweep.training import CHECKPOINT_FILE
from ubn_sweep.training.memory import is_out_of_memory

Save = Callable[[Path], None]
"""Writes a state into a folder."""
Load = Callable[[Path], None]
"""Takes a state from a folder."""
KEPT = 2
"""The newest, and the one before for where the newest turns out to be broken."""


class CheckpointFolder:
    """Keeps the newest checkpoints of a training.

    A task writes into a folder beside, which takes its name when it is whole and on the disk: a kill at any moment,
    or a power cut, leaves the checkpoint before.

    Args:
        path: the training's folder.
        attempt: where several processes may train the same, one of them left behind on a node that was given up:
            each writes below a name of its own, later ones behind earlier ones in the alphabet, and touches none
            of those after it.
    """

    def __init__(self, path: Path, attempt: str = "") -> None:
        self.path = path
        self._own = path / attempt

    def save(self, epoch: int, save: Save) -> Path:
        """Writes the checkpoint of an epoch, then removes all but the one before. Raises OSError when it cannot."""
        target = self._own / f"epoch-{epoch:05d}"
        beside = self._own / f"writing-{epoch:05d}"
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        save(beside)
        _to_disk(beside)
        shutil.rmtree(target, ignore_errors=True)
        beside.rename(target)
        _sync_folder(self._own)
        self._remove_all_but([target, *self._before(target)][:KEPT])
        return target

    def found(self, *, up_to: int | None = None) -> list[Path]:
        """The whole checkpoints, the best first: the latest attempt's, and of those the one of the highest epoch.

        Args:
            up_to: the highest epoch that is of use; None takes all.
        """
        attempts = [path for path in self.path.glob("*") if path.is_dir() and not _is_checkpoint(path)]
        found = []
        for folder in (*sorted(attempts, reverse=True), self.path):
            here = sorted(filter(_is_checkpoint, folder.glob("epoch-*")), key=epoch_of, reverse=True)
            found += [path for path in here if up_to is None or epoch_of(path) <= up_to]
        if not found and (self.path / CHECKPOINT_FILE).is_file():
            return [self.path]  # as version 0.1 wrote that of a final training
        return found

    def newest(self) -> Path | None:
        """The best of those found; None where there is none."""
        return next(iter(self.found()), None)

    def load_newest(
        self, load: Load, note: Callable[[str], None], *, up_to: int | None = None
    ) -> Path | None:
        """Loads the best of those found that can be loaded; None where there is none.

        Those before it are set aside as broken, once another one has been loaded; `note` is told why.

        Raises:
            ForeignCheckpointError: a whole one is another training's.
            Exception: what `load` raised of the last one, where none can be loaded; all of them are left in place.
        """
        broken: list[Path] = []
        found = self.found(up_to=up_to)
        for checkpoint in found:
            try:
                load(checkpoint)
            except ForeignCheckpointError:
                raise
            except Exception as error:
                if is_out_of_memory(error):  # which is no fault of the checkpoint's
                    raise
                note(_why_broken(checkpoint, error, last=checkpoint == found[-1]))
                if checkpoint == found[-1]:
                    raise
                broken.append(checkpoint)
                continue
            self._set_aside(broken)
            return checkpoint
        return None

    def set_aside(self, *, up_to: int | None = None) -> None:
        """None of those found can be loaded: whoever comes next begins anew."""
        self._set_aside(path for path in self.found(up_to=up_to) if path != self.path)

    def keep_newest(self) -> None:
        """Removes all but the newest: nothing is trained any more."""
        if self.path.exists():
            self._remove_all_but(self.found()[:1])

    def remove(self) -> None:
        """Removes all of them."""
        shutil.rmtree(self.path, ignore_errors=True)

    @contextmanager
    def fetched(self, checkpoint: Path) -> Iterator[Path]:
        """A folder of this machine's that holds one of those found, while the block runs.

        Raises:
            OSError: it is out of reach.
            ValueError: it is not as it was written.
        """
        yield checkpoint

    def _set_aside(self, broken: Iterable[Path]) -> None:
        for checkpoint in broken:
            checkpoint.rename(checkpoint.with_name(f"broken-{checkpoint.name}"))

    def _before(self, target: Path) -> list[Path]:
        return [path for path in self.found() if path != target]

    def _remove_all_but(self, kept: list[Path]) -> None:
        """Of this attempt and those before it, by name; what has been emptied goes too."""
        for other in self.path.iterdir():
            if other in kept or (other == self.path / CHECKPOINT_FILE and self.path in kept):
                continue
            if self._own != self.path and other.name > self._own.name:
                continue
            if other.is_dir() and any(path.parent == other for path in kept):
                for inner in other.iterdir():
                    if inner not in kept:
                        _remove(inner)
            elif other != self._own:
                _remove(other)


def epoch_of(checkpoint: Path) -> int:
    """The epoch that a checkpoint was saved after."""
    return int(checkpoint.name.removeprefix("epoch-"))


def _is_checkpoint(path: Path) -> bool:
    return path.name.removeprefix("epoch-").isdigit()


def _why_broken(checkpoint: Path, error: Exception, *, last: bool) -> str:
    which = (
        f"the checkpoint of epoch {epoch_of(checkpoint)}" if _is_checkpoint(checkpoint) else "the checkpoint"
    )
    why = f"{type(error).__name__}: {error}".splitlines()[0]
    rest = "there is none before it" if last else "the one before is taken"
    return f"{which} cannot be loaded ({why}): {rest}"


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _to_disk(folder: Path) -> None:
    """Waits until all files below a folder, and their names, are on the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        elif path.is_dir():
            _sync_folder(path)
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    """Some network file systems know no fsync of a folder, and need none."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)
