"""Subsets and splits: sizes, proportions, disjointness."""

import numpy as np
import pytest

from ubn_sweep.errors import UserError
from ubn_sweep.training.data.config import DatasetConfig
from ubn_sweep.training.data.splits import balanced_subset, split_training_set, stratified_split

UNEQUAL = np.repeat([0, 1, 2], [5, 40, 100])


@pytest.mark.parametrize(
    ("size", "counts"),
    [(9, [3, 3, 3]), (10, [3, 3, 4]), (15, [5, 5, 5]), (45, [5, 20, 20]), (144, [5, 40, 99])],
)
def test_a_subset_is_as_balanced_as_the_classes_allow(size, counts):
    chosen = balanced_subset(UNEQUAL, size, seed=0, key="n")
    assert len(set(chosen.tolist())) == size
    assert sorted(np.bincount(UNEQUAL[chosen], minlength=3)) == counts
    assert (np.diff(chosen) > 0).all()


def test_a_subset_follows_its_seed():
    one, again, other = (balanced_subset(UNEQUAL, 30, seed=seed, key="n") for seed in (1, 1, 2))
    assert (one == again).all()
    assert (one != other).any()


def test_all_or_too_many():
    assert (balanced_subset(UNEQUAL, None, seed=0, key="n") == np.arange(145)).all()
    with pytest.raises(UserError, match=r"dataset.test_examples: there are 145 images, but got 146"):
        balanced_subset(UNEQUAL, 146, seed=0, key="dataset.test_examples")


@pytest.mark.parametrize("fraction", [0.01, 0.2, 0.5, 0.99])
def test_a_split_is_disjoint_complete_and_stratified(fraction):
    rest, held_out = stratified_split(UNEQUAL, fraction, seed=3)
    assert sorted([*rest, *held_out]) == list(range(145))
    for label, size in enumerate(np.bincount(UNEQUAL)):
        held = (UNEQUAL[held_out] == label).sum()
        assert 1 <= held < size
        assert abs(held - fraction * size) <= 1


def test_too_few_images_for_a_split_are_told():
    with pytest.raises(UserError, match=r"dataset\.validation_fraction.*of 2 it leaves"):
        split_training_set(np.array([0, 1]), DatasetConfig())
