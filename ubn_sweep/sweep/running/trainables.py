"""Finding the function that runs a trial by the name in the spec."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ubn_sweep.errors import UserError, known


def check_trainable(name: str) -> None:
    """Looks the function up in the module's text, so that a mistyped name is known before anything is imported.

    Raises:
        UserError: the name is not written `module:function`, or there is no such module or function.
    """
    module, function = _split(name)
    source = _source(module)
    if source is None or not source.is_file():
        raise UserError(
            f"trainable: `{module}` is no module that can be imported: "
            "it must lie in the current folder or be installed"
        )
    names = _top_level_names(source.read_text(encoding="utf-8"))
    if function not in names:
        raise UserError(f"trainable: `{module}` has no function `{function}`; it has {known(names)}")


def find_trainable(name: str) -> Callable[..., Any]:
    """Imports the function. A trial that gets here was checked; what its module raises is the trial's failure."""
    module, function = _split(name)
    return getattr(importlib.import_module(module), function)


def _split(name: str) -> tuple[str, str]:
    module, _, function = name.partition(":")
    if not module or not function:
        raise UserError(f"trainable: is written `module:function`, but got `{name}`: name both")
    return module, function


def _source(module: str) -> Path | None:
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return Path(found.origin) if found is not None and found.origin is not None else None


def _top_level_names(text: str) -> list[str]:
    names = []
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.ImportFrom):
            names += [alias.asname or alias.name for alias in node.names]
        elif isinstance(node, ast.Assign):
            names += [target.id for target in node.targets if isinstance(target, ast.Name)]
    return [name for name in names if not name.startswith("_")]
