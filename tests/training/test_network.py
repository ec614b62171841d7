"""A run of one network and one optimizer: resumed, diverged, loaded, trained on all rows."""

import dataclasses

import pytest
import torch
from torch import nn

from trainables.table_regression import TableConfig, TableRegression
from ubn_sweep.training.config import OptimizerConfig, TrainingConfig

CONFIG = TableConfig(training=TrainingConfig(epochs=4, batch_size=64), seed=3)


class WithDropout(TableRegression):
    def network(self, config):
        return nn.Sequential(nn.Dropout(0.5), super().network(config))


def weights(run):
    return torch.cat([value.flatten().float() for value in run.network.state_dict().values()])


@pytest.mark.slow
def test_a_resumed_run_is_the_one_that_never_stopped_dropout_included(tmp_path):
    whole, first = (WithDropout().start(CONFIG) for _ in range(2))
    told = [whole.train_epoch() for _ in range(4)]
    assert [first.train_epoch() for _ in range(2)] == told[:2]
    first.save(tmp_path)
    torch.manual_seed(99)  # whatever the process drew in between
    second = WithDropout().start(CONFIG)
    second.load(tmp_path)
    assert [second.train_epoch() for _ in range(2)] == told[2:]
    assert torch.equal(weights(second), weights(whole))


def test_a_seed_decides_the_weights():
    runs = [TableRegression().start(dataclasses.replace(CONFIG, seed=seed)) for seed in (1, 1, 2)]
    assert torch.equal(weights(runs[0]), weights(runs[1]))
    assert not torch.equal(weights(runs[0]), weights(runs[2]))


def test_the_final_training_holds_nothing_out_and_learns_from_more():
    run = TableRegression().start(CONFIG, hold_out=False)
    assert set(run.train_epoch()) == {"train_rmse"}
    assert run.evaluate_validation() == {}
    held_out = TableRegression().start(CONFIG)
    assert set(held_out.train_epoch()) == {"train_rmse", "val_rmse"}
    assert not torch.equal(weights(run), weights(held_out))
    assert set(run.evaluate_test()) == {"test_rmse"}


def test_weights_that_are_no_numbers_are_noticed():
    run = TableRegression().start(
        dataclasses.replace(CONFIG, optimizer=OptimizerConfig(lr=1e30, momentum=0.0, nesterov=False))
    )
    assert not run.diverged
    for _ in range(4):
        run.train_epoch()
    assert run.diverged


def test_a_trained_network_is_loaded_ready_for_use(tmp_path):
    run = TableRegression().start(CONFIG)
    run.train_epoch()
    run.save(tmp_path)
    model = TableRegression().load_model(CONFIG, tmp_path)
    assert not model.training
    x = torch.randn(5, 10, generator=torch.Generator().manual_seed(0))
    run.network.eval()
    assert torch.equal(model(x), run.network(x))


@pytest.mark.parametrize("part", ["learn", "judge"])
def test_what_is_left_out_is_said(part):
    from ubn_sweep.training.network import NetworkRun

    run = NetworkRun(TableRegression(), CONFIG, hold_out=True)
    with pytest.raises(NotImplementedError, match="NetworkRun must say how it"):
        getattr(run, part)(*["val"] * (part == "judge"))


def test_the_learning_rate_follows_the_schedule():
    steps = OptimizerConfig(lr=0.1, schedule="step", step_epochs=(1, 3), step_factor=0.5)
    run = TableRegression().start(dataclasses.replace(CONFIG, optimizer=steps))
    rates = []
    for _ in range(4):
        run.train_epoch()
        rates.append(run.optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.1, 0.05, 0.05, 0.025])
