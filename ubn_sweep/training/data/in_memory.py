"""The base of data sets that fit into memory: a subclass reads arrays, and all the rest is done here."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ubn_sweep.training.data.dataset import Dataset, Part
from ubn_sweep.training.data.labelled import LabelledImages, checked
from ubn_sweep.training.data.splits import balanced_subset

if TYPE_CHECKING:
    import torch

    from ubn_sweep.training.data.decoded import Decoded
    from ubn_sweep.training.data.images import Splits

Choose = Callable[[np.ndarray], np.ndarray]
"""All labels -> the images to take, ascending."""


class InMemoryDataset(Dataset):
    """Images in one array. What was read is kept while the process lives and the fingerprint stays the same, so that
    the trials of a worker share it. Subset, resizing, split, normalization and augmentation come after `read`."""

    @abstractmethod
    def read(self, part: Part) -> LabelledImages:
        """All images of a part, with their labels. The test part is asked for by the final training alone, and
        `validation` where the class says `has_validation` and the config asks for it.

        Raises:
            UserError: they are not there, or cannot be read.
        """

    def read_chosen(self, part: Part, choose: Choose) -> LabelledImages:
        """The images that `choose` takes. A class that need not decode the others to know the labels has its own.

        Raises:
            UserError: they are not there, cannot be read, or are not as LabelledImages says.
        """
        whole = checked(self.read(part), where=self.config.name)
        chosen = choose(whole.labels)
        return LabelledImages(
            pixels=whole.pixels[chosen], labels=whole.labels[chosen], num_classes=whole.num_classes
        )

    def fetch(self) -> None:
        """Downloads what is not there yet: called where `dataset.download` asks for it.

        Raises:
            UserError: it cannot be fetched.
        """

    def load(self, *, hold_out: bool, device: torch.device, threads: int | None = None) -> Splits:
        """The splits, on the device."""
        from ubn_sweep.training.data.memory import (
            split_in_memory,
        )  # needs torch, which looking for data does not

        return split_in_memory(self.config, self.decoded, hold_out=hold_out, device=device)

    def decoded(self, part: Part) -> Decoded:
        """The chosen images of a part, as they are kept.

        Raises:
            UserError: they are not there, or cannot be read.
        """
        from ubn_sweep.training.data.decoded import Request, decode  # needs torch

        config = self.config
        if self.downloads and config.download:
            self.fetch()
        examples = {"train": config.train_examples, "validation": None, "test": config.test_examples}[part]
        choose = functools.partial(
            balanced_subset, size=examples, seed=config.split_seed, key=f"dataset.{part}_examples"
        )
        return decode(
            Request(
                dataset=type(self),
                name=config.name,
                root=config.root,
                options=repr(config.options),
                part=part,
                examples=examples,
                split_seed=config.split_seed,
                image_size_px=config.image_size_px,
                fingerprint=self.fingerprint(part),
                read=functools.partial(self.read_chosen, part, choose),
            )
        )
