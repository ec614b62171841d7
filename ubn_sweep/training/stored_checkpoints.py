"""Checkpoints at a URL, with the promises of a folder of them. What is whole is told by a list: nothing is renamed."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ubn_sweep.storage import Storage, is_url
from ubn_sweep.training.checkpoint_folder import KEPT, CheckpointFolder, Load, Save, epoch_of

LIST = ".json"


def checkpoints_at(place: str | Path, attempt: str = "") -> CheckpointFolder:
    """The checkpoints of one training, in a folder or at a URL."""
    if is_url(str(place)):
        return StoredCheckpoints(str(place), attempt)
    return CheckpointFolder(Path(place), attempt)


class StoredCheckpoints(CheckpointFolder):
    """Each checkpoint is written here, then sent file by file, and its list last: `epoch-00003.json` with the size and
    the digest of each file. Without a list it is not there; files that do not fit their list are a broken checkpoint.

    Args:
        place: the training's own URL.
        attempt: as of a CheckpointFolder.
    """

    def __init__(self, place: str, attempt: str = "") -> None:
        super().__init__(Path(), attempt)
        self._storage = Storage(place)
        self._attempt = attempt

    def save(self, epoch: int, save: Save) -> Path:
        target = Path(self._attempt) / f"epoch-{epoch:05d}"
        with tempfile.TemporaryDirectory(prefix="ubn-sweep-") as folder:
            save(Path(folder))
            files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
            listed = {}
            self._storage.remove(f"{target}{LIST}")
            for path in files:
                name = str(path.relative_to(folder))
                self._storage.upload(path, f"{target}/{name}")
                listed[name] = [path.stat().st_size, _digest(path)]
            self._storage.write(f"{target}{LIST}", json.dumps(listed).encode())
        self._remove_all_but([target, *self._before(target)][:KEPT])
        return target

    def found(self, *, up_to: int | None = None) -> list[Path]:
        lists = [Path(name).with_suffix("") for name in self._storage.sizes() if name.endswith(LIST)]
        whole = [path for path in lists if path.name.removeprefix("epoch-").isdigit()]
        best_first = sorted(whole, key=lambda path: (str(path.parent), epoch_of(path)), reverse=True)
        return [path for path in best_first if up_to is None or epoch_of(path) <= up_to]

    def load_newest(
        self, load: Load, note: Callable[[str], None], *, up_to: int | None = None
    ) -> Path | None:
        def load_fetched(checkpoint: Path) -> None:
            with self.fetched(checkpoint) as folder:
                load(folder)

        return super().load_newest(load_fetched, note, up_to=up_to)

    @contextmanager
    def fetched(self, checkpoint: Path) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="ubn-sweep-") as folder:
            for name, (size, digest) in json.loads(self._storage.read(f"{checkpoint}{LIST}")).items():
                path = Path(folder, name)
                if not path.resolve().is_relative_to(Path(folder).resolve()):
                    raise ValueError(f"`{name}` lies outside of the checkpoint")
                self._storage.download(f"{checkpoint}/{name}", path)
                if path.stat().st_size != size or _digest(path) != digest:
                    raise ValueError(f"`{name}` is not as it was written")
            yield Path(folder)

    def keep_newest(self) -> None:
        self._remove_all_but(self.found()[:1])

    def remove(self) -> None:
        self._storage.remove_folder("")

    def _set_aside(self, broken: Iterable[Path]) -> None:
        for checkpoint in broken:
            self._storage.rename(
                f"{checkpoint}{LIST}", f"{checkpoint.with_name(f'broken-{checkpoint.name}')}{LIST}"
            )

    def _remove_all_but(self, kept: list[Path]) -> None:
        """Of this attempt and those before it, by name; lists go first, so that no checkpoint is there in part."""
        names = [name for name in self._storage.sizes() if self._is_mine(name) and not _is_of(name, kept)]
        self._storage.remove(*sorted(names, key=lambda name: not name.endswith(LIST)))

    def _is_mine(self, name: str) -> bool:
        return not self._attempt or Path(name).parts[0] <= self._attempt


def _is_of(name: str, kept: list[Path]) -> bool:
    return any(name == f"{path}{LIST}" or name.startswith(f"{path}/") for path in kept)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
