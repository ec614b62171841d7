"""Subsets and splits that keep the classes in proportion. Indices only, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ubn_sweep.errors import UserError
from ubn_sweep.training.data.config import DatasetConfig
from ubn_sweep.training.data.dataset import Sizes

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class SplitSizes:
    """Images of a run's splits."""

    train: int
    validation: int
    exact: bool
    """False where they are rounded: a few more or less."""


def balanced_subset(labels: Indices, size: int | None, *, seed: int, key: str) -> Indices:
    """`size` indices in ascending order, as equal in number over the classes as these allow; None takes all.

    Raises:
        UserError: there are fewer examples than `size`; `key` is the place that it names.
    """
    if size is None or size == len(labels):
        return np.arange(len(labels), dtype=np.int64)
    if size > len(labels):
        raise UserError(f"{key}: there are {len(labels)} images, but got {size}: lower it, or null for all")
    generator = np.random.default_rng([seed, 1])
    members = _by_class(labels)
    chosen = [
        generator.permutation(indices)[:count]
        for indices, count in zip(members, _equal_shares([len(m) for m in members], size), strict=True)
    ]
    return np.sort(np.concatenate(chosen))


def stratified_split(labels: Indices, fraction: float, *, seed: int) -> tuple[Indices, Indices]:
    """Indices of the rest and of the held-out `fraction`, each ascending; disjoint, and together everything.

    The fraction holds class by class, rounded; a class with at least two examples is on both sides.
    """
    generator = np.random.default_rng([seed, 2])
    rest, held_out = [], []
    for indices in _by_class(labels):
        count = _held_out(len(indices), fraction)
        shuffled = generator.permutation(indices)
        held_out.append(shuffled[:count])
        rest.append(shuffled[count:])
    return np.sort(np.concatenate(rest)), np.sort(np.concatenate(held_out))


def split_training_set(labels: Indices, dataset: DatasetConfig) -> tuple[Indices, Indices]:
    """Indices to train on and to validate on, the same for all trials that share the dataset's config.

    Raises:
        UserError: there are too few images for both.
    """
    rest, held_out = stratified_split(labels, dataset.validation_fraction, seed=dataset.split_seed)
    if len(rest) < 2 or len(held_out) < 1:
        raise UserError(
            f"dataset.validation_fraction: must leave two images to train on and one to validate on, but of "
            f"{len(labels)} it leaves {len(rest)} and {len(held_out)}: take more images or another share"
        )
    return rest, held_out


def split_sizes(sizes: Sizes | None, dataset: DatasetConfig) -> SplitSizes | None:
    """Images to train on and to validate on, before any is read; None where the training set's size is not known.

    Exact where the sizes of the classes are known; else rounded over the whole set, while the split rounds class by
    class: a few images more or less.
    """
    if dataset.validate_on_test:
        if sizes is None:
            return None
        train, test = dataset.train_examples, dataset.test_examples
        return SplitSizes(
            train=sizes.train if train is None else train,
            validation=sizes.test if test is None else test,
            exact=True,
        )
    if dataset.own_validation:
        if sizes is None or sizes.validation is None:
            return None
        train = sizes.train if dataset.train_examples is None else dataset.train_examples
        return SplitSizes(train=train, validation=sizes.validation, exact=True)
    if sizes is not None and sizes.train_per_class is not None:
        per_class = list(sizes.train_per_class)
        if dataset.train_examples is not None:
            per_class = _equal_shares(per_class, min(dataset.train_examples, sum(per_class)))
        held_out = sum(_held_out(count, dataset.validation_fraction) for count in per_class)
        return SplitSizes(train=sum(per_class) - held_out, validation=held_out, exact=True)
    total = dataset.train_examples
    if total is None:
        total = None if sizes is None else sizes.train
    if total is None:
        return None
    held_out = max(1, round(total * dataset.validation_fraction))
    return SplitSizes(train=total - held_out, validation=held_out, exact=False)


def _held_out(examples: int, fraction: float) -> int:
    """Of a class; one with at least two examples is on both sides."""
    count = round(fraction * examples)
    return min(max(count, 1), examples - 1) if examples >= 2 else count


def _by_class(labels: Indices) -> list[Indices]:
    """The examples of each class; all together where they have rows of labels."""
    if labels.ndim == 2:
        return [np.arange(len(labels))]
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]


def _equal_shares(sizes: list[int], total: int) -> list[int]:
    """Shares that add up to `total`, in the order of `sizes`; a class too small gives all it has, and larger ones
    make up for it."""
    shares = [0] * len(sizes)
    waiting = sorted(range(len(sizes)), key=lambda i: sizes[i])
    for position, i in enumerate(waiting):
        shares[i] = min(sizes[i], (total - sum(shares)) // (len(waiting) - position))
    for i in reversed(waiting):
        more = min(sizes[i] - shares[i], total - sum(shares))
        shares[i] += more
    return shares
