"""`--set a.b=value`: keys of a YAML file overridden from the command line."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from ubn_sweep.dotted import NotAMappingError, set_at
from ubn_sweep.errors import UserError
from ubn_sweep.source import Place


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """One `a.b=value`."""

    text: str
    place: Place
    value: Any


def apply_overrides(content: dict[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """A copy of `content` with each `key.path=value` set; later ones win, absent mappings are made.

    Whether a key is known is for the schema to say.

    Raises:
        UserError: an assignment is not written so, or leads through something that is no mapping.
    """
    for text in assignments:
        content = assigned(content, parse_assignment(text))
    return content


def parse_assignment(text: str) -> Assignment:
    """Values are YAML: `0.1` is a number, `null` is None, `[100, 150]` a list, and `1e-3` is a number too.

    Raises:
        UserError: it is not written so.
    """
    key, equals, value_text = text.partition("=")
    place = tuple(key.strip().split("."))
    if not equals or not all(place):
        raise UserError(f"--set {text}: is written KEY=VALUE: say dataset.root=/data, for instance")
    try:
        value = yaml.safe_load(value_text)
    except yaml.YAMLError as error:
        raise UserError(f"--set {text}: the value is not YAML: put it in quotes") from error
    return Assignment(text=text, place=place, value=_as_number(value))


def assigned(content: dict[str, Any], assignment: Assignment) -> dict[str, Any]:
    """A copy of `content` with one key set.

    Raises:
        UserError: it leads through something that is no mapping.
    """
    result = copy.deepcopy(content)
    try:
        set_at(result, assignment.place, assignment.value)
    except NotAMappingError as error:
        raise UserError(
            f"--set {assignment.text}: `{error.place}` holds {error.value!r}, which has no keys: set that"
        ) from error
    return result


def _as_number(value: Any) -> Any:
    """YAML 1.1 takes `1e-3`, without a point, for text."""
    if isinstance(value, str) and value[:1] in "+-.0123456789" and "e" in value.lower():
        try:
            return float(value)
        except ValueError:
            return value
    return value
