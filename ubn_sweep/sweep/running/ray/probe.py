"""Every node of a cluster, before a sweep has a name or a trial: what it lacks is one line for each."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ubn_sweep import schema
from ubn_sweep.certificates import in_a_line
from ubn_sweep.errors import UserError
from ubn_sweep.storage import Storage, is_url
from ubn_sweep.sweep.deciding.slots import slots_of
from ubn_sweep.sweep.running.ray import stranger
from ubn_sweep.sweep.running.ray.asking import Answer, Node, ask, live_nodes
from ubn_sweep.sweep.running.ray.fitness import Needs, lacking
from ubn_sweep.sweep.spec.spec import SweepSpec
from ubn_sweep.training.fields import with_whole_paths

PACKAGES = ("python", "ray", "torch")


def nodes_for(spec: SweepSpec) -> list[Node]:
    """Those of the connected cluster that hold at least one worker of a trial: no others are asked."""
    workers = [replace(shape, workers=1) for shape in spec.shapes]
    return [node for node in live_nodes() if any(slots_of([node.resources], worker) for worker in workers)]


def strange_nodes(nodes: Sequence[Node], files: Mapping[str, str]) -> dict[str, list[str]]:
    """Node's name -> which files it does not have as they are here.

    Args:
        files: path -> SHA-256.

    Raises:
        UserError: a node does not answer, or has other versions.
    """
    order = order_of(files)
    answers = ask(nodes, stranger.look, [(order,)] * len(nodes))
    lines = {answer.node.name: line for answer in answers if (line := why_strange(answer)) is not None}
    refuse(lines)
    return {answer.node.name: json.loads(answer.value)["other"] for answer in answers}


def order_of(files: Mapping[str, str]) -> str:
    """What `stranger.look` is asked."""
    return json.dumps({"packages": PACKAGES, "files": dict(files)})


def why_strange(answer: Answer) -> str | None:
    """In which version a node differs from here, and the remedy; None where in none."""
    if answer.error is not None:
        return answer.error
    there = json.loads(answer.value)
    here = json.loads(stranger.look(order_of({})))["versions"]
    for name, version in here.items():
        found = there["versions"].get(name)
        if found is None:
            why = f" ({there['why']})" if name == "ubn-sweep" else ""
            return f"has no {name}{why}: install {name} {version} in the Python that its Ray runs in"
        if _public(name, found) != _public(name, version):
            return f"has {name} {found}, but the sweep's own process has {version}: install the same on all nodes"
    return None


def unfit_nodes(nodes: Sequence[Node], needs: Needs) -> dict[str, str]:
    """Node's name -> what it lacks."""
    text = needs.to_json()
    answers = ask(nodes, lacking, [(text, f"{needs.sign}.{node.id}") for node in nodes])
    storage, lines = Storage(needs.place), {}
    for answer in answers:
        line = answer.error if answer.error is not None else answer.value
        if line is None and f"{needs.sign}.{answer.node.id}" not in storage:
            line = f"wrote into {needs.place}, but it is not seen here: mount the same folder on all nodes"
        if line is not None:
            lines[answer.node.name] = line
    return lines


def refuse(lines: Mapping[str, str]) -> None:
    """Raises a UserError that names the nodes, those with the same lack together; nothing where there are none."""
    if not lines:
        return
    by_line: dict[str, list[str]] = {}
    for name, line in lines.items():
        by_line.setdefault(line, []).append(name)
    raise UserError(
        "; ".join(
            f"{'node' if len(names) == 1 else 'nodes'} {', '.join(names)} {line}"
            for line, names in by_line.items()
        )
    )


def needs_of(spec: SweepSpec, *, place: str, sign: str, nonce: str) -> Needs:
    """What every node must have for a spec; the others as in Needs.

    Raises:
        UserError: the data is not there.
    """
    task = spec.find_task()
    return Needs(
        task=spec.task,
        task_folder=spec.task_folder,
        config=with_whole_paths(task.Config, schema.to_plain(spec.base)),
        fingerprint=task.fingerprint(spec.base),
        place=place,
        sign=sign,
        nonce=nonce,
        gpus=max(shape.gpus for shape in spec.shapes),
    )


@contextmanager
def signed(place: str, nodes: Sequence[Node]) -> Iterator[tuple[str, str]]:
    """A file in the folder, or at the URL, that all nodes share, and the nonce that it holds.

    Both go in the end, with the answers of the nodes, and with a folder that was made for it.

    Raises:
        UserError: the place cannot be written.
    """
    nonce = uuid.uuid4().hex
    sign, storage = f".shared-{nonce}", Storage(place)
    was_there = is_url(place) or Path(place).exists()
    try:
        storage.write(sign, nonce.encode())
    except OSError as error:
        raise UserError(
            f"{place}: cannot be written ({in_a_line(error)}): give --home a folder that you may write to"
        ) from error
    try:
        yield sign, nonce
    finally:
        storage.remove(sign, *(f"{sign}.{node.id}" for node in nodes))
        if not was_there:
            with contextlib.suppress(OSError):  # somebody else's sweep lies there by now
                Path(place).rmdir()


def _public(name: str, version: Any) -> str:
    """What of a version must agree: of Python the minor one, of others all but the build (`+cpu`)."""
    return ".".join(version.split(".")[:2]) if name == "python" else str(version).partition("+")[0]
