"""One collective for all gates of a step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from tests.nn.builders import DEVICE, images
from tests.nn.processes import run_together
from tests.nn.reference import pairwise_similarity
from ubn_sweep.nn import GateExchange, condensation, convert_batchnorm

THRESHOLD, MOMENTUM, STEPS = 0.2, 0.6, 8


def batch(rank: int, step: int) -> Tensor:
    """The ranks' own similarities lie on both sides of the threshold."""
    offset = (1.5 if (step + rank) % 2 == 0 else -0.7) * (step % 4)
    return images(4 + rank, 3, 8, 8, seed=10 * step + rank, dtype=torch.float32) + offset


def model_of_three() -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    model.extend([nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(64, 2)])
    convert_batchnorm(model.to(DEVICE), threshold=THRESHOLD, similarity_momentum=MOMENTUM)
    return model


def train(rank: int) -> dict[str, Any]:
    calls: list[int] = []
    all_reduce = dist.all_reduce

    def counted(*arguments: Any, **more: Any) -> Any:
        calls.append(1)
        return all_reduce(*arguments, **more)

    dist.all_reduce = counted
    model = model_of_three()
    exchange = GateExchange(model)
    layers = [layer for _, layer in condensation(model)]
    decisions, similarities = [], []
    for step in range(STEPS):
        model(batch(rank, step)).square().mean().backward()
        assert not calls
        exchange.step()
        assert len(calls) == 1
        calls.clear()
        decisions.append([bool(layer.gate_open) for layer in layers])
        similarities.append([float(layer.running_similarity) for layer in layers])
    exchange.close()
    model(batch(rank, 0))
    return {"decisions": decisions, "similarities": similarities, "calls_without": len(calls)}


@pytest.mark.slow
def test_all_gates_agree_by_one_collective_a_step() -> None:
    one, other = run_together(train)
    assert one == other
    assert one["calls_without"] == 3
    # The first layer's input is known: its similarity moves by the formula, and its gate reads it a step later.
    s, expected, opened = 0.0, [], []
    for step in range(STEPS):
        opened.append(step == 0 or s > THRESHOLD)
        c = sum(float(pairwise_similarity(batch(rank, step).double())) for rank in range(2)) / 2
        s = c if step == 0 else (1 - MOMENTUM) * s + MOMENTUM * c
        expected.append(s)
    assert [values[0] for values in one["similarities"]] == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert [values[0] for values in one["decisions"]] == opened
    assert len(set(opened)) == 2


def test_alone_it_is_the_mean_over_micro_batches_and_bad_ones_do_not_count() -> None:
    model = model_of_three()
    exchange = GateExchange(model)
    layer = model[0]
    for rank in range(2):
        model(batch(rank, 1))
    exchange.step()
    c = [float(pairwise_similarity(batch(rank, 1).double())) for rank in range(2)]
    assert float(layer.running_similarity) == pytest.approx(sum(c) / 2, rel=1e-4)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    bad = batch(0, 2)
    bad[0, 0, 0, 0] = torch.nan
    model(bad)
    exchange.step()
    exchange.step()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_who_takes_part() -> None:
    model = nn.Sequential(*(nn.BatchNorm2d(3) for _ in range(4)))
    convert_batchnorm(model, filter="^0$", local=True)
    convert_batchnorm(model, filter="^1$", synchronized=True)
    convert_batchnorm(model, filter="^2$", threshold=None)
    convert_batchnorm(model, filter="^3$")
    assert GateExchange(model).layers == [model[3]]
    GateExchange(nn.Sequential()).step()
