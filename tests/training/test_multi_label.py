"""Images with any number of labels: learned, judged, kept, and one line for what is wrong."""

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from tests.training.builders import tiny_config
from tests.training.test_resume import untimed
from ubn_sweep.errors import UserError
from ubn_sweep.training.classification.answers import ManyLabels
from ubn_sweep.training.data.in_memory import InMemoryDataset
from ubn_sweep.training.data.labelled import LabelledImages, checked
from ubn_sweep.training.finding import find_task

MANY, ONE = "trainables.multi_label:MultiLabel", "trainables.classification:Classification"
NAME = f"{__name__}:Corners"


class Corners(InMemoryDataset):
    """8x8 noise, whose corners are bright as its three labels say; a fourth label is never there."""

    def read(self, part):
        dice = np.random.default_rng(["train", "test"].index(part))
        labels = np.zeros((160 if part == "train" else 40, 4), np.uint8)
        labels[:, :3] = dice.integers(0, 2, (len(labels), 3))
        pixels = dice.integers(0, 100, (len(labels), 1, 8, 8)).astype(np.uint8)
        for label, corner in enumerate(np.ix_((0, 4), (0, 4))[0].ravel().repeat(2)[:3]):
            place = (slice(corner, corner + 4), slice(4 * (label % 2), 4 * (label % 2) + 4))
            pixels[labels[:, label] == 1, 0, place[0], place[1]] += 120
        return LabelledImages(pixels=pixels, labels=labels, num_classes=4)


def config_of(**more):
    sections = {"dataset": {"name": NAME, "validation_fraction": 0.25}, "norm": {"name": "bn"},
                "optimizer": {"lr": 0.1}, "training": {"epochs": 4, "batch_size": 16}}  # fmt: skip
    return tiny_config(**sections | more)


def test_it_learns_and_is_judged_as_sklearn_judges(tmp_path):
    task, config = find_task(MANY), config_of()
    assert task.promise.name == "val_map"
    run = task.start(config)
    for _ in range(4):
        metrics = run.train_epoch()
    assert metrics["val_map"] > 0.8  # half of the labels are 1
    assert metrics["val_label_accuracy"] > 0.7
    run.save(tmp_path)
    validation = run._dataset.validation
    model = task.load_model(config, tmp_path)
    logits, labels = model(validation.pixels.cpu()).detach(), validation.labels.cpu()
    expected = average_precision_score(labels[:, :3], logits[:, :3], average="macro")
    assert metrics["val_map"] == pytest.approx(expected, abs=1e-6)
    right = (logits > 0) == labels.bool()
    assert metrics["val_label_accuracy"] == pytest.approx(right.double().mean().item())
    assert metrics["val_exact"] == pytest.approx(right.all(1).double().mean().item())
    assert np.array_equal(run.correct[0], right.all(1).numpy())
    assert metrics["val_loss"] == pytest.approx(
        torch.nn.functional.binary_cross_entropy_with_logits(logits, labels.float()).item(), rel=1e-4
    )
    assert {"test_map", "test_exact"} <= run.evaluate_test().keys()


def test_it_goes_on_bit_for_bit_and_repeats_tell_their_spread(tmp_path):
    task, config = find_task(MANY), config_of(repeats=2, optimizer={"lr": 0.1, "label_smoothing": 0.1})
    whole, first, second = (task.start(config) for _ in range(3))
    expected = [untimed(whole.train_epoch()) for _ in range(2)]
    first.train_epoch()
    first.save(tmp_path / "out")
    second.load(tmp_path / "out")
    assert untimed(second.train_epoch()) == expected[1]
    assert expected[1]["val_map_std"] > 0


def test_smoothing_moves_targets_towards_the_middle():
    logits, labels = torch.tensor([[2.0, -1.0]]), torch.tensor([[1, 0]], dtype=torch.uint8)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.tensor([[0.9, 0.1]]))
    torch.testing.assert_close(ManyLabels(0.2).loss(logits, labels), expected)


def test_labels_that_no_image_has_count_for_nothing():
    logits, labels = torch.randn(6, 2), torch.zeros(6, 2, dtype=torch.uint8)
    assert np.isnan(ManyLabels(0.0).of_all(logits, labels, "val")["val_map"])


def test_tasks_and_labels_that_do_not_go_together_are_one_line():
    with pytest.raises(
        UserError, match=r"one label each, but those of .* have any number: take trainables.multi_l"
    ):
        find_task(ONE).start(config_of())
    with pytest.raises(
        UserError, match=r"any number label each, but those of `digits` have one: take trainables.cl"
    ):
        find_task(MANY).start(tiny_config())


@pytest.mark.parametrize("labels", [[[0, 1], [2, 0]], [[0], [1]], [[0.5, 1.0], [0.0, 1.0]]])
def test_rows_are_0_and_1(labels):
    images = LabelledImages(pixels=np.zeros((2, 1, 4, 4), np.uint8), labels=np.array(labels), num_classes=2)
    with pytest.raises(UserError, match=r"rows of labels in `mine` must be 0 and 1 of shape \(N, 2\)"):
        checked(images, where="mine")
