"""What the paper's protocols need: validation on the test set, rates by the batch, condensation of fixed images."""

import pytest
import torch
from torch import nn

from tests.training.builders import tiny_config, write_image_folder
from tests.training.test_datasets import load
from tests.training.test_resume import untimed
from ubn_sweep.errors import UserError
from ubn_sweep.nn import mean_cosine_similarity
from ubn_sweep.training.classification.run import TrainingRun
from ubn_sweep.training.classification.task import ImageClassification
from ubn_sweep.training.condensation import condensation_before_norms
from ubn_sweep.training.config import OptimizerConfig
from ubn_sweep.training.models.build import apply_norm, build_model
from ubn_sweep.training.models.config import ModelConfig
from ubn_sweep.training.optimization import at_batch_size


@pytest.mark.parametrize("kind", ["digits", "parquet", "imagefolder"])
def test_the_test_set_is_validated_on_and_nothing_held_out(kind, parquet_root, tmp_path):
    keys = {"name": kind, "validate_on_test": True}
    if kind == "parquet":
        keys["root"] = str(parquet_root)
    elif kind == "imagefolder":
        write_image_folder(tmp_path, per_class=4, size=(8, 8))
        keys |= {"root": str(tmp_path), "image_size_px": 8}
    train, test = {"digits": (1438, 359), "parquet": (72, 30), "imagefolder": (12, 12)}[kind]
    splits = load(**keys)
    assert (len(splits.train), len(splits.validation), len(splits.load_test())) == (train, test, test)
    assert torch.equal(splits.validation.labels, splits.load_test().labels)
    final = load(**keys, hold_out=False)
    assert (len(final.train), final.validation) == (train, None)


def test_its_size_is_foretold_and_its_accuracy_is_the_tests():
    config = tiny_config(dataset={"validate_on_test": True})
    assert ImageClassification().examples(config) == 60
    assert ImageClassification().judges_on_test(config)
    assert not ImageClassification().judges_on_test(tiny_config())
    run = TrainingRun(config)
    metrics = run.train_epoch()
    assert run.train_examples == 200
    test = run.evaluate_test()
    assert {name.replace("test", "val"): value for name, value in test.items()}.items() <= metrics.items()


def test_two_validation_sets_are_refused():
    with pytest.raises(UserError, match="own_validation or validate_on_test, not both"):
        tiny_config(dataset={"validate_on_test": True, "own_validation": True})


def test_the_learning_rate_grows_with_the_images_of_a_step():
    optimizer = OptimizerConfig(lr=0.1, lr_at_batch_size=64)
    assert [at_batch_size(optimizer, images).lr for images in (32, 64, 256)] == pytest.approx(
        [0.05, 0.1, 0.4]
    )
    assert at_batch_size(OptimizerConfig(lr=0.1), 256).lr == 0.1
    keys = {"lr": 0.1, "lr_at_batch_size": 64, "schedule": "constant"}
    config = tiny_config(optimizer=keys, training={"batch_size": 32, "accumulate": 4})
    run = TrainingRun(config)
    assert run.train_epoch()["lr"] == pytest.approx(0.2)
    plain = tiny_config(
        optimizer={"lr": 0.2, "schedule": "constant"}, training={"batch_size": 32, "accumulate": 4}
    )
    same = TrainingRun(plain)
    same.train_epoch()
    assert untimed(run.train_epoch()) == untimed(same.train_epoch())
    with pytest.raises(UserError, match="`lr_at_batch_size >= 1` must hold, but got 0"):
        tiny_config(optimizer={"lr_at_batch_size": 0})


@pytest.mark.parametrize("norm", ["bn", "in", "gn", "ln", "rbn", "iebn", "bnet", "ubn"])
def test_condensation_is_the_similarity_before_every_normalization(norm):
    model = apply_norm(
        build_model(ModelConfig(width=4), 10, 8, 1), tiny_config(norm={"name": norm}).norm
    ).eval()
    x = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode(), condensation_before_norms(model) as measured:
        model(x)
    found = measured.read()
    assert len(found) == 1 + 7
    before = mean_cosine_similarity(model.stem.conv(x)).item()
    assert found["condensation/stem.norm"] == pytest.approx(before, rel=1e-5)
    by_layer = [value for name, value in found.items() if "/" in name]
    assert found["condensation"] == pytest.approx(sum(by_layer) / 7)
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_what_is_no_map_has_no_condensation():
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(4)).eval()
    with condensation_before_norms(model) as measured:
        model(torch.rand(3, 1, 2, 2))
    assert measured.read() == {}


@pytest.mark.parametrize("kind", ["digits", "imagefolder"])
def test_it_is_measured_on_the_same_images_and_changes_nothing(kind, image_folder_root):
    dataset = {} if kind == "digits" else {"name": kind, "root": str(image_folder_root), "image_size_px": 8}
    keys = {"dataset": dataset, "training": {"batch_size": 16}}
    plain = TrainingRun(tiny_config(**keys))
    run = TrainingRun(tiny_config(**keys | {"training": {"batch_size": 16, "condensation_images": 8}}))
    others = TrainingRun(tiny_config(**keys | {"training": {"batch_size": 16, "condensation_images": 9}}))
    expected = [untimed(plain.train_epoch()) for _ in range(2)]
    found = [untimed(run.train_epoch()) for _ in range(2)]
    extra = [name for name in found[0] if name.startswith("condensation")]
    assert len(extra) == 8
    assert [{name: one[name] for name in one if name not in extra} for one in found] == expected
    repeat = run._repeats[0]
    assert repeat.measure_condensation() == repeat.measure_condensation()
    others.train_epoch()
    others.train_epoch()
    assert others._repeats[0].measure_condensation()["condensation"] != found[1]["condensation"]


def test_condensation_needs_two_images():
    with pytest.raises(UserError, match="`condensation_images >= 2` must hold, but got 1"):
        tiny_config(training={"condensation_images": 1})
