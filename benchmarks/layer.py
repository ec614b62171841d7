"""Forward + backward of one normalization layer against nn.BatchNorm2d, shape by shape.

    python -m benchmarks.layer --device cpu --repeats 9 --json benchmarks/results/layer_cpu.json

Needs torch alone; on a CPU numba makes it fast. All variants run in one process, interleaved; a figure is the median
over the rounds. The sum over a ResNet-18 weighs each shape by how many of its 20 normalization layers have it (CIFAR
stem, batch 64).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.timing import CLOCKS, Timing, environment, interleaved, table, write_json
from ubn_sweep.nn import make_norm

RESNET18_LAYERS = {(64, 64, 32, 32): 5, (64, 128, 16, 16): 5, (64, 256, 8, 8): 5, (64, 512, 4, 4): 5}
BASELINE = "bn"
WITHOUT_CONVOLUTION = "ubn, pointwise"


def layers(channels: int) -> dict[str, nn.Module]:
    """Everything by name; the goal is stated for `ubn, pointwise`: gate, centering, scaling, pointwise affine."""
    return {
        "bn": make_norm("bn", channels),
        WITHOUT_CONVOLUTION: make_norm("ubn", channels, affine="pointwise"),
        "ubn": make_norm("ubn", channels),
        "rbn": make_norm("rbn", channels),
        "iebn": make_norm("iebn", channels),
        "bnet": make_norm("bnet", channels),
        "sabn": make_norm("sabn", channels, num_conditions=10),
        "in": make_norm("in", channels),
        "gn": make_norm("gn", channels),
    }


def step(layer: nn.Module, x: Tensor, gy: Tensor, condition: Tensor | None) -> Callable[[], None]:
    def work() -> None:
        y = layer(x) if condition is None else layer(x, condition)
        y.backward(gy)
        x.grad = None
        layer.zero_grad(set_to_none=True)

    return work


def measure(
    shape: tuple[int, ...], layout: torch.memory_format, arguments: argparse.Namespace
) -> dict[str, Timing]:
    generator = torch.Generator().manual_seed(0)
    x, gy = (
        torch.randn(shape, generator=generator).to(arguments.device).contiguous(memory_format=layout)
        for _ in range(2)
    )
    condition = torch.randint(10, shape[:1], generator=generator).to(arguments.device)
    chosen = {name: layer for name, layer in layers(shape[1]).items() if name in arguments.norms}
    works = {
        name: step(
            layer.to(arguments.device),
            x.clone(memory_format=torch.preserve_format).requires_grad_(),
            gy,
            condition if name == "sabn" else None,
        )
        for name, layer in chosen.items()
    }
    return interleaved(works, device=arguments.device, repeats=arguments.repeats, clock=arguments.clock)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--clock", choices=tuple(CLOCKS), default="wall")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--norms", nargs="+", default=list(layers(32)), choices=list(layers(32)))
    parser.add_argument("--layouts", nargs="+", default=["contiguous", "channels_last"])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.norms = list(dict.fromkeys([BASELINE, *arguments.norms]))
    result: dict[str, object] = {
        "environment": environment(arguments.device),
        "repeats": arguments.repeats,
        "clock": arguments.clock,
    }
    for name in arguments.layouts:
        layout = torch.channels_last if name == "channels_last" else torch.contiguous_format
        timings = {shape: measure(shape, layout, arguments) for shape in RESNET18_LAYERS}
        rows, recorded = summarize(timings, arguments.norms)
        header = ["layer", *("x".join(map(str, shape)) for shape in RESNET18_LAYERS), "ResNet-18"]
        print(f"\n{name}: time against bn (bn: milliseconds)\n\n{table(header, rows)}")
        result[name] = recorded
    print(
        f"\n{result['environment']}, {arguments.repeats} interleaved rounds, medians, {arguments.clock} clock"
    )
    write_json(arguments.json, result)


def summarize(
    timings: dict[tuple[int, ...], dict[str, Timing]], norms: list[str]
) -> tuple[list[list[str]], dict[str, object]]:
    """Rows of the table, and the record: per layer and shape the timing and the ratio."""
    rows: list[list[str]] = []
    recorded: dict[str, object] = {}

    def whole(name: str) -> float:
        return sum(n * timings[shape][name].median_ms for shape, n in RESNET18_LAYERS.items())

    for name in norms:
        ratios = {s: t[name].median_ms / t[BASELINE].median_ms for s, t in timings.items()}
        overall = whole(name) / whole(BASELINE)
        if name == BASELINE:
            cells = [f"{t[name].median_ms:.2f} ms" for t in timings.values()] + [f"{whole(name):.1f} ms"]
        else:
            cells = [f"{ratio:.2f}" for ratio in ratios.values()] + [f"{overall:.2f}"]
        rows.append([name, *cells])
        recorded[name] = {
            "resnet18_ratio": overall,
            "shapes": {
                "x".join(map(str, s)): {"ratio": ratios[s], "timing": t[name]} for s, t in timings.items()
            },
        }
    return rows, recorded


if __name__ == "__main__":
    main()
