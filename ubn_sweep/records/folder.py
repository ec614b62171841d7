"""Where sweeps lie: `sweeps/` in the folder from which they are started."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ubn_sweep.errors import UserError, known
from ubn_sweep.records.journal import JOURNAL_FILE


@dataclass(frozen=True, kw_only=True)
class SweepFolder:
    """The paths of one sweep. `home` holds all sweeps and the tracking store that they share."""

    home: Path
    name: str

    @property
    def path(self) -> Path:
        return self.home / self.name

    @property
    def journal(self) -> Path:
        return self.path / JOURNAL_FILE

    @property
    def spec(self) -> Path:
        return self.path / "spec.yaml"

    @property
    def observations(self) -> Path:
        return self.path / "observations.parquet"

    @property
    def report(self) -> Path:
        return self.path / "landscape.html"

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    @property
    def default_tracking_uri(self) -> str:
        return f"sqlite:///{self.home / 'mlflow.db'}"

    @property
    def default_artifact_root(self) -> Path:
        return self.home / "mlartifacts"

    @property
    def default_study_storage(self) -> str:
        return f"sqlite:///{self.home / 'optuna.db'}"


def default_home() -> Path:
    """`sweeps/` below the current folder, as an absolute path: trials have working folders of their own."""
    return Path.cwd() / "sweeps"


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
