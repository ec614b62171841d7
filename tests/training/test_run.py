"""What a run does: metrics, seeds, splits, divergence."""

import math

import pytest
import torch

from tests.training.builders import tiny_config
from ubn_sweep.training.classification.run import TrainingRun

GATED = {"name": "ubn", "threshold": 0.3}
COMMON = {
    *("train_loss", "train_top1", "lr", "epoch_s", "images_per_s"),
    *("val_loss", "val_top1", "val_top5", "val_examples", "val_images_per_s", "parameters"),
}


def weights(run: TrainingRun) -> list[torch.Tensor]:
    return [tensor for repeat in run._repeats for tensor in repeat.model.state_dict().values()]


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_metrics_of_an_epoch_without_a_gate():
    run = TrainingRun(tiny_config())
    assert run.epoch == 0
    metrics = run.train_epoch()
    assert run.epoch == 1
    assert set(metrics) == COMMON
    assert all(isinstance(value, float) and math.isfinite(value) for value in metrics.values())
    assert 0 <= metrics["val_top1"] <= metrics["val_top5"] <= 1
    assert metrics["val_examples"] == run.validation_examples
    assert metrics["parameters"] == sum(parameter.numel() for parameter in run._repeats[0].model.parameters())
    assert metrics["val_images_per_s"] > 0
    # A share of the validation images.
    assert metrics["val_top1"] * run.validation_examples == pytest.approx(
        round(metrics["val_top1"] * run.validation_examples)
    )


def test_it_tells_which_images_were_right():
    run = TrainingRun(tiny_config(repeats=2))
    assert run.correct is None
    metrics = run.train_epoch()
    assert run.correct.shape == (2, run.validation_examples)
    assert run.correct.mean() == pytest.approx(metrics["val_top1"])
    assert run.evaluate_test()["test_top1"] == pytest.approx(run.correct.mean())
    assert run.correct.shape == (2, run.test_examples)


def test_metrics_tell_how_condensed_each_layer_is():
    run = TrainingRun(tiny_config(norm=GATED))
    metrics = run.train_epoch()
    layers = [name.removeprefix("similarity/") for name in metrics if name.startswith("similarity/")]
    assert len(layers) == 7  # the stem's and two in each of three blocks
    assert set(metrics) == COMMON | {"similarity", "gate_open"} | {
        f"{key}/{layer}" for key in ("similarity", "gate_open") for layer in layers
    }
    for key in ("similarity", "gate_open"):
        values = [metrics[f"{key}/{layer}"] for layer in layers]
        assert metrics[key] == pytest.approx(sum(values) / len(values))
    modules = dict(run._repeats[0].model.named_modules())
    assert metrics[f"similarity/{layers[0]}"] == modules[layers[0]].running_similarity.item()


def test_the_share_of_open_batches_follows_the_threshold():
    never = TrainingRun(tiny_config(norm={"name": "ubn", "threshold": 1.5})).train_epoch()
    always = TrainingRun(tiny_config(norm={"name": "ubn", "threshold": -1.5})).train_epoch()
    # 150 images make five batches; the first one is accepted always.
    assert never["gate_open"] == pytest.approx(1 / 5)
    assert always["gate_open"] == 1


def test_no_condensation_is_told_where_the_gate_is_off():
    metrics = TrainingRun(tiny_config(norm={"name": "ubn", "gate": False, "threshold": None})).train_epoch()
    assert set(metrics) == COMMON


def test_top5_is_left_out_where_it_says_nothing(three_classes):
    metrics = TrainingRun(tiny_config(dataset=three_classes)).train_epoch()
    assert set(metrics) == COMMON - {"val_top5"}


def test_it_learns_digits():
    run = TrainingRun(
        tiny_config(dataset={"train_examples": None, "test_examples": None}, model={"width": 8})
    )
    metrics = [run.train_epoch() for _ in range(4)]
    assert metrics[-1]["val_top1"] > 0.9
    assert metrics[-1]["train_loss"] < metrics[0]["train_loss"]
    assert run.evaluate_test()["test_top1"] > 0.9


