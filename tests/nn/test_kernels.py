"""The sets of kernels for a CPU and for everything: each computes the literal reference; which is taken, and when.

test_triton.py has the third set. What is about compiled loops lies on the CPU, whatever the suite's device.
"""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from tests.nn.builders import DEVICE, GATES, LAYOUTS, ROWS, images, shaken_layer
from tests.nn.comparison import assert_equal_to_reference
from ubn_sweep.nn import kernels
from ubn_sweep.nn.gate import UNSEEN
from ubn_sweep.nn.kernels import cpu, kernels_for, plain
from ubn_sweep.nn.kernels.cpu import jit
from ubn_sweep.nn.kernels.interface import GateOptions, GateState, Kernels


@pytest.fixture
def plain_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_cpu", lambda: None)
    monkeypatch.setattr(kernels, "_cuda", lambda: None)


@pytest.fixture
def three_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    monkeypatch.setattr(jit, "WORTH_A_THREAD", 1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("plain_alone")
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ROWS)
def test_the_plain_kernels(name: str, training: bool, gate: str, layout: str) -> None:
    layer = shaken_layer(5, name=name, gate=gate, dtype=torch.float64).train(training)
    x = images(6, 5, 7, 9, layout=layout)
    assert kernels_for(x) is plain
    assert_equal_to_reference(layer, x)


@pytest.mark.usefixtures("plain_alone")
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["ubn", "rbn", "iebn"])
def test_the_plain_kernels_in_float32_far_from_zero(name: str, layout: str) -> None:
    layer = shaken_layer(4, name=name, gate="open")
    x = (images(8, 4, 16, 16) - 0.7) / 1.5 + 1000.0
    x = x.float().contiguous(memory_format=LAYOUTS[layout])
    assert_equal_to_reference(layer, x, rtol=2e-3, atol=6e-3)


SHAPES = {
    "many small images": (70, 3, 4, 5),
    "a few to a buffer": (13, 3, 9, 8),
    "narrow": (3, 4, 30, 2),
    "wide": (2, 3, 2, 60),
    "several bands": (2, 70, 21, 64),
    "several chunks of directions": (3, 11, 23, 24),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("kernel_size", [3, *(pytest.param(size, marks=pytest.mark.slow) for size in (1, 5))])
def test_the_compiled_kernels(kernel_size: int, shape: tuple[int, ...], layout: str) -> None:
    """Where the loops of a depthwise step are split, for every kernel size."""
    layer = shaken_layer(shape[1], gate="open", dtype=torch.float64, kernel_size=kernel_size, device="cpu")
    x = images(*shape, layout=layout, device="cpu")
    assert kernels_for(x) is cpu
    assert_equal_to_reference(layer, x)


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(5, 7, 6, 6), (2, 1, 9, 9), (1, 2, 3, 3)])
@pytest.mark.parametrize("name", ROWS)
def test_threads_share_the_work(name: str, shape: tuple[int, ...], layout: str) -> None:
    layer = shaken_layer(shape[1], name=name, gate="open", dtype=torch.float64, device="cpu")
    assert_equal_to_reference(layer, images(*shape, layout=layout, device="cpu"))


