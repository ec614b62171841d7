"""scikit-learn's handwritten digits, 8x8 and grey, which come with the package."""

from __future__ import annotations

import numpy as np

from ubn_sweep.training.data.dataset import Part, Sizes
from ubn_sweep.training.data.in_memory import InMemoryDataset
from ubn_sweep.training.data.labelled import LabelledImages
from ubn_sweep.training.data.splits import stratified_split

TEST_SHARE = 0.2
HIGHEST = 16
TRAIN_PER_CLASS = (142, 146, 142, 146, 145, 146, 145, 143, 139, 144)


class Digits(InMemoryDataset):
    """1,797 images; a fifth of each class, the same always, is the test set."""

    def sizes(self) -> Sizes:
        """Known beforehand."""
        return Sizes(train=sum(TRAIN_PER_CLASS), test=359, train_per_class=TRAIN_PER_CLASS)

    def read(self, part: Part) -> LabelledImages:
        """Out of the package."""
        from sklearn.datasets import load_digits  # takes a second to import

        digits = load_digits()
        pixels = np.rint(digits.images * (255 / HIGHEST)).astype(np.uint8)[:, None]
        labels = digits.target.astype(np.int64)
        train, test = stratified_split(labels, TEST_SHARE, seed=0)
        chosen = train if part == "train" else test
        return LabelledImages(pixels=pixels[chosen], labels=labels[chosen], num_classes=10)
