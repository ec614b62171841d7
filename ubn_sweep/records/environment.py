"""Which code, libraries and machine a sweep ran on: enough to run it again."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import ubn_sweep

LIBRARIES = (
    "torch", "torchvision", "ray", "optuna", "mlflow", "pyarrow", "numpy",
    "numba", "triton", "timm", "scikit-learn", "pillow",
)  # fmt: skip


def describe_environment() -> dict[str, Any]:
    """Versions, git revision, processor count. No host name, no user name."""
    versions = {name: _version(name) for name in LIBRARIES}
    return {
        "ubn_sweep": ubn_sweep.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count() or 1,
        "versions": versions,
        "git_revision": git_revision(Path.cwd()),
    }


def changed_environment(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """A line where a sweep goes on with other versions, or other code, than its last attempt ran with."""
    if not before:
        return []
    changes = [
        f"{name} {was or 'absent'} -> {now.get('versions', {}).get(name) or 'absent'}"
        for name, was in before.get("versions", {}).items()
        if was != now.get("versions", {}).get(name)
    ]
    changes += [
        f"{name} {before[name]} -> {now[name]}"
        for name in ("ubn_sweep", "python", "git_revision")
        if name in before and before[name] != now[name]
    ]
    return [f"other versions than before: {', '.join(changes)}"] if changes else []


def git_revision(folder: Path) -> str | None:
    """The commit checked out in a folder, with `-dirty` where files differ from it; null outside a repository."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return described.stdout.strip() or None if described.returncode == 0 else None


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
