"""The YAML edge: text -> checked, frozen dataclasses; a mistake becomes one line that names its place."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import AfterValidator, BeforeValidator, TypeAdapter, ValidationError

from ubn_sweep.errors import UserError
from ubn_sweep.source import Place, Source, file_source

T = TypeVar("T")
OMIT_EMPTY = "omit_empty"


def require(holds: bool, rule: str, value: object, remedy: str) -> None:
    """A rule of the schema.

    Raises:
        ValueError: it does not hold; says rule, value and remedy.
    """
    if not holds:
        raise ValueError(f"`{rule}` must hold, but got {value}: {remedy}")


def checked_by(check: Callable[[T], T]) -> Any:
    """For `Annotated[str, checked_by(check)]`: what `check` raises as a ValueError names the field's own place."""
    return AfterValidator(check)


def read_by(read: Callable[[Any], Any]) -> Any:
    """For `Annotated[kind, read_by(read)]`: `read` sees what was written first, and says what is wrong with it."""
    return BeforeValidator(read)


def load_yaml(path: Path) -> tuple[Any, str]:
    """Reads a YAML file and returns its content and its text.

    Raises:
        UserError: the file is missing, unreadable, or not YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"{path}: cannot be read ({reason}): give the path of a YAML file") from error
    try:
        return yaml.safe_load(text), text
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark is not None else str(path)
        problem = getattr(error, "problem", None) or "unreadable"
        raise UserError(f"{where}: not valid YAML ({problem}): mend the syntax there") from error


def parse(kind: type[T], content: Any, *, source: Source | str, place: Place = ()) -> T:
    """Checks content against a dataclass of the schema.

    `source` is where it came from, or the name of a record without lines; `place` is where in it the content lies.

    Raises:
        UserError: naming the first offending key, its place in the source, and the remedy.
    """
    source = file_source(source) if isinstance(source, str) else source
    if not isinstance(content, dict):
        raise UserError(
            f"{source.at(place)}: must hold a mapping of keys, but holds {type(content).__name__}: "
            "write `key: value`, a line each"
        )
    try:
        return _adapter(kind).validate_python(content)  # type: ignore[arg-type]
    except ValidationError as error:
        raise UserError(_explain(error, kind, source, place)) from error


@functools.cache
def _adapter(kind: type[T]) -> TypeAdapter[T]:
    """The checker of a dataclass. It refuses unknown keys, in all dataclasses that it holds: nobody need ask for it."""
    for section in _sections(kind):
        if "__pydantic_config__" not in vars(section):
            section.__pydantic_config__ = {"extra": "forbid"}
    return TypeAdapter(kind)


def _sections(kind: Any) -> Iterator[Any]:
    """A dataclass, and those that lie in it at any depth."""
    for section in _dataclasses_in(kind) or [
        part for arg in typing.get_args(kind) for part in _sections(arg)
    ]:
        yield section
        if dataclasses.is_dataclass(section):
            for hint in typing.get_type_hints(section).values():
                yield from _sections(hint)


def to_plain(value: Any) -> dict[str, Any]:
    """A dataclass of the schema as plain mappings, lists and scalars, ready for YAML or JSON.

    A field with OMIT_EMPTY in its metadata is left out where it is empty or null: so older records stay what they were.
    """
    plain: dict[str, Any] = _plain(value)
    return plain


def dump_yaml(content: Any) -> str:
    """YAML in the order of the fields."""
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def on_one_line(value: Any) -> str:
    """A value as YAML writes it in a line: `{low: 0.0, high: 0.8}`."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**6)
    return text.removesuffix("\n").removesuffix("...").strip()


def field_names(kind: Any) -> list[str]:
    """The keys that a dataclass of the schema knows."""
    return [field.name for field in dataclasses.fields(kind)]


