"""Images of one's own: arrays in `root/train.npz` and `root/test.npz`."""

from dataclasses import dataclass

import numpy as np

from ubn_sweep.errors import UserError
from ubn_sweep.training.data.dataset import fingerprint_of
from ubn_sweep.training.data.in_memory import InMemoryDataset
from ubn_sweep.training.data.labelled import LabelledImages


@dataclass(frozen=True, kw_only=True)
class MyOptions:
    classes: int
    inverted: bool = False


class MyImages(InMemoryDataset):
    Options = MyOptions  # the keys under `dataset.options`

    def check(self):
        for part in ("train", "test"):
            if not self._file(part).is_file():
                raise UserError(f"dataset.root: must hold {part}.npz, but `{self.root()}` has none: add it")

    def fingerprint(self, part):
        return fingerprint_of([self._file(part)])

    def read(self, part):
        arrays = np.load(self._file(part))
        pixels = 255 - arrays["pixels"] if self.options.inverted else arrays["pixels"]
        return LabelledImages(pixels=pixels, labels=arrays["labels"], num_classes=self.options.classes)

    def _file(self, part):
        return self.root() / f"{part}.npz"
