"""What is asked of a node on which ubn_sweep may be absent. It travels as code: the standard library alone."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from pathlib import Path


def look(order: str) -> str:
    """What a node has, as JSON: `versions` of what the order names, and the files of it that are `other` there.

    Args:
        order: JSON: `packages`, and `files`: path -> SHA-256.
    """
    asked = json.loads(order)
    versions = {name: _version(name) for name in asked["packages"]}
    try:
        import ubn_sweep

        versions["ubn-sweep"] = ubn_sweep.__version__
    except Exception as error:  # whatever a damaged installation raises is the answer
        versions["ubn-sweep"] = None
        return json.dumps({"versions": versions, "why": f"{type(error).__name__}: {error}", "other": []})
    other = [path for path, digest in asked["files"].items() if _digest(path) != digest]
    return json.dumps({"versions": versions, "why": "", "other": other})


class Keeper:
    """Holds a node's processors, so that no trial is placed there."""

    def hold(self) -> bool:
        """Answers once it does."""
        return True


def _version(name: str) -> str | None:
    if name == "python":
        return platform.python_version()
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _digest(path: str) -> str | None:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return None