def test_a_seed_reproduces_and_another_differs():
    runs = [TrainingRun(tiny_config(seed=seed, dataset={"augmentation": "crop_flip"})) for seed in (3, 3, 4)]
    metrics = [run.train_epoch() for run in runs]
    assert same(weights(runs[0]), weights(runs[1]))
    assert metrics[0]["train_loss"] == metrics[1]["train_loss"]
    assert metrics[0]["train_loss"] != metrics[2]["train_loss"]


@pytest.mark.slow
def test_repeats_are_the_single_runs_and_metrics_their_means():
    both = TrainingRun(tiny_config(seed=5, repeats=2, norm=GATED))
    singles = [TrainingRun(tiny_config(seed=seed, norm=GATED)) for seed in (5, 6)]
    metrics, single_metrics = both.train_epoch(), [run.train_epoch() for run in singles]
    assert same(weights(both), weights(singles[0]) + weights(singles[1]))
    a, b = (one["val_top1"] for one in single_metrics)
    assert metrics["val_top1"] == pytest.approx((a + b) / 2)
    assert metrics["val_top1_std"] == pytest.approx(abs(a - b) / math.sqrt(2))
    tests = [run.evaluate_test() for run in (both, *singles)]
    assert tests[0]["test_loss"] == pytest.approx((tests[1]["test_loss"] + tests[2]["test_loss"]) / 2)
    assert set(tests[0]) - set(tests[1]) == {"test_top1_std"}
    for key in ("similarity", "gate_open", "val_loss", "train_top1"):
        assert metrics[key] == pytest.approx(sum(one[key] for one in single_metrics) / 2)


def test_all_trials_of_a_sweep_share_the_split_whatever_their_seed():
    one, other = (TrainingRun(tiny_config(seed=seed))._dataset for seed in (0, 1))
    assert torch.equal(one.validation.pixels, other.validation.pixels)
    moved = TrainingRun(tiny_config(dataset={"split_seed": 1}))._dataset
    assert not torch.equal(one.validation.pixels, moved.validation.pixels)


def test_validation_training_and_test_images_are_disjoint():
    whole = tiny_config(dataset={"train_examples": None, "test_examples": None})
    dataset = TrainingRun(whole)._dataset
    parts = [dataset.train, dataset.validation, dataset.load_test()]
    seen = [{image.numpy().tobytes() for image in part.pixels} for part in parts]
    # The 1,797 digits are all different, so that images identify themselves.
    assert sum(map(len, seen)) == len(set.union(*seen)) == 1797


def test_the_final_training_holds_nothing_out():
    config = tiny_config()
    swept, final = TrainingRun(config), TrainingRun(config, hold_out=False)
    assert final.validation_examples == 0
    assert final.train_examples == swept.train_examples + swept.validation_examples == 200
    metrics = final.train_epoch()
    assert not [key for key in metrics if key.startswith("val")]
    assert set(final.evaluate_test()) == {"test_loss", "test_top1", "test_top5"}


@pytest.mark.parametrize("norm", [{"name": "bn"}, GATED])
@pytest.mark.parametrize("optimizer", [{"name": "sgd", "lr": 1e9}, {"name": "adamw", "lr": 1e30}])
def test_divergence_is_no_exception(norm, optimizer):
    run = TrainingRun(tiny_config(norm=norm, optimizer=optimizer, repeats=2))
    for _ in range(4):
        metrics = run.train_epoch()
        if run.diverged:
            break
    assert run.diverged
    assert math.isnan(metrics["val_top1"])
    assert math.isnan(metrics["val_loss"])
    assert math.isnan(metrics["val_top1_std"])
    assert run.epoch >= 1


def test_nothing_draws_from_the_global_generator():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    run = TrainingRun(tiny_config(dataset={"augmentation": "resized_crop_flip"}))
    run.train_epoch()
    run.evaluate_test()
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    "training",
    [{"precision": "bfloat16"}, {"channels_last": True}, {"batch_size": 500}, {"eval_batch_size": 7}],
)
def test_other_ways_to_train(training):
    metrics = TrainingRun(tiny_config(training=training)).train_epoch()
    assert math.isfinite(metrics["val_loss"])


def test_the_evaluation_batch_does_not_change_the_result():
    one, other = (TrainingRun(tiny_config(training={"eval_batch_size": size})) for size in (7, 512))
    assert one.train_epoch()["val_loss"] == pytest.approx(other.train_epoch()["val_loss"], rel=1e-5)