def test_sums_do_not_depend_on_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contiguous data: bit for bit."""
    seen = []
    monkeypatch.setattr(jit, "WORTH_A_THREAD", 1)
    before = torch.get_num_threads()
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        layer = shaken_layer(7, name="rbn", device="cpu")
        x = images(6, 7, 5, 9, dtype=torch.float32, device="cpu").requires_grad_()
        layer(x).square().sum().backward()
        seen.append([x.grad, *(p.grad for p in layer.parameters()), *layer.buffers()])
    torch.set_num_threads(before)
    for other in seen[1:]:
        assert all(torch.equal(a, b) for a, b in zip(seen[0], other, strict=True))


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["ubn", "rbn", "iebn"])
def test_what_is_not_finite_is_not_finite_in_the_same_places(name: str, layout: str, bad: float) -> None:
    outputs = []
    for module in (cpu, plain):
        x = images(4, 3, 5, 6, layout=layout, device="cpu")
        x[2, 1, 3, 3] = bad
        m, v = module.moments(x)
        outputs.append([m, v, module.similarity(x, m, v)])
    for ours, theirs in zip(*outputs, strict=True):
        assert torch.equal(ours.isfinite(), theirs.isfinite())


@pytest.mark.parametrize("running", [UNSEEN, 0.4])
@pytest.mark.parametrize("observed", [None, UNSEEN, 0.3])
def test_settling_without_a_pair(observed: float | None, running: float) -> None:
    """The interpreter's tests compare Triton's with these."""
    found = []
    for module in (cpu, plain):
        state = GateState(torch.zeros(3), torch.ones(3), torch.tensor(running), torch.tensor(2))
        m, v = torch.arange(6.0).view(2, 3), torch.ones(2, 3)
        similarity = None if observed is None else torch.tensor(observed)
        options = GateOptions(1e-5, 0.1, 2.0, 0.5)
        _, is_open = module.settle(m, v, similarity, None, state, options, 8.0)
        found.append(
            (float(state.running_similarity), math.copysign(1, state.running_similarity), bool(is_open))
        )
    assert found[0] == pytest.approx(found[1])
    unseen = running is UNSEEN and observed != 0.3
    assert found[0][1:] == (-1.0 if unseen else 1.0, unseen)


class Watching(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        return function(*args, **(kwargs or {}))


def test_what_the_compiled_kernels_do_not_take() -> None:
    x = images(4, 3, 5, 6, device="cpu")
    assert kernels_for(x, torch.zeros(3)) is cpu
    assert kernels_for(x.to(torch.bfloat16)) is plain
    assert kernels_for(x[:, :, ::2]) is plain
    assert kernels_for(x.permute(0, 1, 3, 2)) is plain
    assert kernels_for(x, torch.zeros(3, dtype=torch.half)) is plain
    assert kernels_for(x.to("meta")) is plain
    assert kernels_for(x[:0]) is plain
    with Watching():
        assert kernels_for(x) is plain


def test_a_trace_is_of_operations() -> None:
    layer = shaken_layer(3, gate="open").eval()
    x = images(4, 3, 5, 6, dtype=torch.float32)
    traced = torch.jit.trace(layer, x)
    other = images(4, 3, 5, 6, seed=9, dtype=torch.float32)
    torch.testing.assert_close(traced(other), layer(other))


def test_every_set_has_what_the_protocol_lists() -> None:
    """mypy checks the signatures; here that the names are there when the package runs."""
    names = [name for name in vars(Kernels) if not name.startswith("_")]
    assert {"takes", "settle", "combine"} <= set(names)
    for module in (cpu, plain):
        assert all(callable(getattr(module, name)) for name in names)
    assert plain.takes(images(1, 1, 1, 1), torch.zeros(2, dtype=torch.half))


@pytest.mark.slow
def test_layers_do_without_numba() -> None:
    script = """
import sys
sys.modules["numba"] = None
import torch
from ubn_sweep.nn import make_norm
from ubn_sweep.nn.kernels import kernels_for, plain
x = torch.randn(4, 3, 5, 5, requires_grad=True)
make_norm("ubn", 3)(x).sum().backward()
assert kernels_for(x) is plain and x.grad is not None
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_loop_that_no_folder_can_keep_is_compiled_all_the_same() -> None:
    scope: dict = {}
    exec("def double(x):\n    return 2 * x", scope)
    assert jit.compiled(scope["double"])(3) == 6


def test_a_model_learns_alike_with_either_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def losses() -> list[float]:
        torch.manual_seed(0)
        layers = nn.Conv2d(3, 6, 3), shaken_layer(6, gate="open"), nn.ReLU(), nn.Flatten()
        model = nn.Sequential(*layers).to(DEVICE)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
        seen = []
        for seed in range(5):
            loss = model(images(8, 3, 10, 10, seed=seed, dtype=torch.float32)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seen.append(loss.item())
        return seen

    compiled = losses()
    monkeypatch.setattr(kernels, "_cpu", lambda: None)
    monkeypatch.setattr(kernels, "_cuda", lambda: None)
    assert losses() == pytest.approx(compiled, rel=1e-4)
