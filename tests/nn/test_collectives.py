"""Several processes, accumulated gradients, activation checkpointing."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from tests.nn.builders import DEVICE, condition_for, images, shaken_layer
from tests.nn.processes import run_together
from ubn_sweep.nn import UnifiedBatchNorm2d, convert_batchnorm

UNEVEN = [slice(0, 5), slice(5, 8)]


def results(layer: nn.Module, x: Tensor, y: Tensor) -> dict[str, Any]:
    return {
        "y": y.detach(),
        "gx": x.grad,
        "gradients": {name: p.grad for name, p in layer.named_parameters()},
        "state": {name: value.clone() for name, value in layer.named_buffers()},
        "open": layer.gate_open,
    }


def loss(y: Tensor, weights: Tensor) -> Tensor:
    return (y * weights).sum()


def steps_of_a_rank(rank: int, cases: list[dict[str, Any]], own_group: bool) -> list[dict[str, Any]]:
    collectives: list[int] = []
    all_reduce = dist.all_reduce
    group = dist.new_group([0, 1]) if own_group else None

    def counted(*arguments: Any, **more: Any) -> Any:
        collectives.append(1)
        return all_reduce(*arguments, **more)

    dist.all_reduce = counted
    return [step_of_a_rank(rank, {**case, "process_group": group}, collectives) for case in cases]


def step_of_a_rank(rank: int, options: dict[str, Any], collectives: list[int]) -> dict[str, Any]:
    before = len(collectives)
    layer = shaken_layer(3, dtype=torch.float64, synchronized=True, **options)
    x = images(8, 3, 5, 6)[UNEVEN[rank]].contiguous().requires_grad_()
    y = layer(x, *(condition[UNEVEN[rank]] for condition in condition_for(layer, 8)))
    forward = len(collectives) - before
    loss(y, images(8, 3, 5, 6, seed=4)[UNEVEN[rank]]).backward()
    return {**results(layer, x, y), "collectives": (forward, len(collectives) - before - forward)}


SYNCHRONIZED_CASES: list[dict[str, Any]] = [
    {"gate": "open"},
    {"gate": "closed"},
    {"name": "rbn"},
    {"gate": "open", "affine": "pointwise"},
    {"name": "sabn"},
    {"name": "sabn", "gate": "open", "centering": True, "scaling": "instance"},
]


@pytest.mark.parametrize("own_group", [False, True])
def test_synchronized_processes_equal_one_on_the_whole_batch(own_group: bool) -> None:
    cases = SYNCHRONIZED_CASES[:1] if own_group else SYNCHRONIZED_CASES
    per_rank = run_together(steps_of_a_rank, cases, own_group)
    for options, *parts in zip(cases, *per_rank, strict=True):
        layer = shaken_layer(3, dtype=torch.float64, **options)
        x = images(8, 3, 5, 6).requires_grad_()
        y = layer(x, *condition_for(layer, 8))
        loss(y, images(8, 3, 5, 6, seed=4)).backward()
        whole = results(layer, x, y)
        torch.testing.assert_close(torch.cat([part["y"] for part in parts]), whole["y"])
        torch.testing.assert_close(torch.cat([part["gx"] for part in parts]), whole["gx"])
        for name, gradient in whole["gradients"].items():
            torch.testing.assert_close(sum(part["gradients"][name] for part in parts), gradient)
        for part in parts:
            torch.testing.assert_close(part["state"], whole["state"])
            assert part["open"] == whole["open"]
            assert part["collectives"] == (1, 1)


def train_a_model(rank: int, broadcast_buffers: bool, synchronize: bool) -> dict[str, Any]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    convert_batchnorm(model.to(DEVICE), synchronized=synchronize, threshold=0.2, similarity_momentum=0.6)
    parallel = DistributedDataParallel(model, broadcast_buffers=broadcast_buffers)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    decisions, similarities = [], []
    for step in range(8):
        samples = 1 if (rank, step) == (1, 5) else 4 + rank
        x = images(samples, 3, 8, 8, seed=10 * step + rank, dtype=torch.float32)
        # The ranks' own similarities lie on both sides of the threshold.
        x = x + (1.5 if (step + rank) % 2 == 0 else -0.7) * (step % 4)
        if step % 2 == 0:
            with parallel.no_sync():
                parallel(x).square().mean().backward()
        parallel(x).square().mean().backward()
        decisions.append(bool(model[1].gate_open))
        similarities.append(float(model[1].running_similarity))
        optimizer.step()
        optimizer.zero_grad()
    return {
        "decisions": decisions,
        "similarities": similarities,
        "parameters": [p.detach() for p in model.parameters()],
        "tracked": int(model[1].num_batches_tracked),
    }


DDP_CASES = [(broadcast, synchronize) for broadcast in (False, True) for synchronize in (False, True)]


def train_models(rank: int) -> list[dict[str, Any]]:
    return [train_a_model(rank, *case) for case in DDP_CASES]


def test_processes_under_ddp_decide_alike() -> None:
    for (_, synchronize), one, other in zip(DDP_CASES, *run_together(train_models), strict=True):
        assert one["decisions"] == other["decisions"]
        assert synchronize or len(set(one["decisions"])) == 2
        assert one["similarities"] == other["similarities"]
        assert one["tracked"] == other["tracked"]
        torch.testing.assert_close(one["parameters"], other["parameters"])


def similarity_of_a_rank(rank: int, samples: tuple[int, int], bad: bool) -> dict[str, Any]:
    layer = UnifiedBatchNorm2d(3, device=DEVICE)
    x = images(8, 3, 5, 6, seed=rank, dtype=torch.float32)[: samples[rank]] + rank
    if bad and rank == 1:
        x[0, 0, 0, 0] = torch.nan
    y = layer(x)
    return {"similarity": layer.running_similarity, "tracked": layer.num_batches_tracked, "y": y.detach()}


SIMILARITY_CASES = [
    ((8, 8), False),
    ((8, 1), False),
    ((8, 8), True),
    ((1, 1), False),
    ((1, 1), True),
    ((8, 1), True),
]


def similarities_of_a_rank(rank: int) -> list[dict[str, Any]]:
    return [similarity_of_a_rank(rank, *case) for case in SIMILARITY_CASES]


def test_the_gate_uses_the_mean_of_the_processes_similarities() -> None:
    """A rank with one sample has none to give, nor have two; a bad batch on one rank is accepted by none."""
    alone = [similarity_of_a_rank(rank, (8, 8), False)["similarity"] for rank in range(2)]
    for both, one_sample, bad, no_pair, bad_alone, bad_one_sample in run_together(similarities_of_a_rank):
        torch.testing.assert_close(both["similarity"], (alone[0] + alone[1]) / 2)
        torch.testing.assert_close(one_sample["similarity"], alone[0])
        for refused in (bad, bad_alone, bad_one_sample):
            assert refused["similarity"] == refused["tracked"] == 0
        assert torch.signbit(no_pair["similarity"])
        assert no_pair["tracked"] == 1


@pytest.mark.parametrize("gate", ["off", "open", "closed"])
@pytest.mark.parametrize("use_reentrant", [True, False])
def test_checkpointing_moves_the_state_once(use_reentrant: bool, gate: str) -> None:
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), shaken_layer(4, gate=gate), nn.Tanh()).to(DEVICE)
    recomputed = copy.deepcopy(plain)
    for seed in range(3):
        x, again = (images(4, 3, 8, 8, seed=seed, dtype=torch.float32).requires_grad_() for _ in range(2))
        plain(x).square().sum().backward()
        checkpoint(recomputed, again, use_reentrant=use_reentrant).square().sum().backward()
        torch.testing.assert_close(again.grad, x.grad)
    torch.testing.assert_close(recomputed.state_dict(), plain.state_dict())
    for one, other in zip(plain.parameters(), recomputed.parameters(), strict=True):
        torch.testing.assert_close(other.grad, one.grad)


def test_the_first_batch_is_open_again_when_it_is_recomputed() -> None:
    """After the forward pass a batch has been accepted, and the similarity alone would close the gate."""
    plain = UnifiedBatchNorm2d(3, threshold=2.0, device=DEVICE)
    recomputed = copy.deepcopy(plain)
    x, again = (images(4, 3, 8, 8, dtype=torch.float32).requires_grad_() for _ in range(2))
    plain(x).pow(3).sum().backward()
    checkpoint(recomputed, again, use_reentrant=False).pow(3).sum().backward()
    torch.testing.assert_close(again.grad, x.grad)


def test_accumulated_gradients_are_the_sum() -> None:
    layer = shaken_layer(3, gate="open", dtype=torch.float64)
    single = copy.deepcopy(layer)
    batches = [images(4, 3, 5, 5, seed=seed) for seed in range(2)]
    for x in batches:
        layer(x).square().sum().backward()
    total = {name: torch.zeros_like(p) for name, p in layer.named_parameters()}
    for x in batches:
        single.zero_grad()
        single(x).square().sum().backward()
        for name, p in single.named_parameters():
            total[name] += p.grad
    for name, p in layer.named_parameters():
        torch.testing.assert_close(p.grad, total[name])
