"""The bundle: a config as a folder of plain files, with all that it takes to train it again and to check it.

`config.yaml` is what `ubn-sweep train` reads, `bundle.json` says where it came from and what it ran with,
`curves.json` what its trials reported, `spec.yaml` what was swept, `requirements.txt` the versions. The same sweep
gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ubn_sweep import schema
from ubn_sweep.errors import UserError
from ubn_sweep.masking import masked_values
from ubn_sweep.plain_json import with_nulls

BUNDLE_FILE, CONFIG_FILE, CURVES_FILE = "bundle.json", "config.yaml", "curves.json"
SPEC_FILE, PINS_FILE = "spec.yaml", "requirements.txt"
FORMAT = 1
"""Of the folder; a later one is refused."""


@dataclass(frozen=True, kw_only=True)
class Parents:
    """What a config descends from."""

    sweep: str
    sweep_id: str
    trial: int
    """The one whose seed the config has."""
    trials: tuple[int, ...]
    """All that differ from it in nothing but the seed."""
    learned_from: tuple[str, ...] = ()
    """Earlier sweeps that the search had learned from."""
    run_id: str | None = None
    tracking_uri: str | None = None


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """What `bundle.json` says. What nobody recorded is null."""

    format: int = FORMAT
    task: str
    parents: Parents
    promise: dict[str, Any]
    """The metric, its promised value, and all that is known of its error: a `Provenance` without the parents."""
    git_revision: str | None
    pins: dict[str, str]
    """Distribution -> the version that the trial's first epoch ran with; python and ubn-sweep among them."""
    mixed_versions: bool = False
    """Whether the trial went on with other versions later."""
    system: str | None = None
    cpus: int | None = None
    """Of the machine of the sweep's own process."""
    data: str | None = None
    """The data set's fingerprint, as its class has it: by the number of images, and names and sizes of files."""
    seeds: tuple[int, ...]
    """Of all its trials."""
    workers: int = 1
    threads: int | None = None
    """Of each worker; null leaves them as they are."""
    commands: dict[str, str]
    """What for -> what to type, from the folder that holds this one."""
    files: dict[str, str]
    """Name -> SHA-256, of the other files."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """What one trial reported."""

    trial: int
    seed: int
    repeats: int
    """Seeds, counted up from `seed`, that its metrics are means of."""
    changed_after: int | None = None
    """The epoch after which a setting was changed; null where none was."""
    epochs: dict[int, dict[str, float | None]]
    """Epoch -> metric -> value, of those that do not depend on the machine's speed; null for what was not finite."""


@dataclass(frozen=True, kw_only=True)
class BundleFolder:
    """A bundle that was read."""

    path: Path
    bundle: Bundle
    curves: tuple[Curve, ...]
    """That of the config's own trial first."""

    @property
    def config(self) -> Path:
        return self.path / CONFIG_FILE


def files_of(
    bundle: Mapping[str, Any], *, config: str, curves: list[Mapping[str, Any]], spec: Mapping[str, Any]
) -> dict[str, str]:
    """File name -> text. `bundle` has all fields of Bundle but `files`; passwords are left out of the spec."""
    texts = {
        CONFIG_FILE: config,
        CURVES_FILE: _json(curves),
        SPEC_FILE: schema.dump_yaml(masked_values(dict(spec))),
        PINS_FILE: _requirements(bundle["pins"]),
    }
    sums = {name: _sha256(text.encode()) for name, text in texts.items()}
    return {**texts, BUNDLE_FILE: _json({**bundle, "files": sums})}


def is_bundle(path: Path) -> bool:
    return (path / BUNDLE_FILE).is_file()


def config_of(path: Path) -> Path:
    """The config's file, of a bundle or of itself.

    Raises:
        UserError: it is a folder without a bundle.
    """
    if not path.is_dir():
        return path
    if not is_bundle(path):
        raise UserError(
            f"{path}: must be a config's file or a bundle's folder, but holds no {BUNDLE_FILE}: give what "
            "`ubn-sweep export` wrote"
        )
    return path / CONFIG_FILE


def read_bundle(path: Path) -> BundleFolder:
    """Reads a bundle's folder.

    Raises:
        UserError: it is none, is damaged, or a later version wrote it.
    """
    config_of(path)
    if not is_bundle(path):
        raise UserError(
            f"{path}: must be a bundle's folder, but is a file: give what `ubn-sweep export` wrote"
        )
    content = _read(path / BUNDLE_FILE)
    if isinstance(content, dict) and content.get("format", 0) > FORMAT:
        raise UserError(
            f"{path}: has format {content['format']}, and this version of ubn-sweep reads up to {FORMAT}: use the "
            "version that wrote it"
        )
    bundle = schema.parse(Bundle, content, source=str(path / BUNDLE_FILE))
    curves = tuple(
        schema.parse(Curve, item, source=str(path / CURVES_FILE)) for item in _read(path / CURVES_FILE)
    )
    return BundleFolder(path=path, bundle=bundle, curves=curves)


def changed_files(folder: BundleFolder) -> list[str]:
    """The files that are absent, or no more what was exported."""
    return [
        name
        for name, wanted in folder.bundle.files.items()
        if not (folder.path / name).is_file() or _sha256((folder.path / name).read_bytes()) != wanted
    ]


def _requirements(pins: Mapping[str, str]) -> str:
    head = f"# python {pins['python']}\n" if "python" in pins else ""
    return head + "".join(f"{name}=={text}\n" for name, text in pins.items() if name != "python")


def _json(content: Any) -> str:
    return json.dumps(with_nulls(content), indent=1, ensure_ascii=False) + "\n"


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "is no JSON"
        raise UserError(f"{path}: cannot be read ({reason}): export the bundle again") from error


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
