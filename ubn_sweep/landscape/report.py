"""From a sweep's folder to its report: table, numbers, figures, page."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ubn_sweep.errors import UserError
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import read_journal
from ubn_sweep.records.observations import write_observations


@dataclass(frozen=True, kw_only=True)
class LandscapeReport:
    """Where everything lies, and what it says."""

    html: Path
    observations: Path
    numbers: Path
    figures: tuple[Path, ...]
    summary: tuple[str, ...]

    @property
    def artifacts(self) -> tuple[Path, ...]:
        """All files, for the sweep's MLflow run."""
        return (self.html, self.observations, self.numbers, *self.figures)


def build_report(folder: SweepFolder) -> LandscapeReport:
    """Maps a sweep, finished or running. Every file is written beside its place and renamed when it is whole.

    Raises:
        UserError: there is no journal, or the sweep's folder cannot be written.
    """
    # Imported here: they take seconds, and naming a report's type takes none of them.
    from ubn_sweep.landscape.analysis import analyse
    from ubn_sweep.landscape.captions import captions
    from ubn_sweep.landscape.figures import draw_all
    from ubn_sweep.landscape.figures.style import styled
    from ubn_sweep.landscape.figures.svg import as_inline_svg, as_png
    from ubn_sweep.landscape.page import render_page
    from ubn_sweep.landscape.words import summary

    events = read_journal(folder.path)
    numbers = folder.path / "landscape.json"
    try:
        table = write_observations(events, folder.observations)
        landscape = analyse(table)
        texts = captions(landscape)
        svgs, pngs = {}, []
        with styled():
            for name, figure in draw_all(landscape).items():
                svgs[name] = as_inline_svg(figure, name=name, description=_spoken(texts[name].finding, name))
                pngs.append(_write(folder.figures / f"{name}.png", as_png(figure)))
        sentences = summary(landscape)
        content = {"summary": sentences, **_plain(dataclasses.asdict(landscape))}
        _write(numbers, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())
        _write(folder.report, render_page(landscape, svgs).encode())
    except OSError as error:
        raise UserError(
            f"{folder.path}: the report cannot be written ({error.strerror}): make the folder writable, or free space"
        ) from error
    return LandscapeReport(
        html=folder.report,
        observations=folder.observations,
        numbers=numbers,
        figures=tuple(pngs),
        summary=sentences,
    )


def _spoken(finding: str, name: str) -> str:
    return f"Figure, {name}: {finding} The caption and the table of the best trials give the numbers."


def _write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return path


def _plain(value: Any) -> Any:
    """For JSON: keys as text, tuples as lists, NaN and infinity as null."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
