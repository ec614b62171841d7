"""What a layer keeps: state_dicts, copies, files, compilers, devices."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch
from torch import nn

from tests.nn.builders import DEVICE, LAYOUTS, ROWS, condition_for, images, shaken_layer
from ubn_sweep.nn import SynchronizedUnifiedBatchNorm2d, UnifiedBatchNorm2d, condensation, make_norm
from ubn_sweep.nn.layers import GatedBatchNorm2d


def used(name: str = "ubn") -> GatedBatchNorm2d:
    layer = shaken_layer(4, name=name)
    x = images(5, 4, 6, 6, dtype=torch.float32)
    layer(x, *condition_for(layer, 5))
    return layer


def assert_same(one: nn.Module, other: nn.Module) -> None:
    x = images(5, 4, 6, 6, seed=3, dtype=torch.float32)
    condition = condition_for(one, 5)
    assert one.state_dict().keys() == other.state_dict().keys()
    for training in (False, True):
        torch.testing.assert_close(one.train(training)(x, *condition), other.train(training)(x, *condition))


def test_the_contract_of_names_and_shapes() -> None:
    shapes = {n: tuple(p.shape) for n, p in UnifiedBatchNorm2d(6, kernel_size=5).state_dict().items()}
    vectors = ("center_weight", "scale_weight", "scale_bias", "bias", "running_mean", "running_var")
    assert shapes == {
        **dict.fromkeys(vectors, (6,)),
        "weight": (6, 1, 5, 5),
        "running_similarity": (),
        "num_batches_tracked": (),
    }
    assert not list(UnifiedBatchNorm2d(6, centering=False, scaling=None, affine=None).parameters())


def test_starting_values() -> None:
    layer = UnifiedBatchNorm2d(2)
    assert layer.center_weight.eq(0).all()
    assert layer.scale_weight.eq(0).all()
    assert layer.scale_bias.eq(1).all()
    assert layer.weight.sum() == layer.weight[:, 0, 1, 1].sum() == 2
    assert UnifiedBatchNorm2d(2, scaling="instance").scale_bias.eq(-1).all()


@pytest.mark.parametrize("name", ROWS)
def test_round_trips(name: str) -> None:
    layer = used(name)
    fresh = shaken_layer(4, name=name, seed=5)
    fresh.load_state_dict(layer.state_dict())
    for other in (fresh, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert_same(copy.deepcopy(layer), other)


def test_files_with_weights_only() -> None:
    layer, other = used(), UnifiedBatchNorm2d(4, threshold=None, device=DEVICE)
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert_same(layer, other)


def test_a_batch_norm_state_loads_into_the_pointwise_layer() -> None:
    batch_norm = nn.BatchNorm2d(4, device=DEVICE)
    batch_norm(images(5, 4, 6, 6, dtype=torch.float32))
    with torch.no_grad():
        batch_norm.weight.add_(0.5)
    for options in ({}, {"centering": False, "scaling": None}):
        layer = UnifiedBatchNorm2d(4, affine="pointwise", device=DEVICE, **options)
        state = batch_norm.state_dict()
        keys = set(state)
        layer.load_state_dict(state)
        assert set(state) == keys
        assert torch.equal(layer.weight, batch_norm.weight)
        assert torch.equal(layer.running_var, batch_norm.running_var)
    x = images(5, 4, 6, 6, seed=2, dtype=torch.float32)
    torch.testing.assert_close(layer.eval()(x), batch_norm.eval()(x))
    layer.train()(x + 3)
    torch.testing.assert_close(layer.running_similarity, make_and_run(x + 3).running_similarity)


def make_and_run(x: torch.Tensor) -> UnifiedBatchNorm2d:
    layer = UnifiedBatchNorm2d(4, device=DEVICE)
    layer(x)
    return layer


@pytest.mark.parametrize("prefix", ["", "block.1."])
def test_a_state_of_before_this_version_loads(prefix: str) -> None:
    """The keys of a layer with everything on, as checkpoints hold them, in their order."""
    keys = ["center_weight", "scale_weight", "scale_bias", "weight", "bias"]
    keys += ["running_mean", "running_var", "running_similarity", "num_batches_tracked"]
    layer = used()
    assert list(layer.state_dict(prefix=prefix)) == [prefix + key for key in keys]
    assert list(used("sabn").state_dict()) == [
        *("weight", "bias", "condition_weight", "condition_bias"),
        *("running_mean", "running_var", "running_similarity", "num_batches_tracked"),
    ]


def test_a_batch_norm_state_loads_deep_in_a_model() -> None:
    old = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.BatchNorm2d(4)))
    new = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(UnifiedBatchNorm2d(4, affine="pointwise")))
    new.load_state_dict(old.state_dict())
    damaged = {key: value for key, value in new.state_dict().items() if key != "1.0.center_weight"}
    with pytest.raises(RuntimeError, match=r"1\.0\.center_weight"):
        new.load_state_dict(damaged)


def test_a_damaged_state_is_still_refused() -> None:
    state = UnifiedBatchNorm2d(4, affine="pointwise").state_dict()
    del state["center_weight"]
    with pytest.raises(RuntimeError, match="center_weight"):
        UnifiedBatchNorm2d(4, affine="pointwise").load_state_dict(state)
    with pytest.raises(RuntimeError, match="size mismatch"):
        UnifiedBatchNorm2d(4).load_state_dict(nn.BatchNorm2d(4).state_dict())


def test_reset() -> None:
    layer, fresh = used(), UnifiedBatchNorm2d(4, device=DEVICE)
    layer.reset_running_stats()
    for name, value in fresh.named_buffers():
        assert torch.equal(dict(layer.named_buffers())[name], value)
    assert torch.signbit(layer.running_similarity)
    layer.reset_parameters()
    assert_same(layer, fresh)


def test_devices_and_dtypes() -> None:
    layer = used().double()
    assert {p.dtype for p in layer.parameters()} == {torch.float64}
    assert layer.num_batches_tracked.dtype == torch.long
    assert layer(images(3, 4, 5, 5)).dtype == torch.float64
    meta = UnifiedBatchNorm2d(4, device="meta")
    assert meta.gate_open.is_meta
    assert meta(torch.empty(3, 4, 5, 5, device="meta")).shape == (3, 4, 5, 5)
    real = meta.to_empty(device=DEVICE)
    real.reset_parameters()
    assert real.gate_open.device.type == DEVICE.type
    assert_same(real, UnifiedBatchNorm2d(4, device=DEVICE))
    assert UnifiedBatchNorm2d(4, dtype=torch.bfloat16).running_mean.dtype == torch.bfloat16


def test_condensation_lists_the_gated_layers() -> None:
    model = nn.Sequential(make_norm("ubn", 4), make_norm("rbn", 4), nn.Sequential(make_norm("ubn", 4)))
    model.to(DEVICE)(images(5, 4, 6, 6, dtype=torch.float32))
    layers = dict(condensation(model))
    assert list(layers) == ["0", "2.0"]
    for layer in layers.values():
        assert layer.running_similarity.shape == layer.gate_open.shape == ()
        assert layer.gate_open.dtype == torch.bool


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "name", ["ubn", *(pytest.param(name, marks=pytest.mark.slow) for name in ("rbn", "sabn"))]
)
@pytest.mark.slow
def test_compiled_equals_eager(name: str, layout: str) -> None:
    """torch.compile without a graph break; the whole graph, forward and backward, the eager backend's kernels."""
    eager, compiled = (shaken_layer(3, name=name, gate="open") for _ in range(2))
    function = torch.compile(compiled, fullgraph=True, backend="aot_eager")
    for seed in range(2):
        x = images(4, 3, 5, 5, seed=seed, layout=layout, dtype=torch.float32)
        condition = condition_for(eager, 4)
        for layer, call in ((eager, eager), (compiled, function)):
            layer.zero_grad()
            call(x, *condition).square().sum().backward()
        for ours, theirs in zip(eager.parameters(), compiled.parameters(), strict=True):
            torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(eager.state_dict(), compiled.state_dict())
        assert torch.equal(eager.gate_open, compiled.gate_open)


@pytest.mark.slow
def test_compiled_by_inductor() -> None:
    """Minutes where a C++ compiler is slow."""
    eager, compiled = (shaken_layer(3, gate="open") for _ in range(2))
    x = images(4, 3, 5, 5, dtype=torch.float32)
    eager(x).square().sum().backward()
    torch.compile(compiled, fullgraph=True)(x).square().sum().backward()
    for ours, theirs in zip(eager.parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ROWS)
def test_export(name: str, training: bool) -> None:
    layer = used(name).train(training)
    x = images(5, 4, 6, 6, dtype=torch.float32)
    arguments = (x, *condition_for(layer, 5))
    twin = copy.deepcopy(layer)
    module = torch.export.export(layer, arguments).module()
    torch.testing.assert_close(module(*arguments), twin(*arguments))


def test_the_synchronized_layer_alone_is_its_parent() -> None:
    layer = SynchronizedUnifiedBatchNorm2d(4, device=DEVICE)
    assert_same(copy.deepcopy(layer), UnifiedBatchNorm2d(4, device=DEVICE))
    assert_same(pickle.loads(pickle.dumps(layer)), UnifiedBatchNorm2d(4, device=DEVICE))
