"""A whole training step (forward, loss, backward, SGD) with UBN against the same network with BN.

    python -m benchmarks.training_step --device cpu  --json benchmarks/results/training_step_cpu.json
    python -m benchmarks.training_step --device cuda --json benchmarks/results/training_step_cuda.json

Needs torch alone; on a CPU numba makes it fast. cpu: ResNet-18, CIFAR stem, 32 px, batch 64, float32. cuda: ResNet-50
at 224 px, batch 256, bf16 autocast, channels_last, and ResNet-18 at 32 px; peak memory of a step, and one more step
under torch.cuda.set_sync_debug_mode("error"), which fails if the host waits for the device.

On cuda the kernels are first compared with the plain ones. `--graph` captures each step in a CUDA graph, which
takes the host's time for launches out of the figures; `--kernels plain` measures PyTorch's own operations.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import agreement
from benchmarks.resnets import resnet
from benchmarks.timing import CLOCKS, environment, interleaved, table, write_json
from ubn_sweep.nn import convert_batchnorm
from ubn_sweep.nn.kernels import plain

VARIANTS: dict[str, dict[str, Any] | None] = {
    "bn": None,
    "ubn": {},
    "ubn, pointwise": {"affine": "pointwise"},
}


@dataclass(frozen=True, kw_only=True)
class Work:
    """What one step trains, and on what."""

    depth: int
    pixels: int
    batch: int
    classes: int
    half: bool
    channels_last: bool

    @property
    def name(self) -> str:
        precision = "bf16, channels_last" if self.half else "float32"
        return f"ResNet-{self.depth}, {self.pixels} px, batch {self.batch}, {precision}"


CPU_WORK = (Work(depth=18, pixels=32, batch=64, classes=10, half=False, channels_last=False),)
CUDA_WORK = (
    Work(depth=50, pixels=224, batch=256, classes=1000, half=True, channels_last=True),
    Work(depth=18, pixels=32, batch=256, classes=10, half=True, channels_last=True),
)


def network(work: Work, options: dict[str, Any] | None, device: str) -> nn.Module:
    torch.manual_seed(0)
    model = resnet(work.depth, classes=work.classes, small_images=work.pixels < 64)
    if options is not None:
        convert_batchnorm(model, **options)
    layout = torch.channels_last if work.channels_last else torch.contiguous_format
    return model.to(device).to(memory_format=layout)  # type: ignore[call-overload]


def training_step(
    model: nn.Module, images: Tensor, targets: Tensor, work: Work, device: str
) -> Callable[[], None]:
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

    def step() -> None:
        with torch.autocast(device, dtype=torch.bfloat16, enabled=work.half):
            loss = nn.functional.cross_entropy(model(images), targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def measure(work: Work, arguments: argparse.Namespace) -> dict[str, Any]:
    device = arguments.device
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(work.batch, 3, work.pixels, work.pixels, generator=generator).to(device)
    if work.channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
    targets = torch.randint(work.classes, (work.batch,), generator=generator).to(device)
    steps = {}
    for name, options in VARIANTS.items():
        model = network(work, options, device)
        if arguments.compile:
            model.compile()
        steps[name] = training_step(model, images, targets, work, device)
    timed = {name: captured(step) for name, step in steps.items()} if arguments.graph else steps
    timings = interleaved(timed, device=device, repeats=arguments.repeats, clock=arguments.clock)
    result: dict[str, Any] = {
        name: {"ratio": timing.median_ms / timings["bn"].median_ms, "timing": timing}
        for name, timing in timings.items()
    }
    if device == "cuda":
        for name, step in steps.items():
            result[name]["peak_bytes"] = peak_memory(step)
            result[name]["host_waits"] = waits_for_the_device(step)
    return result


def captured(step: Callable[[], None]) -> Callable[[], None]:
    """The step as a CUDA graph, after a few steps on a stream of its own, as capturing wants it."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def peak_memory(step: Callable[[], None]) -> int:
    """Bytes at the peak of one step, above what lies there between steps."""
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    step()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def waits_for_the_device(step: Callable[[], None]) -> str | None:
    """What made the host wait for the device in one step; None if nothing did."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        step()
    except RuntimeError as error:
        return str(error)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return None


def rows(result: dict[str, Any]) -> list[list[str]]:
    lines = []
    for name, seen in result.items():
        timing = seen["timing"]
        line = [name, f"{timing.median_ms:.1f}", f"{timing.min_ms:.1f} to {timing.max_ms:.1f}"]
        line.append(f"{seen['ratio']:.3f}")
        if "peak_bytes" in seen:
            line.append(f"{seen['peak_bytes'] / result['bn']['peak_bytes']:.3f}")
            line.append("none" if seen["host_waits"] is None else seen["host_waits"])
        lines.append(line)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--clock", choices=tuple(CLOCKS), default="wall")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--compile", action="store_true", help="compile all variants with torch.compile")
    parser.add_argument("--graph", action="store_true", help="cuda: replay each step as a CUDA graph")
    parser.add_argument("--kernels", choices=("best", "plain"), default="best")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.graph and (arguments.device != "cuda" or arguments.compile):
        parser.error("--graph is for --device cuda, without --compile")
    torch.set_num_threads(arguments.threads)
    recorded: dict[str, Any] = {
        "environment": environment(arguments.device),
        "repeats": arguments.repeats,
        "clock": arguments.clock,
        "compiled": arguments.compile,
        "graph": arguments.graph,
        "kernels": arguments.kernels,
    }
    if arguments.device == "cuda" and arguments.kernels == "best":
        agreement.check(arguments.device)
    header = ["layer", "median ms", "from to", "against bn"]
    if arguments.device == "cuda":
        header += ["peak memory against bn", "host waits"]
    for work in CUDA_WORK if arguments.device == "cuda" else CPU_WORK:
        with agreement.using(plain) if arguments.kernels == "plain" else nullcontext():
            recorded[work.name] = measure(work, arguments)
        print(f"\n{work.name}\n\n{table(header, rows(recorded[work.name]))}", flush=True)
    print(f"\n{recorded['environment']}, {arguments.repeats} interleaved rounds, {arguments.clock} clock")
    write_json(arguments.json, recorded)


if __name__ == "__main__":
    main()
