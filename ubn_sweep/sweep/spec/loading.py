"""From a YAML file, or a journal's first record, to a checked spec."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ubn_sweep import schema
from ubn_sweep.overrides import apply_overrides
from ubn_sweep.sweep.spec.check import check_space
from ubn_sweep.sweep.spec.spec import SweepSpec
from ubn_sweep.training.config import TrialConfig


def load_spec(path: Path, assignments: Sequence[str] = ()) -> SweepSpec:
    """Reads and checks a spec; `assignments` are `key=value` pairs, whose keys may leave out `base.`.

    Raises:
        UserError: one line with the place in the file, the rule, the value and the remedy.
    """
    content, text = schema.load_yaml(path)
    if assignments and isinstance(content, dict):
        content = apply_overrides(content, [_full_key(item) for item in assignments])
    spec = schema.parse(SweepSpec, content, source=str(path), text=text)
    check_space(spec, source=str(path), text=text)
    return spec


def spec_from_plain(content: dict[str, Any]) -> SweepSpec:
    """The spec of a recorded sweep."""
    return schema.parse(SweepSpec, content, source="the sweep's record")


def _full_key(assignment: str) -> str:
    first = assignment.split("=", 1)[0].split(".", 1)[0]
    is_trial_key = first in schema.field_names(TrialConfig) and first not in schema.field_names(SweepSpec)
    return f"base.{assignment}" if is_trial_key else assignment
