"""Synchronized layers where the processes' images have different sizes, in float32, and layers that stay local."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from tests.nn.builders import DEVICE, images, shaken_layer
from tests.nn.processes import run_together
from tests.nn.reference import affine, pairwise_similarity
from ubn_sweep.nn import SynchronizedUnifiedBatchNorm2d, UnifiedBatchNorm2d

SIZES = [(5, 3, 5, 6), (4, 3, 8, 4)]
OTHER_SIZES = [(5, 3, 5, 6), (1, 3, 3, 9)]
CASES: list[dict[str, Any]] = [
    {"gate": "off"},
    {"gate": "open"},
    {"gate": "closed"},
    {"gate": "open", "affine": "pointwise", "scaling": "instance"},
]


def step(layer: UnifiedBatchNorm2d, x: Tensor) -> dict[str, Any]:
    x = x.detach().requires_grad_()
    layer.zero_grad()
    y = layer(x)
    y.pow(3).sum().backward()
    return {
        "y": y.detach(),
        "gx": x.grad,
        "gradients": {name: p.grad.clone() for name, p in layer.named_parameters()},
        "state": {name: value.clone() for name, value in layer.named_buffers()},
    }


def steps_with_sizes(rank: int) -> list[list[dict[str, Any]]]:
    """Each case: a step with sizes that differ, and one with others."""
    layers = [shaken_layer(3, synchronized=True, dtype=torch.float64, **case) for case in CASES]
    return [
        [step(layer, images(*sizes[rank], seed=rank)) for sizes in (SIZES, OTHER_SIZES)] for layer in layers
    ]


def joint(layer: UnifiedBatchNorm2d, xs: list[Tensor]) -> dict[str, Any]:
    """The layer's definition over all pixels of images of several sizes, literally; moves its state."""
    parameters = {n: p.detach().clone().requires_grad_() for n, p in layer.named_parameters()}
    xs = [x.detach().requires_grad_() for x in xs]

    def channels(values: Tensor) -> Tensor:
        return values.view(1, -1, 1, 1)

    means = [x.mean((2, 3), keepdim=True) for x in xs]
    centred = [x + channels(parameters["center_weight"]) * mean for x, mean in zip(xs, means, strict=True)]
    pixels = torch.cat([x.transpose(0, 1).flatten(1) for x in centred], 1)
    mean, var = pixels.mean(1), pixels.var(1, correction=0)
    is_open = layer.threshold is None or layer.threshold < 0
    if is_open:
        with torch.no_grad():
            layer.running_mean.lerp_(mean, 0.1)
            layer.running_var.lerp_(pixels.var(1), 0.1)
            layer.num_batches_tracked += 1
    else:
        mean, var = layer.running_mean, layer.running_var
    ys = []
    for x, m in zip(centred, means, strict=True):
        x_s = (x - channels(mean)) / torch.sqrt(channels(var) + layer.eps)
        k = m if layer.scaling == "instance" else x_s.mean((2, 3), keepdim=True)
        w, b = (channels(parameters[name]) for name in ("scale_weight", "scale_bias"))
        ys.append(affine(layer, x_s * torch.sigmoid(w * k + b), parameters, None))
    sum(y.pow(3).sum() for y in ys).backward()  # type: ignore[union-attr]
    return {"y": ys, "gx": [x.grad for x in xs], "gradients": {n: p.grad for n, p in parameters.items()}}


def similarity_within(xs: list[Tensor]) -> Tensor:
    """The mean cosine over pairs of images of one size."""
    pairs = torch.tensor([x.shape[0] * (x.shape[0] - 1) for x in xs], dtype=torch.float64)
    return sum(n * pairwise_similarity(x) for n, x in zip(pairs, xs, strict=True) if n > 0) / pairs.sum()


def test_every_pixel_counts_alike_whatever_the_sizes(processes: list[dict[str, Any]]) -> None:
    per_rank = [found["steps_with_sizes"] for found in processes]
    for case, *parts in zip(CASES, *per_rank, strict=True):
        layer = shaken_layer(3, dtype=torch.float64, **case)
        similarity = layer.running_similarity.clone()
        for number, sizes in enumerate((SIZES, OTHER_SIZES)):
            xs = [images(*size, seed=rank) for rank, size in enumerate(sizes)]
            wanted = joint(layer, xs)
            found = [part[number] for part in parts]
            for rank, one in enumerate(found):
                torch.testing.assert_close(one["y"], wanted["y"][rank])
                torch.testing.assert_close(one["gx"], wanted["gx"][rank])
                for name in ("running_mean", "running_var", "num_batches_tracked"):
                    torch.testing.assert_close(one["state"][name], getattr(layer, name))
            for name, gradient in wanted["gradients"].items():
                torch.testing.assert_close(sum(one["gradients"][name] for one in found), gradient)
            if layer.threshold is not None:
                c = similarity_within(xs).to(DEVICE)
                fresh = torch.signbit(similarity) and similarity == 0
                similarity = c if fresh else 0.9 * similarity + 0.1 * c
                for one in found:
                    torch.testing.assert_close(one["state"]["running_similarity"], similarity)