def did_you_mean(name: str, names: list[str]) -> str:
    """' (did you mean `x`?)' where a known name is near, else nothing."""
    near = difflib.get_close_matches(name, names, n=1)
    return f" (did you mean `{near[0]}`?)" if near else ""


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {
            field.name: _plain(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if not (OMIT_EMPTY in field.metadata and not getattr(value, field.name))
        }
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _explain(error: ValidationError, kind: Any, source: Source, above: Place) -> str:
    # Unknown keys first: a misspelt key is often the cause of what else is wrong.
    mistakes = sorted(error.errors(), key=lambda item: item["type"] not in _UNKNOWN_KEY)
    mistake = mistakes[0]
    place = (*above, *_place_in_file(mistake["loc"], kind))
    begin = source.at(place)
    if mistake["type"] in _UNKNOWN_KEY:
        names = _known_keys(kind, mistake["loc"][:-1])
        return f"{begin}: unknown key{did_you_mean(place[-1], names)}; known here: {', '.join(names)}"
    if mistake["type"] in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return f"{begin}: is required, but absent: add the key"
    message = mistake["msg"].removeprefix("Value error, ")
    if mistake["type"] == "value_error":
        return f"{begin}: {message}"
    if mistake["type"].startswith("union_tag"):
        return f"{begin}: {_explain_tag(mistake, kind)}"
    message = message[0].lower() + message[1:]
    return f"{begin}: {message.removeprefix('input ')}, but got {mistake['input']!r}"


def _explain_tag(mistake: Any, kind: Any) -> str:
    known_tags = mistake["ctx"].get("expected_tags", "").replace("'", "")
    if mistake["type"] == "union_tag_not_found":
        names = ", ".join(_tags(kind, mistake["loc"]))
        return f"`type` is required, but absent: add it, one of {names}"
    return f"unknown type `{mistake['ctx']['tag']}`; known: {known_tags}"


_UNKNOWN_KEY = ("unexpected_keyword_argument", "extra_forbidden")


def _place_in_file(loc: tuple[int | str, ...], kind: Any) -> tuple[str, ...]:
    """Pydantic's path without the tags of unions, which are no keys of the file."""
    place = []
    for part in loc:
        chosen = _member(kind, part)
        if chosen is None:
            place.append(str(part))
            kind = _inner(kind, part)
        else:
            kind = chosen
    return tuple(place)


def _known_keys(kind: Any, loc: tuple[int | str, ...]) -> list[str]:
    for part in loc:
        kind = _member(kind, part) or _inner(kind, part)
    return field_names(kind) if dataclasses.is_dataclass(kind) else []


def _member(kind: Any, tag: int | str) -> Any:
    """The member of a discriminated union that has this tag in its field `type`."""
    for member in _dataclasses_in(kind) if not dataclasses.is_dataclass(kind) else []:
        if tag in typing.get_args(typing.get_type_hints(member).get("type")):
            return member
    return None


def _tags(kind: Any, loc: tuple[int | str, ...]) -> list[str]:
    """What the field `type` of a discriminated union's members may be."""
    for part in loc:
        kind = _member(kind, part) or _inner(kind, part)
    hints = [typing.get_type_hints(member).get("type") for member in _dataclasses_in(kind)]
    return [str(tag) for hint in hints for tag in typing.get_args(hint)]


def _inner(kind: Any, part: int | str) -> Any:
    """The type of what lies under a key."""
    if typing.get_origin(kind) is dict:
        return typing.get_args(kind)[1]
    if not dataclasses.is_dataclass(kind):
        inside = _dataclasses_in(kind)
        if len(inside) != 1:
            return None
        kind = inside[0]
    return typing.get_type_hints(kind, include_extras=True).get(str(part))


def _dataclasses_in(kind: Any) -> list[Any]:
    if dataclasses.is_dataclass(kind):
        return [kind]
    if typing.get_origin(kind) is dict:
        return []
    return [inner for member in typing.get_args(kind) for inner in _dataclasses_in(member)]
