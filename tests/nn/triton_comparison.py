"""The Triton kernels against the plain ones and the literal reference; test_triton.py says where this runs.

On the builders' device: the CPU when Triton interprets (TRITON_INTERPRET=1), else a CUDA device.
"""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from tests.nn.builders import DEVICE, GATES, LAYOUTS, ROWS, condition_for, images, shaken_layer
from tests.nn.reference import reference, state_of
from ubn_sweep.nn import UnifiedBatchNorm2d, autograd, functional
from ubn_sweep.nn.kernels import cuda, plain
from ubn_sweep.nn.kernels.cuda import tiles
from ubn_sweep.nn.kernels.interface import GateOptions, GateState, Rectifiers, Statistics
from ubn_sweep.nn.layers import GatedBatchNorm2d, gated

SIZES = [(3, 5, 7, 9), (1, 3, 5, 4), (5, 3, 1, 1), (2, 1, 9, 9), (3, 7, 1, 13), (4, 2, 11, 1), (2, 16, 3, 17)]
RTOL = {torch.float64: 1e-10, torch.float32: 2e-5, torch.bfloat16: 2e-2, torch.float16: 4e-3}
KINDS = {
    "pointwise": None,
    "1x1": 1,
    "3x3": 3,
    "5x5": 5,
    "per sample": None,
    "shared bias": None,
    "none": None,
}


def cut(monkeypatch: pytest.MonkeyPatch, elements: int) -> None:
    """Blocks so small that every combination over blocks takes place."""
    monkeypatch.setattr(tiles, "TILE", elements)
    monkeypatch.setattr(tiles, "ROW_TILE", elements)
    monkeypatch.setattr(tiles, "PROGRAMS", 1)
    forget()


def forget() -> None:
    for name in ("pointwise_tile", "directions_tile", "small_tile", "row_tile"):
        getattr(tiles, name).cache_clear()


@pytest.fixture(autouse=True)
def _rules_anew():
    forget()
    yield
    forget()


@pytest.fixture
def _only_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (autograd, functional, gated):
        monkeypatch.setattr(module, "kernels_for", lambda *_: cuda)


def random(*shape: int, seed: int = 3, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE, dtype)


def close(actual: Tensor | float | None, wanted: Tensor | float | None, rtol: float, what: str) -> None:
    if wanted is None or isinstance(wanted, float):
        assert actual == wanted, what
        return
    assert isinstance(actual, Tensor), what
    assert actual.shape == wanted.shape, what
    assert actual.dtype == wanted.dtype, what
    exact = wanted.double()
    largest = exact[exact.isfinite()].abs().amax().item() if exact.isfinite().any() else 1.0
    torch.testing.assert_close(
        actual.double(),
        exact,
        rtol=rtol,
        atol=rtol * max(1.0, largest),
        equal_nan=True,
        msg=lambda m: f"{what}: {m}",
    )


def all_close(actual: tuple, wanted: tuple, rtol: float) -> None:
    for name, a, b in zip(wanted._fields, actual, wanted, strict=True):  # type: ignore[attr-defined]
        close(a, b, rtol, name)


def rectifiers(kind: str, N: int, C: int, instance: bool, dtype: torch.dtype) -> Rectifiers:
    kernel = KINDS[kind]
    weight_shape = {"per sample": (N, C), "shared bias": (N, C)}.get(kind, (C,))
    if kernel is not None:
        weight_shape = (C, 1, kernel, kernel)
    weight = bias = None
    if kind != "none":
        weight = random(*weight_shape, seed=4, dtype=dtype)
        bias = random(*((N, C) if kind == "per sample" else (C,)), seed=5, dtype=dtype)
    vectors = random(3, C, dtype=dtype).unbind(0)
    return Rectifiers(*vectors, weight, bias, instance)


def gate_state(C: int, accepted: int, similarity: float, dtype: torch.dtype) -> GateState:
    s = torch.tensor(similarity, dtype=dtype, device=DEVICE)
    count = torch.tensor(accepted, device=DEVICE)
    return GateState(random(C, seed=8, dtype=dtype), random(C, seed=9, dtype=dtype).square(), s, count)


