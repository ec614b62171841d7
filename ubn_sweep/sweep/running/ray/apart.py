"""Nodes that joined a running sweep and cannot train its trials: they are told of, held, and get no trial."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import ray

from ubn_sweep.sweep.running.ray import stranger
from ubn_sweep.sweep.running.ray.asking import Node, answer_of, live_nodes, on, question
from ubn_sweep.sweep.running.ray.probe import order_of, why_strange


class Newcomers:
    """Looks at nodes that join: at their versions from here, at all else by the first trial that is placed there.

    Args:
        tell: takes a line for each that cannot train.
        files: path -> SHA-256, of the user's own modules that nodes have by themselves.
        known: ids of the nodes that were looked at before the first trial.
    """

    def __init__(
        self, tell: Callable[[str], None], *, files: Mapping[str, str], known: frozenset[str] = frozenset()
    ) -> None:
        self._tell = tell
        self._order = order_of(files)
        self._known = set(known)
        self._asked: dict[Any, Node] = {}
        self._apart: dict[str, Any] = {}

    def usable(self) -> list[Node]:
        """The live nodes but those set apart. Whoever joined is asked, and what was answered meanwhile is heard."""
        nodes = live_nodes()
        for node in nodes:
            if node.id not in self._known:
                self._known.add(node.id)
                asked = question(stranger.look).options(scheduling_strategy=on(node))
                self._asked[asked.remote(self._order)] = node
        if self._asked:
            ready, _ = ray.wait(list(self._asked), num_returns=len(self._asked), timeout=0)
            for reference in ready:
                self._hear(reference)
        return [node for node in nodes if node.id not in self._apart]

    def set_apart(self, node_id: str, line: str) -> None:
        """No trial is placed on a node any more, once those that run there have ended."""
        if node_id in self._apart:
            return
        node = next((node for node in live_nodes() if node.id == node_id), None)
        if node is None:  # gone again
            return
        self._tell(f"node {node.name} {line}; no trial is placed there")
        ray.cloudpickle.register_pickle_by_value(stranger)
        keeper = ray.remote(num_cpus=node.resources.get("CPU", 0))(stranger.Keeper)
        self._apart[node_id] = keeper.options(scheduling_strategy=on(node)).remote()

    def _hear(self, reference: Any) -> None:
        node = self._asked.pop(reference)
        answer = answer_of(reference, node)
        line = why_strange(answer)
        if line is None:
            other = json.loads(answer.value)["other"]
            line = f"has another {other[0]}, or none: copy the task's modules there" if other else None
        if line is not None:
            self.set_apart(node.id, line)
