"""`--set a.b=value`: keys of a YAML file overridden from the command line."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import yaml

from ubn_sweep.dotted import NotAMappingError, set_at
from ubn_sweep.errors import UserError


def apply_overrides(content: dict[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """A copy of `content` with each `key.path=value` set; later ones win, absent mappings are made.

    Values are YAML: `0.1` is a number, `null` is None, `[100, 150]` a list, and `1e-3` is a number too.
    Whether a key is known is for the schema to say.

    Raises:
        UserError: an assignment is not written so, or leads through something that is no mapping.
    """
    result = copy.deepcopy(content)
    for assignment in assignments:
        key, value = _parse(assignment)
        try:
            set_at(result, key, value)
        except NotAMappingError as error:
            raise UserError(
                f"--set {assignment}: `{error.place}` holds {error.value!r}, which has no keys: set that"
            ) from error
    return result


def _parse(assignment: str) -> tuple[str, Any]:
    key, equals, text = assignment.partition("=")
    key = key.strip()
    if not equals or not all(key.split(".")):
        raise UserError(f"--set {assignment}: is written KEY=VALUE: say dataset.root=/data, for instance")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"--set {assignment}: the value is not YAML: put it in quotes") from error
    return key, _as_number(value)


def _as_number(value: Any) -> Any:
    """YAML 1.1 takes `1e-3`, without a point, for text."""
    if isinstance(value, str) and value[:1] in "+-.0123456789" and "e" in value.lower():
        try:
            return float(value)
        except ValueError:
            return value
    return value
