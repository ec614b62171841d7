"""Options of training: each does what it says, and a run with them goes on bit for bit."""

import copy
import math

import pytest
import torch

from tests.training.builders import tiny_config
from tests.training.test_resume import untimed
from tests.training.test_run import same, weights
from ubn_sweep.errors import UserError
from ubn_sweep.nn import norm_parameters
from ubn_sweep.training.classification.run import TrainingRun
from ubn_sweep.training.classification.task import ImageClassification
from ubn_sweep.training.device import numerics

PLAIN = {"lr": 0.1, "momentum": 0.0, "weight_decay": 0.0, "schedule": "constant"}
SIXTY = {"train_examples": 80, "validation_fraction": 0.2}
"""60 images to train on."""


def run_with(norm="ln", batch_size=60, optimizer=PLAIN, **training):
    config = tiny_config(
        dataset=SIXTY,
        norm={"name": norm},
        optimizer=optimizer,
        training={"batch_size": batch_size, **training},
    )
    return TrainingRun(config)


def parameters_of(run):
    return torch.cat([p.detach().flatten() for p in run._repeats[0].model.parameters()])


def change_of_an_epoch(run):
    before = parameters_of(run)
    run.train_epoch()
    return parameters_of(run) - before


def test_a_step_is_no_longer_than_the_gradient_may_be():
    free, clipped = (change_of_an_epoch(run_with(clip_norm=clip)) for clip in (None, 0.25))
    assert free.norm() > 0.1 * 0.25
    torch.testing.assert_close(clipped, free * (0.1 * 0.25 / free.norm()), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(("batch_size", "accumulate"), [(30, 2), (20, 3), (24, 3)])
def test_batches_that_are_gathered_are_one_step(batch_size, accumulate):
    """Where no layer looks at the batch; also of a last, smaller batch (24, 24, 12)."""
    whole, gathered = run_with(), run_with(batch_size=batch_size, accumulate=accumulate)
    torch.testing.assert_close(change_of_an_epoch(gathered), change_of_an_epoch(whole), rtol=1e-3, atol=1e-6)


def test_an_incomplete_group_is_a_step_too():
    steps = run_with(batch_size=20, accumulate=2)
    moved = []
    steps._repeats[0]._steps.optimizer.register_step_post_hook(lambda *arguments: moved.append(1))
    steps.train_epoch()
    assert len(moved) == 2


def test_the_average_of_the_weights_is_judged_and_kept(tmp_path):
    plain, averaged = run_with("ubn"), run_with("ubn", ema_decay=0.75)
    expected = None
    for _ in range(3):  # an epoch is a step
        plain_metrics, metrics = plain.train_epoch(), averaged.train_epoch()
        state = copy.deepcopy(plain._repeats[0].model.state_dict())
        if expected is None:
            expected = state
        expected = {
            name: 0.75 * expected[name] + 0.25 * value if value.is_floating_point() else value
            for name, value in state.items()
        }
        assert metrics["train_loss"] == plain_metrics["train_loss"]
    assert metrics["val_loss"] != plain_metrics["val_loss"]
    judged = averaged._repeats[0]._steps.judged
    for name, value in judged.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, expected[name])
    averaged.save(tmp_path)
    x = torch.rand(4, 1, 8, 8) * 255
    loaded = ImageClassification().load_model(averaged.config, tmp_path)
    torch.testing.assert_close(loaded(x), judged.eval()((x - loaded.shift) * loaded.factor))


@pytest.mark.slow
def test_all_of_it_goes_on_bit_for_bit(tmp_path):
    options = {"ema_decay": 0.9, "clip_norm": 0.5, "accumulate": 2, "deterministic": True}
    optimizer = {"lr": 0.1, "norm_weight_decay": 0.0}
    whole, first, second = (run_with("ubn", 10, optimizer, **options) for _ in range(3))
    expected = [untimed(whole.train_epoch()) for _ in range(3)]
    first.train_epoch()
    first.save(tmp_path / "out")
    second.load(tmp_path / "out")
    assert [untimed(second.train_epoch()) for _ in range(2)] == expected[1:]
    assert same(weights(whole), weights(second))
    assert same(*(run._repeats[0]._steps.judged.state_dict().values() for run in (whole, second)))
    other = run_with("ubn", 10, optimizer, **{**options, "ema_decay": 0.8})
    with pytest.raises(UserError, match=r"training\.ema_decay = 0.9, but got 0.8"):
        other.load(tmp_path / "out")


