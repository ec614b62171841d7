"""The report's numbers as `landscape.json`: whole for most sweeps, and never more than 5 MiB.

Of a sweep with more epochs than are legible, what is told of each config, metric and epoch but the last is left to the
table, and a trial is its number but in the lists of all trials and in the ranking. Where lists are still too long, so
many of their items stand: the first ones of a ranking, evenly spaced ones of others. `left_out` says of which how many.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ubn_sweep.landscape.read import TrialView

MOST_BYTES = 5 * 2**20
MOST_EPOCHS = 20_000
"""Of all trials together; with more, the table alone has them."""
LENGTHS = (2000, 500, 100, 20)
"""How long lists may be, tried in this order."""
IN_TABLE_ALONE = ("config", "metrics", "metrics_at", "times_s")
"""Fields of a trial."""
BEST_FIRST = "ranking.trials"
TOLD_IN_FULL = ("sweep.trials", "ranking.trials.trial")
"""Where trials are more than numbers."""


def numbers_text(content: Mapping[str, Any], *, epochs: int) -> str:
    """JSON of mappings, sequences, numbers and dataclasses; NaN and the infinities are null.

    Args:
        epochs: how many the trials have reported.
    """
    if epochs <= MOST_EPOCHS:
        text = _text(_Writer(), content)
        if len(text) <= MOST_BYTES:
            return text
    for length in LENGTHS:
        text = _text(_Writer(length=length), content)
        if len(text) <= MOST_BYTES:
            break
    return text


def _text(writer: _Writer, content: Mapping[str, Any]) -> str:
    found = writer.plain(content, "")
    return json.dumps({**found, "left_out": writer.left_out}, indent=1, allow_nan=False) + "\n"


@dataclasses.dataclass(kw_only=True)
class _Writer:
    """Makes plain values; with a length, short ones."""

    length: int | None = None
    left_out: dict[str, int] = dataclasses.field(default_factory=dict)
    """Path of a list -> how many of its items are not told."""

    def plain(self, value: Any, path: str) -> Any:
        if isinstance(value, float):
            return value if math.isfinite(value) else None
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, TrialView) and self.length is not None:
            return self._short(value, path) if path in TOLD_IN_FULL else value.number
        if isinstance(value, Mapping):
            return {str(key): self.plain(item, _below(path, str(key))) for key, item in value.items()}
        if dataclasses.is_dataclass(value):
            fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
            return {name: self.plain(item, _below(path, name)) for name, item in fields.items()}
        return [self.plain(item, path) for item in self._shortened(list(value), path)]

    def _short(self, trial: TrialView, path: str) -> dict[str, Any]:
        last = {trial.scored_epoch: trial.last_score} if trial.curve else {}
        fields = {field.name: getattr(trial, field.name) for field in dataclasses.fields(trial)} | {
            "curve": last
        }
        return {
            name: self.plain(item, _below(path, name))
            for name, item in fields.items()
            if name not in IN_TABLE_ALONE
        }

    def _shortened(self, items: Sequence[Any], path: str) -> Sequence[Any]:
        if self.length is None or len(items) <= self.length:
            return items
        self.left_out[path] = self.left_out.get(path, 0) + len(items) - self.length
        if path == BEST_FIRST:
            return items[: self.length]
        return [items[place] for place in np.linspace(0, len(items) - 1, self.length).round().astype(int)]


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
