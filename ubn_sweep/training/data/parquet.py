"""A data set of Hugging Face's, saved as Parquet files with its images embedded."""

from __future__ import annotations

from pathlib import Path

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
    where there is none; with `own_validation` these are the validation set. The columns are found by their types and by
    Hugging Face's metadata."""

    has_validation = True

    def check(self) -> None:
        """Whether both parts are there, each shard with a column of images and one of labels, the test images'
        labels among them."""
        for part in self._parts():
            for shard in self._shards(part):
                layout_of(shard)
        check_test_labels(self._shards("test"))
        super().check()

    def sizes(self) -> Sizes | None:
        """From the files' footers; None where there are no such files."""
        try:
            rows = {part: count_rows(self._shards(part)) for part in self._parts()}
        except UserError:  # `check` is there to tell it
            return None
        return Sizes(train=rows["train"], test=rows["test"], validation=rows.get("validation"))

    def fingerprint(self, part: Part) -> Fingerprint:
        """Of the part's shards."""
        return fingerprint_of(self._shards(part))

    def read(self, part: Part) -> LabelledImages:
        """All rows."""
        return self.read_chosen(part, lambda labels: np.arange(len(labels)))

    def read_chosen(self, part: Part, choose: Choose) -> LabelledImages:
        """Rows are chosen before their images are decoded."""
        from ubn_sweep.training.data.parquet_reading import read_parquet  # decodes; looking needs none of it

        return read_parquet(self._shards(part), choose, image_size_px=self.config.image_size_px)

    def _parts(self) -> tuple[Part, ...]:
        return ("train", "validation", "test") if self.config.own_validation else ("train", "test")

    def _shards(self, part: Part) -> list[Path]:
        return shards_of(self.root(), part, own_validation=self.config.own_validation)
