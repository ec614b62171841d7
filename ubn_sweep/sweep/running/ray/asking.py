"""Asking every node of a cluster something at once, whatever else runs there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ubn_sweep.sweep.running.ray import stranger

PATIENCE_S = 120.0
"""How long a node may take to answer: it may have to start a process, and to import PyTorch from a slow disk."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """A machine of the cluster."""

    id: str
    name: str
    """Its address, and the beginning of its id: as `ray list nodes` shows them."""
    resources: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of a question to one node."""

    node: Node
    value: Any = None
    error: str | None = None
    """Why there is no answer."""


def live_nodes() -> list[Node]:
    """The machines of the connected cluster."""
    return [
        Node(
            id=node["NodeID"],
            name=f"{node['NodeManagerAddress']} ({node['NodeID'][:8]})",
            resources=node["Resources"],
        )
        for node in ray.nodes()
        if node["Alive"]
    ]


def on(node: Node) -> NodeAffinitySchedulingStrategy:
    """Places something on this node, or nowhere."""
    return NodeAffinitySchedulingStrategy(node.id, soft=False)


def question(function: Any) -> Any:
    """A function as a task that waits for no processor. What `stranger` holds travels as code."""
    ray.cloudpickle.register_pickle_by_value(stranger)
    return ray.remote(num_cpus=0, max_retries=0)(function)


def ask(
    nodes: Sequence[Node],
    function: Any,
    arguments: Sequence[tuple[Any, ...]],
    *,
    patience_s: float = PATIENCE_S,
) -> list[Answer]:
    """The answers, in the order of the nodes; `arguments` are those of each. A node that went meanwhile has none."""
    asked = question(function)
    references = [
        asked.options(scheduling_strategy=on(node)).remote(*given)
        for node, given in zip(nodes, arguments, strict=True)
    ]
    if not references:
        return []
    ready, late = ray.wait(references, num_returns=len(references), timeout=patience_s)
    for reference in late:
        ray.cancel(reference, force=True)
    silent = f"did not answer within {patience_s:.0f} s: see how it is by `ray status`"
    answers = [
        answer_of(reference, node) if reference in ready else Answer(node=node, error=silent)
        for reference, node in zip(references, nodes, strict=True)
    ]
    if all(answer.error is None for answer in answers):
        return answers
    there = {node.id for node in live_nodes()}
    return [answer for answer in answers if answer.error is None or answer.node.id in there]


def answer_of(reference: Any, node: Node) -> Answer:
    """What a node said that is ready."""
    try:
        return Answer(node=node, value=ray.get(reference))
    except Exception as error:  # Ray's own kinds of errors, of which some are made at run time
        lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
        return Answer(
            node=node, error=f"cannot run a process for us ({lines[-1] if lines else type(error).__name__})"
        )
