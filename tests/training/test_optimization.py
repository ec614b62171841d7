"""Learning rates step by step, and which images make an epoch's batches."""

import pytest
import torch

from ubn_sweep.training.config import OptimizerConfig
from ubn_sweep.training.data.images import batch_ends
from ubn_sweep.training.optimization import build_optimizer, learning_rate


def rates(epochs=4, steps_per_epoch=5, **keys):
    config = OptimizerConfig(lr=0.8, **keys)
    steps = range(epochs * steps_per_epoch)
    return [learning_rate(config, step, steps_per_epoch=steps_per_epoch, epochs=epochs) for step in steps]


def test_cosine_is_that_of_torch():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.8)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20)
    expected = []
    for _ in range(20):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates(schedule="cosine") == pytest.approx(expected)


def test_step():
    expected = [0.8] * 5 + [0.08] * 10 + [0.008] * 5
    assert rates(schedule="step", step_epochs=(1, 3)) == pytest.approx(expected)


def test_warmup_rises_in_equal_steps_to_the_full_rate():
    values = rates(schedule="constant", warmup_epochs=0.8)
    assert values == pytest.approx([0.2, 0.4, 0.6, 0.8] + [0.8] * 16)
    cosine = rates(schedule="cosine", warmup_epochs=1.0)
    assert cosine[:6] == pytest.approx([0.16, 0.32, 0.48, 0.64, 0.8, 0.8])
    assert cosine[6:] == sorted(cosine[6:], reverse=True)


def test_a_warmup_longer_than_the_run_only_rises():
    assert rates(warmup_epochs=99.0) == pytest.approx([0.04 * step for step in range(1, 21)])


def test_the_optimizers_get_the_configs_numbers():
    parameter = torch.nn.Parameter(torch.zeros(1))
    sgd = build_optimizer(OptimizerConfig(momentum=0.5, nesterov=True, weight_decay=0.1), [parameter])
    assert isinstance(sgd, torch.optim.SGD)
    assert {key: sgd.defaults[key] for key in ("momentum", "nesterov", "weight_decay")} == {
        "momentum": 0.5,
        "nesterov": True,
        "weight_decay": 0.1,
    }
    adamw = build_optimizer(OptimizerConfig(name="adamw", lr=0.01, weight_decay=0.2), [parameter])
    assert isinstance(adamw, torch.optim.AdamW)
    assert (adamw.defaults["lr"], adamw.defaults["weight_decay"]) == (0.01, 0.2)


@pytest.mark.parametrize(
    ("examples", "batch_size", "sizes"),
    [
        (12, 4, [4, 4, 4]),
        (14, 4, [4, 4, 4, 2]),  # half a batch is kept
        (13, 4, [4, 4, 4]),  # less is not
        (5, 2, [2, 2]),  # one image alone never
        (3, 8, [3]),
        (2, 2, [2]),
    ],
)
def test_the_last_batch(examples, batch_size, sizes):
    ends = batch_ends(examples, batch_size)
    assert [end - begin for begin, end in ends] == sizes
    assert [begin for begin, _ in ends] == [0, *(end for _, end in ends[:-1])]
