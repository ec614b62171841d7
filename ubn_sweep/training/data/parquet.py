"""A data set of Hugging Face's, saved as Parquet files with its images embedded."""

from __future__ import annotations

import numpy as np

from ubn_sweep.errors import UserError
from ubn_sweep.training.data.dataset import Fingerprint, Part, Sizes, fingerprint_of
from ubn_sweep.training.data.in_memory import Choose, InMemoryDataset
from ubn_sweep.training.data.labelled import LabelledImages
from ubn_sweep.training.data.parquet_layout import (
    check_test_labels,
    count_rows,
    layout_of,
    shards_of,
)


class Parquet(InMemoryDataset):
    """`root/train-*.parquet` is the training set, `root/test-*.parquet` the test set, or `validation`, `valid` or `val`
    where there is none. The columns are found by their types and by Hugging Face's metadata."""

    def check(self) -> None:
        """Whether both parts are there, each shard with a column of images and one of labels, the test images'
        labels among them."""
        root = self.root()
        for shard in (*shards_of(root, "train"), *shards_of(root, "test")):
            layout_of(shard)
        check_test_labels(shards_of(root, "test"))
        super().check()

    def sizes(self) -> Sizes | None:
        """From the files' footers; None where there are no such files."""
        try:
            root = self.root()
            return Sizes(train=count_rows(shards_of(root, "train")), test=count_rows(shards_of(root, "test")))
        except UserError:  # `check` is there to tell it
            return None

    def fingerprint(self, part: Part) -> Fingerprint:
        """Of the part's shards."""
        return fingerprint_of(shards_of(self.root(), part))

    def read(self, part: Part) -> LabelledImages:
        """All rows."""
        return self.read_chosen(part, lambda labels: np.arange(len(labels)))

    def read_chosen(self, part: Part, choose: Choose) -> LabelledImages:
        """Rows are chosen before their images are decoded."""
        from ubn_sweep.training.data.parquet_reading import read_parquet  # decodes; looking needs none of it

        return read_parquet(shards_of(self.root(), part), choose, image_size_px=self.config.image_size_px)