def agreed_at_first(rank: int) -> list[Tensor]:
    """Equal sizes first, then one process has another; then both have another; then none has a pair."""
    layer = SynchronizedUnifiedBatchNorm2d(3, similarity_momentum=1.0, dtype=torch.float64, device=DEVICE)
    seen = []
    for sizes in ([SIZES[0]] * 2, SIZES, [SIZES[1]] * 2, [(1, 3, 2, 2), (1, 3, 4, 4)]):
        layer(images(*sizes[rank], seed=rank))
        seen.append(layer.running_similarity.clone())
    return seen


def test_a_size_that_differs_later_counts_the_pairs_within_its_process(
    processes: list[dict[str, Any]],
) -> None:
    for seen in (found["agreed_at_first"] for found in processes):
        together = torch.cat([images(*SIZES[0], seed=rank) for rank in range(2)])
        mixed, others = ([images(*size, seed=rank) for rank, size in enumerate(sizes)] for sizes in
                         (SIZES, [SIZES[1]] * 2))  # fmt: skip
        torch.testing.assert_close(seen[0], pairwise_similarity(together))
        torch.testing.assert_close(seen[1], similarity_within(mixed).to(DEVICE))
        torch.testing.assert_close(seen[2], similarity_within(others).to(DEVICE))
        assert torch.equal(seen[3], seen[2])


def sent_in_float32(rank: int) -> dict[str, Any]:
    sent: list[tuple[torch.dtype, int]] = []
    all_reduce = dist.all_reduce

    def counted(values: Tensor, *arguments: Any, **more: Any) -> Any:
        sent.append((values.dtype, values.numel()))
        return all_reduce(values, *arguments, **more)

    dist.all_reduce = counted
    layer = shaken_layer(3, gate="open", synchronized=True)
    x = images(8, 3, 5, 6, dtype=torch.float32)[4 * rank : 4 * rank + 4]
    return {**step(layer, x), "sent": sent}


def test_what_is_long_is_sent_in_float32(processes: list[dict[str, Any]]) -> None:
    """And is exact enough: the layer in float64 on the whole batch is the reference."""
    layer = shaken_layer(3, gate="open", dtype=torch.float64)
    whole = step(layer, images(8, 3, 5, 6))
    parts = [found["sent_in_float32"] for found in processes]
    y = torch.cat([part["y"] for part in parts]).double()
    torch.testing.assert_close(y, whole["y"], rtol=1e-5, atol=1e-5)
    for part in parts:
        assert part["sent"] == [(torch.float64, 14), (torch.float32, 90), (torch.float32, 6)]
        for name, value in part["state"].items():
            torch.testing.assert_close(value.double(), whole["state"][name].double(), rtol=1e-6, atol=1e-6)


def gates_of_groups(rank: int) -> dict[str, Any]:
    """A group of each process by itself; and rank 0 alone in training, which no collective would survive."""
    groups = [dist.new_group([one]) for one in range(2)]
    layer = UnifiedBatchNorm2d(3, process_group=groups[rank], dtype=torch.float64, device=DEVICE)
    local = UnifiedBatchNorm2d(3, local=True, dtype=torch.float64, device=DEVICE)
    x = images(4, 3, 5, 5, seed=rank) + rank
    layer(x)
    if rank == 0:
        local(x)
    return {"grouped": layer.running_similarity, "local": local.running_similarity}


def work(rank: int) -> dict[str, Any]:
    functions = (steps_with_sizes, agreed_at_first, gates_of_groups, sent_in_float32)
    return {function.__name__: function(rank) for function in functions}


@pytest.fixture(scope="module")
def processes() -> list[dict[str, Any]]:
    """What two processes found, one after the other."""
    return run_together(work)


def test_gates_agree_within_their_group_and_local_ones_ask_nobody(processes: list[dict[str, Any]]) -> None:
    own = [pairwise_similarity(images(4, 3, 5, 5, seed=rank) + rank) for rank in range(2)]
    for rank in range(2):
        torch.testing.assert_close(processes[rank]["gates_of_groups"]["grouped"], own[rank])
    torch.testing.assert_close(processes[0]["gates_of_groups"]["local"], own[0])


def test_synchronized_statistics_are_not_local() -> None:
    with pytest.raises(ValueError, match="`local is False where statistics are synchronized` must hold"):
        SynchronizedUnifiedBatchNorm2d(3, local=True)
