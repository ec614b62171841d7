"""`extends: other.yaml`: a spec that changes another one. One level, so that two files tell all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ubn_sweep import schema
from ubn_sweep.errors import UserError
from ubn_sweep.source import Layer, Place, Source

KEY = "extends"


def load_layers(path: Path) -> tuple[dict[str, Any], Source]:
    """A spec's content with what it extends beneath, and where each key came from.

    Mappings are joined key by key; in `space` a key replaces the whole parameter, and null takes it away.

    Raises:
        UserError: a file cannot be read, or what is extended extends another itself.
    """
    content, text = schema.load_yaml(path)
    own = Layer(name=str(path), text=text)
    if not isinstance(content, dict) or KEY not in content:
        return content, Source(layers=(own,))
    source = Source(layers=(own,))
    other = content[KEY]
    if not isinstance(other, str):
        raise UserError(f"{source.at((KEY,))}: names one YAML file, but got {other!r}: give its path")
    below = path.parent / other
    if not below.is_file():
        raise UserError(
            f"{source.at((KEY,))}: there is no file `{below}`: paths start from the spec's own folder"
        )
    beneath, text_beneath = schema.load_yaml(below)
    if not isinstance(beneath, dict):
        raise UserError(
            f"{below}: must hold a mapping of keys, but holds {type(beneath).__name__}: see {path}"
        )
    if KEY in beneath:
        raise UserError(
            f"{source.at((KEY,))}: `{below}` extends `{beneath[KEY]}` itself, but one level is all: extend that one"
        )
    above = {key: value for key, value in content.items() if key != KEY}
    layers = (own, Layer(name=str(below), text=text_beneath))
    return _joined(beneath, above), Source(layers=layers)


def origins(content: dict[str, Any], source: Source) -> dict[str, str]:
    """Dotted key -> the file or option that it came from, for all keys that were written."""
    found: dict[str, str] = {}
    for place in _places(content):
        layer, _ = source.owner(place)
        found[".".join(place)] = layer.name
    return found


def _joined(beneath: dict[str, Any], above: dict[str, Any], place: Place = ()) -> dict[str, Any]:
    joined = dict(beneath)
    for key, value in above.items():
        in_space = place == ("space",)
        if in_space and value is None:
            joined.pop(key, None)
        elif isinstance(value, dict) and isinstance(joined.get(key), dict) and not in_space:
            joined[key] = _joined(joined[key], value, (*place, key))
        else:
            joined[key] = value
    return joined


def _places(content: dict[str, Any], above: Place = ()) -> list[Place]:
    places: list[Place] = []
    for key, value in content.items():
        place = (*above, str(key))
        if isinstance(value, dict) and value and above != ("space",):
            places += _places(value, place)
        else:
            places.append(place)
    return places
