"""Where a content came from: one YAML file, or several layers of which each key has its own."""

from __future__ import annotations

from dataclasses import dataclass

import yaml

Place = tuple[str, ...]
"""The keys that lead to a value, from the outermost on."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One origin of keys."""

    name: str
    """A file's path, or the option that set the keys."""
    text: str | None = None
    """Of a YAML file; None where there is none to point into."""
    place: Place | None = None
    """Of an option: the one key that it set."""

    def reach(self, place: Place) -> tuple[int, int | None]:
        """How many keys of a place are found here, and the line (from 1) of the last of them."""
        if self.place is not None:
            is_mine = place[: len(self.place)] == self.place
            return (len(place) if is_mine else 0), None
        return (0, None) if self.text is None else _found(self.text, place)


@dataclass(frozen=True, kw_only=True)
class Source:
    """Layers in the order of precedence: the first one that has a key is where it came from."""

    layers: tuple[Layer, ...]

    def owner(self, place: Place) -> tuple[Layer, int | None]:
        """The layer that a key came from, or else its nearest parent, and the line there."""
        reaches = [(layer, *layer.reach(place)) for layer in self.layers]
        layer, _, line = max(reaches, key=lambda reach: reach[1])
        return layer, line

    def at(self, place: Place) -> str:
        """`file.yaml:12: a.b.c`, for the beginning of a message."""
        layer, line = self.owner(place)
        where = f"{layer.name}:{line}" if line is not None else layer.name
        return f"{where}: {'.'.join(place)}" if place else where


def file_source(name: str, text: str | None = None) -> Source:
    """The source of a single file, or of a record by its name."""
    return Source(layers=(Layer(name=name, text=text),))


def _found(text: str, place: Place) -> tuple[int, int | None]:
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    line, depth = None, 0
    for key in place:
        child = _child(node, key)
        if child is None:
            break
        line, node = child
        depth += 1
    return depth, line


def _child(node: yaml.Node | None, key: str) -> tuple[int, yaml.Node] | None:
    """The line and the value of a key in a mapping, or of a place in a list."""
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value == key:
                return name.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and key.isdigit() and int(key) < len(node.value):
        value = node.value[int(key)]
        return value.start_mark.line + 1, value
    return None
