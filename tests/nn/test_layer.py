"""The layer against the literal reference, against PyTorch's own layers, and at the edges."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from tests.nn.builders import DEVICE, GATES, LAYOUTS, ROWS, condition_for, images, shaken_layer
from tests.nn.comparison import assert_equal_to_reference
from tests.nn.reference import pairwise_similarity
from ubn_sweep.nn import UnifiedBatchNorm2d, make_norm, mean_cosine_similarity, unified_batch_norm

AFFINE_STEPS = [{"affine": None}, {"affine": "pointwise"}, {"affine": "depthwise"}, {"name": "sabn"}]
ALL_OPTIONS = [
    {"centering": centering, "scaling": scaling, **affine_step}
    for centering, scaling, affine_step in itertools.product(
        (False, True), (None, "representative", "instance"), AFFINE_STEPS
    )
]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ROWS)
def test_every_name_equals_the_literal_reference(name: str, training: bool, gate: str, layout: str) -> None:
    layer = shaken_layer(5, name=name, gate=gate, dtype=torch.float64).train(training)
    assert_equal_to_reference(layer, images(6, 5, 7, 9, layout=layout))


@pytest.mark.parametrize("options", ALL_OPTIONS, ids=str)
@pytest.mark.parametrize("gate", GATES)
def test_every_combination_of_rectifiers(options: dict, gate: str) -> None:
    layer = shaken_layer(4, gate=gate, dtype=torch.float64, **options)
    assert_equal_to_reference(layer, images(4, 4, 5, 3))
    assert_equal_to_reference(layer.eval(), images(3, 4, 2, 2, layout="channels_last"))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(1, 3, 5, 4), (5, 3, 1, 1), (2, 1, 9, 9), (3, 7, 1, 13), (4, 2, 11, 3)])
def test_odd_sizes(shape: tuple[int, ...], layout: str) -> None:
    for name in ("ubn", "rbn"):
        layer = shaken_layer(shape[1], name=name, gate="open", dtype=torch.float64)
        assert_equal_to_reference(layer, images(*shape, layout=layout))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["ubn", "rbn", "iebn"])
def test_more_data_than_one_block(name: str, layout: str) -> None:
    layer = shaken_layer(16, name=name, gate="open", dtype=torch.float64)
    assert_equal_to_reference(layer, images(30, 16, 21, 23, layout=layout))


@pytest.mark.slow
@pytest.mark.parametrize("kernel_size", [1, 5])
def test_other_kernels(kernel_size: int) -> None:
    layer = shaken_layer(3, gate="open", kernel_size=kernel_size, dtype=torch.float64)
    assert_equal_to_reference(layer, images(3, 3, 6, 5))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ROWS)
def test_float32(name: str, layout: str) -> None:
    layer = shaken_layer(8, name=name, gate="open")
    x = images(16, 8, 12, 12, layout=layout, dtype=torch.float32)
    assert_equal_to_reference(layer, x, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [6, 16])
@pytest.mark.parametrize("name", ["ubn", "rbn", "bnet"])
def test_mean_a_thousand_times_the_spread(name: str, size: int, layout: str) -> None:
    """On the first batch, with nothing known about the mean. The input itself is exact to 6e-5 of its spread."""
    layer = shaken_layer(4, name=name, gate="open")
    x = (images(8, 4, size, size) - 0.7) / 1.5 + 1000.0
    x = x.float().contiguous(memory_format=LAYOUTS[layout])
    assert_equal_to_reference(layer, x, rtol=2e-3, atol=6e-3)


@pytest.mark.parametrize("options", ALL_OPTIONS[::5], ids=str)
@pytest.mark.parametrize("gate", GATES)
def test_gradcheck(options: dict, gate: str) -> None:
    layer = shaken_layer(2, gate=gate, dtype=torch.float64, **options)
    condition = condition_for(layer, 3)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    names = [name for name, _ in layer.named_parameters()]

    def function(x: Tensor, *values: Tensor) -> Tensor:
        layer.load_state_dict(before)
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x, *condition))

    inputs = [images(3, 2, 3, 2).requires_grad_()]
    inputs += [parameter.detach().clone().requires_grad_() for parameter in layer.parameters()]
    assert torch.autograd.gradcheck(function, inputs)


def test_second_derivatives_are_refused() -> None:
    layer = shaken_layer(2, dtype=torch.float64)
    x = images(3, 2, 3, 2).requires_grad_()
    (gx,) = torch.autograd.grad(layer(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gx.sum().backward()


def test_a_sequence_of_batches_opens_and_closes_the_gate() -> None:
    layer = shaken_layer(3, dtype=torch.float64, threshold=0.3, similarity_momentum=0.5)
    seen = []
    for i, offset in enumerate((3.0, 0.0, -0.7, -0.7, 2.0, 2.0, 3.0)):
        state = assert_equal_to_reference(layer, images(5, 3, 4, 4, seed=i) + offset)
        seen.append(state.open)
    assert seen[0]
    assert not all(seen)
    assert seen[-1]


def test_the_first_batch_is_accepted_whatever_the_threshold() -> None:
    layer = UnifiedBatchNorm2d(3, threshold=2.0, device=DEVICE)
    layer(images(4, 3, 2, 2, dtype=torch.float32))
    assert layer.gate_open
    assert layer.num_batches_tracked == 1
    before = layer.running_mean.clone()
    layer(images(4, 3, 2, 2, seed=5, dtype=torch.float32))
    assert not layer.gate_open
    assert torch.equal(layer.running_mean, before)


def test_without_a_pair_nothing_is_observed_and_the_gate_stays_open() -> None:
    layer = shaken_layer(3, dtype=torch.float64, threshold=0.15)
    for seed in range(3):
        assert assert_equal_to_reference(layer, images(1, 3, 4, 4, seed=seed)).open
    assert layer.num_batches_tracked == 3
    assert torch.signbit(layer.running_similarity)
    similar = images(4, 3, 4, 4, seed=8) + 3
    assert_equal_to_reference(layer, similar)
    seen = layer.running_similarity.clone()
    assert_equal_to_reference(layer, images(1, 3, 4, 4))
    assert layer.running_similarity == seen > 0.15


def test_an_observed_similarity_of_zero_is_not_taken_for_none() -> None:
    layer = UnifiedBatchNorm2d(4, similarity_momentum=0.1, device=DEVICE)
    layer(torch.eye(4, device=DEVICE).view(4, 4, 1, 1))
    assert layer.running_similarity == 0
    layer(torch.ones(4, 4, 1, 1, device=DEVICE))
    torch.testing.assert_close(layer.running_similarity, torch.tensor(0.1, device=DEVICE))


def test_cumulative_average() -> None:
    layer = shaken_layer(3, gate="off", momentum=None, dtype=torch.float64)
    for seed in range(3):
        assert_equal_to_reference(layer, images(4, 3, 4, 4, seed=seed))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("N", [2, 3, 17])
def test_similarity_without_the_matrix(N: int, layout: str) -> None:
    x = images(N, 3, 5, 4, layout=layout)
    torch.testing.assert_close(mean_cosine_similarity(x), pairwise_similarity(x))
    x[0] = 0
    torch.testing.assert_close(mean_cosine_similarity(x), pairwise_similarity(x))


def test_similarity_needs_a_pair() -> None:
    with pytest.raises(ValueError, match="N >= 2"):
        mean_cosine_similarity(images(1, 3, 5, 4))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("training", [True, False])
def test_equals_batch_norm_at_the_start(training: bool, layout: str) -> None:
    """No rectifier, pointwise: BN itself. All rectifiers at their start: BN times sigmoid(1)."""
    ours = UnifiedBatchNorm2d(
        6, threshold=None, centering=False, scaling=None, affine="pointwise", device=DEVICE
    )
    rectified, theirs = UnifiedBatchNorm2d(6, device=DEVICE), nn.BatchNorm2d(6, device=DEVICE)
    for seed in range(3):
        x = images(7, 6, 5, 5, seed=seed, layout=layout, dtype=torch.float32)
        outputs = [layer.train(training)(x) for layer in (ours, rectified, theirs)]
        torch.testing.assert_close(outputs[0], outputs[2], rtol=1e-4, atol=1e-5)
        expected = outputs[2] * torch.sigmoid(torch.tensor(1.0, device=DEVICE))
        torch.testing.assert_close(outputs[1], expected, rtol=1e-4, atol=1e-5)
        assert outputs[0].stride() == outputs[2].stride()
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name))


def test_one_sample_per_channel_group_equals_instance_norm() -> None:
    """With N = 1 the batch is the instance."""
    x = images(1, 6, 5, 5)
    y = unified_batch_norm(x)
    torch.testing.assert_close(y, nn.functional.instance_norm(x))
    torch.testing.assert_close(y, nn.functional.group_norm(x, 6))


@pytest.mark.parametrize("name", ["ubn", "rbn", "bnet"])
def test_one_value_per_channel_is_the_error_of_batch_norm(name: str) -> None:
    x = torch.ones(1, 4, 1, 1, device=DEVICE)
    layers = make_norm(name, 4, device=DEVICE), make_norm("bn", 4, device=DEVICE)
    for layer in layers:
        with pytest.raises(ValueError, match="Expected more than 1 value per channel when training"):
            layer(x)
        assert layer.eval()(x).isfinite().all()


@pytest.mark.parametrize("shape", [(3, 4), (2, 5, 3, 3)])
def test_wrong_input(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"4D|num_features"):
        UnifiedBatchNorm2d(4, device=DEVICE)(torch.ones(shape, device=DEVICE))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("first", [True, False])
def test_a_batch_that_is_not_finite_shows_and_passes(bad: float, first: bool, layout: str) -> None:
    layer = UnifiedBatchNorm2d(3, threshold=0.1, device=DEVICE)
    good = images(5, 3, 6, 6, layout=layout, dtype=torch.float32) + 2
    if not first:
        layer(good)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    x = good.clone(memory_format=torch.preserve_format)
    x[1, 2, 3, 3] = bad
    assert not layer(x).isfinite().all()
    after = layer.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert layer(good).isfinite().all()
    assert layer.gate_open
    assert layer.num_batches_tracked == (1 if first else 2)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["ubn", "rbn", "iebn"])
def test_half_precision_input_has_float32_statistics(name: str, layout: str, dtype: torch.dtype) -> None:
    """As under autocast: half-precision activations into a float32 layer."""
    layer = shaken_layer(4, name=name, gate="open")
    exact = shaken_layer(4, name=name, gate="open")
    x = images(8, 4, 9, 9, layout=layout, dtype=dtype).requires_grad_()
    x32 = x.detach().float().requires_grad_()
    y, y32 = layer(x), exact(x32)
    assert y.dtype == dtype
    assert y.stride() == x.stride()
    y.float().square().sum().backward()
    y32.square().sum().backward()
    step = torch.finfo(dtype).eps
    torch.testing.assert_close(y.float(), y32, rtol=4 * step, atol=8 * step)
    assert x.grad is not None
    assert x.grad.dtype == dtype
    assert x32.grad is not None
    torch.testing.assert_close(x.grad.float(), x32.grad, rtol=0.1, atol=32 * step)
    for name_, value in layer.named_buffers():
        torch.testing.assert_close(value, dict(exact.named_buffers())[name_], rtol=1e-4, atol=1e-5)


def test_autocast() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), UnifiedBatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 2, 3)).to(DEVICE)
    x = images(4, 3, 8, 8, dtype=torch.float32)
    with torch.autocast(DEVICE.type, dtype=torch.bfloat16):
        hidden = model[1](model[0](x))
        assert hidden.dtype == torch.bfloat16
        y = model(x)
    y.float().sum().backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in model.parameters())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_layer_wholly_in_half_precision(dtype: torch.dtype) -> None:
    layer = UnifiedBatchNorm2d(4, device=DEVICE).to(dtype)
    x = images(6, 4, 5, 5, dtype=dtype).requires_grad_()
    y = layer(x)
    y.sum().backward()
    assert y.dtype == dtype
    assert all(p.grad is not None and p.grad.dtype == dtype for p in layer.parameters())
    assert layer.running_mean.dtype == dtype


def test_strided_input() -> None:
    x = images(6, 10, 5, 7)[:, ::2, :, ::2]
    layer = shaken_layer(5, gate="open", dtype=torch.float64)
    assert_equal_to_reference(layer, x)


def test_expanded_gradient() -> None:
    layer = shaken_layer(3, dtype=torch.float64)
    x = images(4, 3, 5, 5).requires_grad_()
    layer(x).sum().backward()
    assert x.grad is not None


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [5, 9])
@pytest.mark.parametrize("name", ROWS)
def test_the_output_may_be_modified_in_place(name: str, size: int, layout: str) -> None:
    layer = shaken_layer(3, name=name, gate="open", dtype=torch.float64)
    x = images(4, 3, size, size, layout=layout).requires_grad_()
    condition = condition_for(layer, 4)
    (expected,) = torch.autograd.grad(torch.relu(layer(x, *condition)).square().sum(), x)
    (actual,) = torch.autograd.grad(torch.relu_(layer(x, *condition)).square().sum(), x)
    torch.testing.assert_close(actual, expected)


def test_frozen_parameters_and_input() -> None:
    layer = shaken_layer(3, gate="open", dtype=torch.float64)
    layer.requires_grad_(False)
    layer.center_weight.requires_grad_(True)
    layer(images(4, 3, 5, 5)).square().sum().backward()
    assert layer.center_weight.grad is not None
    assert layer.weight.grad is None


def test_an_evaluation_graph_outlives_a_training_step() -> None:
    layer = shaken_layer(3, gate="open", dtype=torch.float64)
    x = images(4, 3, 5, 5).requires_grad_()
    y = layer.eval()(x)
    layer.train()(images(4, 3, 5, 5, seed=9))
    y.sum().backward()
    assert x.grad is not None