def test_normalization_may_have_a_weight_decay_of_its_own():
    run = run_with("ubn", optimizer={**PLAIN, "weight_decay": 0.5, "norm_weight_decay": 0.0})
    groups = run._repeats[0]._steps.optimizer.param_groups
    assert [group["weight_decay"] for group in groups] == [0.5, 0.0]
    norms = {id(p) for p in norm_parameters(run._repeats[0].model)}
    assert {id(p) for p in groups[1]["params"]} == norms
    assert len(groups[0]["params"]) + len(norms) == len(list(run._repeats[0].model.parameters()))
    alike = run_with("ubn", optimizer={**PLAIN, "weight_decay": 0.5})
    assert [group["weight_decay"] for group in alike._repeats[0]._steps.optimizer.param_groups] == [0.5]


@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize("tf32", ["off", "convolutions", "all"])
def test_numerics_of_a_gpu_hold_within_the_block(deterministic, tf32):
    """The switches themselves need no GPU."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul

    def switches():
        return cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32

    before = switches()
    with numerics(torch.device("cuda"), deterministic=deterministic, tf32=tf32):
        assert switches() == (deterministic, not deterministic, tf32 != "off", tf32 == "all")
    assert switches() == before
    with numerics(torch.device("cpu"), deterministic=deterministic, tf32=tf32):
        assert switches() == before


def test_float16_scales_the_loss_and_passes_over_a_step_that_overflows(tmp_path):
    whole, first, second = (run_with("ubn", 20, precision="float16", clip_norm=1.0) for _ in range(3))
    expected = [untimed(whole.train_epoch()) for _ in range(2)]
    exact = run_with("ubn", 20, clip_norm=1.0).train_epoch()
    assert expected[0]["train_loss"] == pytest.approx(exact["train_loss"], rel=0.02)
    assert expected[0]["train_loss"] != exact["train_loss"]
    first.train_epoch()
    first.save(tmp_path / "out")
    second.load(tmp_path / "out")
    assert untimed(second.train_epoch()) == expected[1]
    steps = second._repeats[0]._steps
    assert steps.state_dict()["scaler"]["_growth_tracker"] == 6
    state = steps.state_dict()
    state["scaler"]["scale"] = 2.0**100  # the gradients of all three steps are inf
    steps.load_state_dict(state)
    assert not change_of_an_epoch(second).any()
    assert steps.state_dict()["scaler"]["scale"] == 2.0**97


@pytest.mark.slow
def test_a_compiled_run_computes_the_same():
    """Minutes where a C++ compiler is slow."""
    eager, compiled = (run_with("ubn", compile=flag) for flag in (False, True))
    torch._dynamo.reset()
    losses = [run.train_epoch()["train_loss"] for run in (eager, compiled)]
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] >= 1
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
    assert not math.isnan(losses[0])


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"training": {"accumulate": 0}}, "`accumulate >= 1` must hold, but got 0"),
        ({"training": {"clip_norm": 0.0}}, "`clip_norm > 0` must hold"),
        ({"training": {"ema_decay": 1.0}}, "`0 <= ema_decay < 1` must hold"),
        ({"training": {"tf32": "on"}}, "training.tf32"),
        ({"optimizer": {"norm_weight_decay": -1.0}}, "`norm_weight_decay >= 0` must hold"),
        ({"training": {"epochs": 0}}, "`epochs >= 1` must hold"),
    ],
)
def test_wrong_values_are_one_line(keys, expected):
    with pytest.raises(UserError) as caught:
        tiny_config(**keys)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
