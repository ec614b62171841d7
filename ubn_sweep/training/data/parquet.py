"""A data set of Hugging Face's, saved as Parquet files with its images embedded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ubn_sweep.errors import UserError
from ubn_sweep.training.data.dataset import Fingerprint, Part, Sizes, fingerprint_of
from ubn_sweep.training.data.in_memory import Choose, InMemoryDataset
from ubn_sweep.training.data.labelled import LabelledImages, check_labels
from ubn_sweep.training.data.parquet_layout import (
    check_test_labels,
    count_rows,
    labels_of,
    layout_of,
    number_of_classes,
    shards_of,
)

if TYPE_CHECKING:
    import torch

    from ubn_sweep.training.data.images import Splits


@dataclass(frozen=True, kw_only=True)
class ParquetOptions:
    """Keys under `dataset.options`."""

    streamed: bool = False
    """Decodes the images in every epoch, a few row groups at a time, in place of holding all of them in memory."""


class Parquet(InMemoryDataset):
    """`root/train-*.parquet` is the training set, `root/test-*.parquet` the test set, or `validation`, `valid` or `val`
    where there is none; with `own_validation` these are the validation set. The columns are found by their types and by
    Hugging Face's metadata."""

    Options = ParquetOptions
    has_validation = True

    def check(self) -> None:
        """Whether both parts are there, each shard with a column of images and one of labels, the test images'
        labels among them."""
        for part in self._parts():
            for shard in self._shards(part):
                layout_of(shard)
        check_test_labels(self._shards("test"))
        if self.options.streamed and self.config.image_size_px is None:
            raise UserError("dataset.image_size_px: streamed images need it, but got null: 224 is usual")
        super().check()

    def load(self, *, hold_out: bool, device: torch.device, threads: int | None = None) -> Splits:
        """In memory, or streamed: then one thread decodes in this process, more are as many other processes."""
        if not self.options.streamed:
            return super().load(hold_out=hold_out, device=device, threads=threads)
        from ubn_sweep.training.data.looking import Look  # torch: only where images are read
        from ubn_sweep.training.data.parquet_rows import ParquetRows
        from ubn_sweep.training.data.streamed import StreamedPart, split_streamed

        size = self.config.image_size_px
        if size is None:
            raise UserError("dataset.image_size_px: streamed images need it, but got null: 224 is usual")
        labels = {name: self._labels(name) for name in self._parts()}
        classes = number_of_classes(layout_of(self._shards("train")[0]), labels["train"])

        fingerprint = self.fingerprint("train")
        if self.config.own_validation:
            fingerprint += self.fingerprint("validation")

        def part(name: Part) -> StreamedPart:
            check_labels(labels[name], classes, where=str(self.root()))
            return StreamedPart(source=ParquetRows(self._shards(name)), labels=labels[name])

        return split_streamed(
            self.config,
            part,
            Look(size, fingerprint),
            num_classes=classes,
            hold_out=hold_out,
            device=device,
            threads=threads,
        )

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

    def _labels(self, part: Part) -> np.ndarray:
        return np.concatenate([labels_of(shard, layout_of(shard)) for shard in self._shards(part)])

    def _parts(self) -> tuple[Part, ...]:
        return ("train", "validation", "test") if self.config.own_validation else ("train", "test")

    def _shards(self, part: Part) -> list[Path]:
        return shards_of(self.root(), part, own_validation=self.config.own_validation)
