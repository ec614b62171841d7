"""A model of one's own, any of torchvision's, and pretrained weights: used, checked, and one line for what is wrong."""

import copy
import re
from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn

from tests.support.processes import REPOSITORY
from tests.training.builders import tiny_config
from tests.training.going_on import goes_on_bit_for_bit
from ubn_sweep import schema
from ubn_sweep.errors import UserError
from ubn_sweep.nn import UnifiedBatchNorm2d
from ubn_sweep.training.classification.config import ClassificationConfig
from ubn_sweep.training.classification.run import TrainingRun
from ubn_sweep.training.classification.task import ImageClassification
from ubn_sweep.training.models.build import apply_norm, build_model
from ubn_sweep.training.models.config import ModelConfig
from ubn_sweep.training.models.names import TORCHVISION
from ubn_sweep.training.models.weights import load_weights

OWN = {"name": "tests.support.own_models:plain", "options": {"depth": 2}, "width": 16}


def network_of(run):
    return run._repeats[0].model


@pytest.mark.slow
def test_a_model_of_ones_own_trains_and_goes_on_bit_for_bit(tmp_path):
    config = tiny_config(model=OWN, norm={"name": "ubn"})
    run = goes_on_bit_for_bit(config, tmp_path / "out")
    assert sum(isinstance(module, UnifiedBatchNorm2d) for module in network_of(run)) == 2
    run.save(tmp_path / "out")
    loaded = ImageClassification().load_model(config, tmp_path / "out")
    assert loaded(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
    deeper = TrainingRun(tiny_config(model={**OWN, "options": {"depth": 3}}, norm={"name": "ubn"}))
    with pytest.raises(UserError, match=r"model\.options\.depth = 2, but got 3"):
        deeper.load(tmp_path / "out")


def test_the_documented_model_is_the_tested_one():
    documented = re.search(r"```python\n(.*?)```", (REPOSITORY / "docs" / "models.md").read_text(), re.S)[1]
    assert (REPOSITORY / "tests" / "support" / "own_models.py").read_text().startswith(documented)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"name": "resnet9"}, "model.name: should be 'resnet8', 'resnet20', a classifier of torchvision's"),
        ({"name": "resnet9"}, "(did you mean `resnet8`?)"),
        ({"name": "resnet8", "options": {"depth": 2}}, "`resnet8` has none, but got `depth`: remove it"),
        ({"name": "nowhere:plain"}, "model.name: `nowhere` is no module that can be imported"),
        ({"name": "tests.support.own_models:plane"}, "has no function `plane`; it has nothing, plain"),
        (
            {"options": {}},
            "model.options: `tests.support.own_models:plain` is called with num_classes, in_ch",
        ),
        ({"options": {"depth": 2, "dept": 1}}, "'dept'"),
        ({"options": {"depth": 2, "in_channels": 1}}, "`in_channels` is known from the data: remove it"),
        ({"weights": "/absent.pt"}, "model.weights: there is no file `/absent.pt`"),
    ],
)
def test_what_is_wrong_is_one_line_before_anything_starts(keys, expected):
    with pytest.raises(UserError) as caught:
        ImageClassification().check(
            schema.parse(ClassificationConfig, {"model": {**OWN, **keys}}, source="test")
        )
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_only_building_can_tell_is_one_line():
    nothing = ModelConfig(name="tests.support.own_models:nothing")
    with pytest.raises(
        UserError, match=r"^model.name: `.*:nothing` must return a torch.nn.Module, but returned N"
    ):
        build_model(nothing, 10, 8, 1)
    with pytest.raises(UserError, match=r"^model.options: torchvision's `vgg11_bn` refuses .*'depth'"):
        build_model(ModelConfig(name="vgg11_bn", options={"depth": 3}), 10, 32, 3)


def test_the_names_are_torchvisions():
    assert set(torchvision.models.list_models(module=torchvision.models)) == set(TORCHVISION)


@pytest.mark.parametrize(
    "name", ["vgg11_bn", "mobilenet_v3_small", "shufflenet_v2_x0_5", "googlenet", "vit_b_32"]
)
def test_torchvisions_networks_take_any_channels_and_classes(name):
    with torch.device("meta"):
        model = build_model(ModelConfig(name=name), 7, 64, 5)
    logits = model(torch.zeros(2, 5, 64, 64, device="meta"))
    assert logits.shape == (2, 7)


def test_torchvisions_arguments():
    model = build_model(ModelConfig(name="resnet18", options={"zero_init_residual": True}), 10, 32, 3)
    assert not model.layer1[0].bn2.weight.any()
    with pytest.raises(
        UserError, match="`ubn` takes the place of BatchNorm2d layers, but SqueezeNet has none"
    ):
        apply_norm(
            build_model(ModelConfig(name="squeezenet1_1"), 10, 64, 3), tiny_config(norm={"name": "ubn"}).norm
        )


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """Two epochs of a run with BN: its network and the file of its weights."""
    run = TrainingRun(tiny_config(model=OWN))
    for _ in range(2):
        run.train_epoch()
    network, file = network_of(run), tmp_path_factory.mktemp("weights") / "weights.pt"
    torch.save(network.state_dict(), file)
    return network, file


@pytest.mark.parametrize("norm", ["bn", "rbn", "iebn", "bnet", "ubn"])
def test_pretrained_weights_compute_what_they_did(pretrained, norm):
    network, file = pretrained
    config = tiny_config(model={**OWN, "weights": str(file)}, norm={"name": norm})
    ImageClassification().check(config)
    x = torch.rand(5, 1, 8, 8)
    torch.testing.assert_close(
        network_of(TrainingRun(config)).eval()(x), copy.deepcopy(network).eval()(x), rtol=1e-4, atol=1e-5
    )


def test_a_classifier_for_other_classes_starts_anew(pretrained, tmp_path):
    network, file = pretrained
    fresh = build_model(ModelConfig(**OWN), 4, 8, 1)
    before = copy.deepcopy(fresh[-1])
    torch.save(
        {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in torch.load(file).items()}}, tmp_path / "w.pt"
    )
    load_weights(fresh, str(tmp_path / "w.pt"))
    assert torch.equal(fresh[-1].weight, before.weight)
    assert torch.equal(fresh[0].weight, network[0].weight)
    assert torch.equal(fresh[1].running_var, network[1].running_var)


def _damaged(path: Path):
    path.write_bytes(b"no weights")


def _a_list(path: Path):
    torch.save([1, 2], path)


def _of_another_network(path: Path):
    torch.save(nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8)).state_dict(), path)


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (_damaged, "cannot be read as weights that torch.save wrote"),
        (_a_list, "must hold names and tensors"),
        (_of_another_network, r"of `3.weight` the model has shape \(8, 8, 3, 3\), the file nothing"),
    ],
)
def test_other_files_are_one_line(tmp_path, write, expected):
    write(tmp_path / "weights.pt")
    with pytest.raises(UserError, match=rf"^model.weights: .*{expected}") as caught:
        TrainingRun(tiny_config(model={**OWN, "weights": str(tmp_path / "weights.pt")}))
    assert "\n" not in str(caught.value)
