"""Where everything lies: the folders of sweeps and of final trainings, with all their paths.

Sweeps lie in `sweeps/` in the folder from which they are started.
"""

from __future__ import annotations

import hashlib
import os
import shlex
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from ubn_sweep.errors import UserError, known
from ubn_sweep.records.journal import JOURNAL_FILE

HOME = "UBN_SWEEP_HOME"
"""In the environment: the folder of the sweeps where no `--home` is given, as images and clusters set it."""


class JournalFolder(ABC):
    """A folder with a journal, the lock of the one process that writes it, and how far it has been copied."""

    @property
    @abstractmethod
    def path(self) -> Path: ...

    @property
    def journal(self) -> Path:
        return self.path / JOURNAL_FILE

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    def delivered(self, kind: str, *address: str) -> Path:
        """How far the journal has been delivered to a store. The address is hashed: a URI may hold a password."""
        digest = hashlib.sha256("\n".join(address).encode()).hexdigest()[:12]
        return self.path / "delivered" / f"{kind}-{digest}.json"


@dataclass(frozen=True, kw_only=True)
class SweepFolder(JournalFolder):
    """The paths of one sweep. `home` holds all sweeps and the tracking store that they share."""

    home: Path
    name: str

    @property
    def path(self) -> Path:
        return self.home / self.name

    @property
    def typed(self) -> str:
        """What a command takes for it from the current folder: its name, or its path where it lies elsewhere."""
        return self.name if self.home == default_home() else shlex.quote(str(self.path))

    @property
    def spec(self) -> Path:
        return self.path / "spec.yaml"

    @property
    def checkpoints(self) -> Path:
        """One folder a trial below it, while the sweep runs."""
        return self.path / "checkpoints"

    def checkpoint(self, trial: int) -> Path:
        """Where one trial keeps its checkpoints."""
        return self.checkpoints / f"{trial:04d}"

    @property
    def best(self) -> Path:
        """The final checkpoints of the best trials, where the spec asks for them."""
        return self.path / "best"

    def log(self, trial: int) -> Path:
        """What a trial printed, all its attempts one after another."""
        return self.path / "logs" / f"trial-{trial:04d}.log"

    @property
    def driver(self) -> Path:
        """The sign of life of the process that runs the sweep."""
        return self.path / "driver"

    @property
    def control(self) -> Path:
        """Orders to that process."""
        return self.path / "control"

    @property
    def ray(self) -> Path:
        """Ray's own files, while the sweep runs."""
        return self.path / "ray"

    @property
    def observations(self) -> Path:
        return self.path / "observations.parquet"

    @property
    def report(self) -> Path:
        return self.path / "landscape.html"

    @property
    def numbers(self) -> Path:
        """What the report says, for programs."""
        return self.path / "landscape.json"

    @property
    def null(self) -> Path:
        """How often the report's claims are made in replays where they are errors."""
        return self.path / "null.json"

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    @property
    def confirmation(self) -> Path:
        """What a race that confirms the sweep found; also in the race's own folder."""
        return self.path / "confirmation.json"

    @property
    def bundles(self) -> Path:
        """One folder below it for each trial whose config was exported."""
        return self.path / "bundles"

    def bundle(self, trial: int) -> Path:
        return self.bundles / f"trial-{trial:04d}"

    @property
    def results(self) -> tuple[Path, ...]:
        """What people want beside the sweep's runs; some may not be there (yet)."""
        results = (self.spec, self.report, self.numbers, self.figures, self.observations)
        return *results, self.null, self.confirmation, self.bundles

    @property
    def default_tracking_uri(self) -> str:
        return f"sqlite:///{self.home / 'mlflow.db'}"

    @property
    def default_artifact_root(self) -> Path:
        return self.home / "mlartifacts"

    @property
    def default_study_storage(self) -> str:
        return f"sqlite:///{self.home / 'optuna.db'}"


@dataclass(frozen=True, kw_only=True)
class FinalFolder(JournalFolder):
    """The paths of one final training."""

    folder: Path

    @property
    def path(self) -> Path:
        return self.folder

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoint"

    @property
    def confirmation(self) -> Path:
        """The checkpoint of a second training, under the sweep's own protocol."""
        return self.path / "confirmation"

    @property
    def result(self) -> Path:
        return self.path / "result.json"

    def of_seed(self, seed: int) -> FinalFolder:
        """Of one training among several that differ in their seed alone."""
        return FinalFolder(folder=self.path / f"seed-{seed}")

    def of_seeds(self) -> list[FinalFolder]:
        """Those that have begun."""
        found = (path for path in self.path.glob("seed-*") if (path / JOURNAL_FILE).is_file())
        return [FinalFolder(folder=path) for path in sorted(found)]

    @property
    def results(self) -> tuple[Path, ...]:
        """What people want beside the run."""
        return self.config, self.result, self.checkpoint


def default_home() -> Path:
    """What UBN_SWEEP_HOME says, else `sweeps/` below the current folder; whole, since trials run elsewhere."""
    return Path(os.environ.get(HOME) or "sweeps").absolute()


def existing_sweeps(home: Path) -> list[str]:
    """Names of the sweeps in a home, oldest first."""
    journals = sorted(home.glob(f"*/{JOURNAL_FILE}"), key=lambda path: path.stat().st_ctime)
    return [path.parent.name for path in journals]


def find_sweep(name: str, home: Path | None = None) -> SweepFolder:
    """The folder of a sweep, by its name or its path.

    Raises:
        UserError: there is no such sweep; the message lists those that there are.
    """
    home = home if home is not None else default_home()
    as_path = Path(name)
    if (as_path / JOURNAL_FILE).is_file():
        as_path = as_path.resolve()
        return SweepFolder(home=as_path.parent, name=as_path.name)
    names = existing_sweeps(home)
    if name in names:
        return SweepFolder(home=home, name=name)
    there = f"known here: {known(names)}" if names else "there is none here yet"
    raise UserError(f"unknown sweep `{name}` in {home}; {there}: start one with `ubn-sweep run SPEC`")
