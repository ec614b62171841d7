"""Landscapes from Python: the report's sentences and numbers, its figures as DataFrames, and their drawings."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ubn_sweep.commands.common import home_folder
from ubn_sweep.commands.reading import tables_of
from ubn_sweep.errors import UserError, known
from ubn_sweep.landscape.frames import frames_of, whole_frame
from ubn_sweep.landscape.joining import joined
from ubn_sweep.landscape.report import report_of
from ubn_sweep.records.folder import SweepFolder

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from matplotlib.figure import Figure as Drawing

    from ubn_sweep.landscape import LandscapeReport
    from ubn_sweep.landscape.analysis import Landscape as Numbers
    from ubn_sweep.landscape.figures import ReportFigure

ENDINGS = (".svg", ".png", ".pdf")


class Figure:
    """One figure: its numbers first, then its drawing."""

    def __init__(self, numbers: Numbers, entry: ReportFigure[Any]) -> None:
        self._sweep = numbers.sweep
        self._entry = entry
        self._view = entry.numbers(numbers)

    @property
    def name(self) -> str:
        """As its files are called."""
        return self._entry.name

    @property
    def title(self) -> str:
        """Above it in the report."""
        return self._entry.title

    @property
    def applies(self) -> bool:
        """Whether there is something to show."""
        return self._entry.applies(self._view)

    @property
    def finding(self) -> str:
        """What it says, in a sentence."""
        return self._entry.finding(self._sweep, self._view)

    @property
    def how(self) -> str:
        """How it was made, with n, and what not to read into it."""
        return self._entry.how(self._sweep, self._view)

    @cached_property
    def parts(self) -> dict[str, pd.DataFrame]:
        """Its numbers, part by part: `full.points`, `early.fit.curve`, ..."""
        return frames_of(self._view)

    @property
    def data(self) -> pd.DataFrame:
        """All parts beneath each other, with their names in the column `part`."""
        return whole_frame(self.parts)

    def draw(self, *, narrow: bool = False) -> Drawing:
        """A matplotlib Figure of its own, as the report draws it; `narrow` as on a phone, where there is such a one.

        Raises:
            UserError: there is nothing to show.
        """
        from ubn_sweep.landscape.figures.style import styled

        if not self.applies:
            raise UserError(
                f"the figure `{self.name}` has nothing to show: these trials have no such numbers"
            )
        how = self._entry.narrow if narrow and self._entry.narrow is not None else self._entry.draw
        with styled():
            return how(self._sweep, self._view)

    def save(self, path: str | Path) -> Path:
        """Draws it into a file: svg, png or pdf, by its ending.

        Raises:
            UserError: the ending is another one, or there is nothing to show.
        """
        from ubn_sweep.landscape.figures.style import styled

        path = Path(path)
        if path.suffix not in ENDINGS:
            raise UserError(f"{path}: a figure is saved as {', '.join(ENDINGS)}, but got `{path.suffix}`")
        drawing = self.draw()
        path.parent.mkdir(parents=True, exist_ok=True)
        with styled():
            drawing.savefig(path)
        return path

    def _repr_png_(self) -> bytes:
        """For notebooks."""
        from ubn_sweep.landscape.figures.style import styled
        from ubn_sweep.landscape.figures.svg import as_png

        drawing = self.draw()
        with styled():
            return as_png(drawing)


class Landscape:
    """What a sweep, or several together, found. Made by `of`, `from_table` or `from_mlflow`.

    Raises:
        UserError: what is named is not there, or cannot be together; so do all methods.
    """

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    @classmethod
    def of(cls, *sweeps: str, home: str | Path | None = None) -> Landscape:
        """Of sweeps, by their names or folders."""
        if not sweeps:
            raise UserError("Landscape.of: name a sweep, or several")
        place = home_folder(None if home is None else Path(home))
        return cls(joined(tables_of(sweeps, from_mlflow=None, home=place)))

    @classmethod
    def from_table(cls, *paths: str | Path) -> Landscape:
        """Of `observations.parquet` files, wherever they come from."""
        import pyarrow.parquet as pq

        tables = []
        for path in paths:
            try:
                tables.append(pq.read_table(path))
            except (OSError, ValueError) as error:
                raise UserError(f"{path}: is no table of observations that can be read ({error})") from error
        if not tables:
            raise UserError("Landscape.from_table: name a file, or several")
        return cls(joined(tables))

    @classmethod
    def from_mlflow(cls, uri: str, *what: str) -> Landscape:
        """Of what an MLflow store holds: runs by their ids or the sweeps' names, or all sweeps of an experiment."""
        if not what:
            raise UserError("Landscape.from_mlflow: name a run, a sweep or an experiment of the store")
        return cls(joined(tables_of(what, from_mlflow=uri, home=Path())))

    @cached_property
    def numbers(self) -> Numbers:
        """All that the report is made of, as nested dataclasses; computed once."""
        from ubn_sweep.landscape.analysis import analyse

        return analyse(self._table)

    @property
    def summary(self) -> tuple[str, ...]:
        """The report's sentences."""
        from ubn_sweep.landscape.words import summary

        return summary(self.numbers)

    @property
    def observations(self) -> pd.DataFrame:
        """A row for each trial and epoch, keyed by `sweep_id` and `trial`: the columns of docs/landscape.md."""
        return self._table.to_pandas()

    @property
    def trials(self) -> pd.DataFrame:
        """A row for each trial, as it stood at its last epoch."""
        return (
            self.observations.groupby(["sweep", "sweep_id", "trial"], sort=False)
            .tail(1)
            .reset_index(drop=True)
        )

    @cached_property
    def figures(self) -> dict[str, Figure]:
        """Those that have something to show, by their names, in the report's order."""
        from ubn_sweep.landscape.figures import FIGURES

        every = [Figure(self.numbers, entry) for entry in FIGURES]
        return {figure.name: figure for figure in every if figure.applies}

    def figure(self, name: str) -> Figure:
        """One of them."""
        if name not in self.figures:
            raise UserError(
                f"there is no figure `{name}` of these trials; there are {known(list(self.figures))}"
            )
        return self.figures[name]

    def save(self, folder: str | Path) -> LandscapeReport:
        """Writes the report, its table, its numbers and its figures, SVG and PNG, into a folder."""
        place = Path(folder).absolute()
        return report_of(self._table, SweepFolder(home=place.parent, name=place.name))

    def __repr__(self) -> str:
        return f"Landscape({', '.join(dict.fromkeys(self._table['sweep'].to_pylist()))})"