@pytest.mark.parametrize("elements", [4096, 32])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("shape", "dtype"), [*((s, torch.float64) for s in SIZES), *((SIZES[0], t) for t in RTOL)], ids=str
)
def test_moments_and_similarity(
    shape: tuple, layout: str, elements: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut(monkeypatch, elements)
    x = images(*shape, layout=layout, dtype=dtype)
    rtol = min(RTOL[dtype], 1e-4)
    m, v = plain.moments(x)
    for actual, wanted in zip(cuda.moments(x), (m, v), strict=True):
        close(actual, wanted, rtol, "moments")
    x[0] = 0
    m, v = plain.moments(x)
    for actual, wanted in zip(cuda.sum_of_directions(x, m, v), plain.sum_of_directions(x, m, v), strict=True):
        close(actual, wanted, rtol, "directions")
    if shape[0] > 1:
        close(cuda.similarity(x, m, v), plain.similarity(x, m, v), rtol, "similarity")


@pytest.mark.parametrize("elements", [4096, 32])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_moments_where_the_mean_is_a_thousand_times_the_spread(
    layout: str, elements: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut(monkeypatch, elements)
    x = (images(2, 3, 16, 9, layout=layout) / 1.5 + 1000).float()
    m, v = plain.moments(x.double())
    found_m, found_v = cuda.moments(x)
    close(found_m.double(), m, 2e-7, "m")
    close(found_v.double(), v, 1e-4, "v")


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("threshold", [None, -2.0, 2.0])
@pytest.mark.parametrize(("accepted", "running"), [(0, -0.0), (3, 0.4), (2, -0.0)])
@pytest.mark.parametrize("observed", [0.3, float("nan"), float("inf"), -0.0])
def test_settle(
    observed: float,
    accepted: int,
    running: float,
    threshold: float | None,
    momentum: float | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cut(monkeypatch, 128)
    dtype = torch.float64 if accepted else torch.float32
    m, v = random(9, 21, dtype=dtype) + 1, random(9, 21, seed=2, dtype=dtype).square()
    w_m = random(21, seed=6, dtype=dtype) if accepted else None
    similarity = torch.tensor(observed, dtype=dtype, device=DEVICE)
    options = GateOptions(1e-5, momentum, threshold, 0.1)
    state, wanted_state = (gate_state(21, accepted, running, dtype) for _ in range(2))
    statistics, is_open = cuda.settle(m, v, similarity, w_m, state, options, 189.0)
    wanted, wanted_open = plain.settle(m, v, similarity, w_m, wanted_state, options, 189.0)
    all_close(statistics, wanted, RTOL[dtype])
    all_close(state, wanted_state, RTOL[dtype])
    assert torch.equal(is_open, wanted_open)
    signs = (torch.signbit(s.running_similarity) for s in (state, wanted_state))
    assert torch.equal(*signs)


@pytest.mark.parametrize(("shape", "elements"), [((2, 3, 7, 5), 32), ((3, 7, 1, 13), 4096)], ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("kind", "instance"), [(kind, i % 2 == 1) for i, kind in enumerate(KINDS)] + [("3x3", True)]
)
def test_forward_and_backward(
    instance: bool, kind: str, shape: tuple, layout: str, elements: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut(monkeypatch, elements)
    compare_passes(shape, layout, kind, instance, torch.float64)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("kind", ["pointwise", "3x3"])
def test_other_types(kind: str, dtype: torch.dtype) -> None:
    compare_passes((2, 5, 7, 9), "channels_last", kind, False, dtype)


def compare_passes(shape: tuple, layout: str, kind: str, instance: bool, dtype: torch.dtype) -> None:
    """Half precision against plain in float32, which rounds nothing on the way."""
    N, C, H, W = shape
    x, gy = (images(*shape, layout=layout, seed=seed, dtype=dtype) for seed in (1, 2))
    m, v = plain.moments(x)
    wide_x, wide_gy = x.to(m.dtype), gy.to(m.dtype)
    R = rectifiers(kind, N, C, instance, m.dtype)
    mean, var = plain.batch_statistics(m, v, R.w_m)
    statistics = Statistics(mean, torch.rsqrt(var + 1e-5), 1.0, float(N * H * W))
    rtol = RTOL[dtype]
    y = cuda.rectify(x, m, statistics, R)
    assert y.stride() == x.stride()
    assert y.dtype == dtype
    close(y.to(m.dtype), plain.rectify(wide_x, m, statistics, R), rtol, "y")
    found = cuda.reduce(gy, x, m, statistics, R)
    sums = plain.reduce(wide_gy, wide_x, m, statistics, R)
    all_close(found._replace(g=sums.g), sums, min(rtol, 1e-4))
    one = torch.ones((), dtype=m.dtype, device=DEVICE)
    for flow in (1.0, one, 0.0 * one, 0.0):
        of = statistics._replace(flow=flow)
        coefficients, gradients = plain.finalize(sums, m, of, R, H * W)
        found_coefficients, found_gradients = cuda.finalize(sums, m, of, R, H * W)
        all_close(found_coefficients, coefficients, min(rtol, 1e-4))
        all_close(found_gradients, gradients, min(rtol, 1e-4))
    coefficients, _ = plain.finalize(sums, m, statistics, R, H * W)
    gx = cuda.combine(found, x, m, coefficients, R)
    assert gx.stride() == x.stride()
    close(gx.to(m.dtype), plain.combine(sums, wide_x, m, coefficients, R), rtol, "gx")


def equals_the_reference(layer: GatedBatchNorm2d, x: Tensor, rtol: float = 1e-9) -> None:
    """Output, gradients and state of the layer on the device against the literal reference on the CPU."""
    layer, x = layer.cpu(), x.cpu()
    condition = condition_for(layer, x.shape[0])
    state = state_of(layer)
    parameters = {n: p.detach().double().requires_grad_() for n, p in layer.named_parameters()}
    exact = x.detach().double().contiguous().requires_grad_()
    expected = reference(layer, exact, parameters, state, *condition)
    cotangent = images(*x.shape, seed=7, device="cpu")
    expected.backward(cotangent)
    device_layer = copy.deepcopy(layer).to(DEVICE)
    x = x.to(DEVICE).requires_grad_()
    y = device_layer(x, *(c.to(DEVICE) for c in condition))
    y.backward(cotangent.to(DEVICE, y.dtype))
    assert exact.grad is not None
    assert x.grad is not None
    close(y.double().cpu(), expected.detach(), rtol, "y")
    close(x.grad.double().cpu(), exact.grad, rtol, "x.grad")
    for name, parameter in device_layer.named_parameters():
        wanted = parameters[name].grad
        assert parameter.grad is not None
        wanted = torch.zeros_like(parameters[name]) if wanted is None else wanted
        close(parameter.grad.double().cpu(), wanted, rtol, name)
    close(device_layer.running_mean.double().cpu(), state.mean, rtol, "running_mean")
    close(device_layer.running_var.double().cpu(), state.var, rtol, "running_var")
    assert int(device_layer.num_batches_tracked) == state.accepted
    assert bool(device_layer.gate_open) == state.open or not layer.training


@pytest.mark.usefixtures("_only_triton")
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("name", ROWS)
def test_layers(name: str, gate: str, layout: str) -> None:
    layer = shaken_layer(5, name=name, gate=gate, dtype=torch.float64)
    equals_the_reference(layer, images(4, 5, 3, 5, layout=layout))


@pytest.mark.usefixtures("_only_triton")
@pytest.mark.parametrize("name", ROWS)
def test_layers_in_evaluation(name: str) -> None:
    layer = shaken_layer(5, name=name, dtype=torch.float64).eval()
    equals_the_reference(layer, images(3, 5, 3, 5, layout="channels_last"))


@pytest.mark.usefixtures("_only_triton")
@pytest.mark.parametrize("name", ["ubn", "rbn"])
@pytest.mark.parametrize("shape", SIZES[1:-1], ids=str)
def test_layers_of_odd_sizes(shape: tuple, name: str) -> None:
    layer = shaken_layer(shape[1], name=name, gate="open", dtype=torch.float64)
    equals_the_reference(layer, images(*shape, layout="channels_last"))


@pytest.mark.usefixtures("_only_triton")
@pytest.mark.parametrize("name", ["ubn", "rbn"])
def test_a_layer_whose_mean_is_a_thousand_times_the_spread(name: str) -> None:
    layer = shaken_layer(4, name=name, gate="open")
    x = (images(8, 4, 6, 6) - 0.7) / 1.5 + 1000.0
    equals_the_reference(layer, x.float().contiguous(memory_format=torch.channels_last), 6e-3)


@pytest.mark.usefixtures("_only_triton")
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_batch_that_is_not_finite_shows_and_passes(bad: float) -> None:
    layer = UnifiedBatchNorm2d(3, threshold=0.1).to(DEVICE)
    good = images(5, 3, 6, 6, dtype=torch.float32) + 2
    layer(good)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    x = good.clone()
    x[1, 2, 3, 3] = bad
    assert not layer(x).isfinite().all()
    for name, value in layer.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert layer(good).isfinite().all()


def test_what_the_kernels_do_not_take_goes_to_plain() -> None:
    x = images(3, 4, 6, 5)[:, :, ::2]
    for actual, wanted in zip(cuda.moments(x), plain.moments(x), strict=True):
        assert torch.equal(actual, wanted)
    m, v = plain.moments(x)
    R = rectifiers("3x3", 3, 4, False, torch.float64)
    statistics = Statistics(m.mean(0), torch.ones_like(m[0]), 1.0, 45.0)
    wanted = plain.rectify(x, m, statistics, R)
    torch.testing.assert_close(cuda.rectify(x, m, statistics, R), wanted)
    torch.testing.assert_close(cuda.similarity(x, m, v), plain.similarity(x, m, v))
