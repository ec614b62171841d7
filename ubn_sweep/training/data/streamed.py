"""Images that do not fit into memory: decoded by a loader in every epoch.

Each image's augmentation follows from seed, epoch and image alone, whichever process of the loader draws it. Its
processes live as long as the split. Images are normalised by the mean and the standard deviation of some images of the
training split.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from ubn_sweep.errors import UserError
from ubn_sweep.training.data.batch_order import drawn_batches
from ubn_sweep.training.data.config import DatasetConfig
from ubn_sweep.training.data.dataset import Part
from ubn_sweep.training.data.decoding import open_image
from ubn_sweep.training.data.image_size import sides_px, size_of
from ubn_sweep.training.data.images import Batch, Splits, batch_ends
from ubn_sweep.training.data.normalization import Normalization
from ubn_sweep.training.data.sources import Joined, Source
from ubn_sweep.training.data.splits import balanced_subset, split_training_set
from ubn_sweep.training.data.transforms import evaluation_transform, training_transform
from ubn_sweep.training.seeds import derive_seed, generator_for, global_seed
from ubn_sweep.training.share import WHOLE, Share

CPU = torch.device("cpu")
Index = tuple[int, int | None]
"""An image's place among those of its split, and the seed of its augmentation; None shows it as it is."""


@dataclass(frozen=True, kw_only=True)
class StreamedPart:
    """The training, validation or test images of a data set."""

    source: Source
    labels: npt.NDArray[np.int64]


class StreamedPictures:
    """A loader's dataset: index -> picture (C, H, W) uint8. It is copied into the loader's processes."""

    def __init__(
        self, source: Source, positions: npt.NDArray[np.int64], dataset: DatasetConfig, *, grey: bool
    ) -> None:
        self._source = source
        self._positions = positions
        self._training = training_transform(dataset)
        self._evaluation = evaluation_transform(dataset)
        self._grey = grey

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, index: Index) -> Tensor:
        place, seed = index
        picture = decoded(self._source, int(self._positions[place]), grey=self._grey)
        if seed is None:
            return self._transformed(self._evaluation, picture)
        with global_seed(derive_seed(seed, "image", place), CPU):
            return self._transformed(self._training, picture)

    @staticmethod
    def _transformed(transform: nn.Module, picture: Tensor) -> Tensor:
        result: Tensor = transform(picture)
        return result


def decoded(source: Source, position: int, *, grey: bool) -> Tensor:
    """A picture (C, H, W) uint8.

    Raises:
        UserError: it is damaged.
    """
    try:
        picture: Tensor = v2.functional.pil_to_tensor(open_image(source.open(position), grey=grey))
    except (OSError, ValueError, SyntaxError) as error:
        raise UserError(
            f"dataset.root: `{source.name(position)}` cannot be decoded ({error}): replace it"
        ) from None
    return picture


class _Plan:
    """The batches of one epoch, for a loader that goes on with its processes from epoch to epoch."""

    def __init__(self) -> None:
        self.batches: list[Tensor] = []
        self.seed: int | None = None

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[Index]]:
        for batch in self.batches:
            yield [(place, self.seed) for place in batch.tolist()]


class StreamedImages:
    """A split.

    Args:
        positions: those of the source's images that are of the split, ascending.
        labels: theirs.
        workers: processes that decode; 0 decodes in this one.
    """

    def __init__(
        self,
        source: Source,
        positions: npt.NDArray[np.int64],
        labels: Tensor,
        *,
        dataset: DatasetConfig,
        grey: bool,
        normalization: Normalization,
        device: torch.device,
        workers: int,
    ) -> None:
        self.source = source
        self.positions = positions
        self.labels = labels
        self.normalize = normalization.to(device)
        self.device = device
        self.workers = workers
        self._pictures = StreamedPictures(source, positions, dataset, grey=grey)
        self._plan = _Plan()

    def __len__(self) -> int:
        return len(self.positions)

    @functools.cached_property
    def _loader(self) -> Iterable[Tensor]:
        return DataLoader(
            self._pictures,  # type: ignore[arg-type]
            batch_sampler=self._plan,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),  # else it draws from the global one
        )

    def take(self, positions: Tensor) -> Batch:
        """These images as they are."""
        pixels = torch.stack([self._pictures[place, None] for place in positions.tolist()])
        return self._on_device(pixels, positions)

    def shuffled(self, batch_size: int, *, seed: int, epoch: int, share: Share = WHOLE) -> Iterator[Batch]:
        """Augmented training batches; the same for the same seed and epoch, and number of processes that decode."""
        joint = drawn_batches(
            self.positions,
            self.source.stretches,
            batch_ends(len(self), batch_size, share),
            lanes=max(1, self.workers),
            generator=generator_for(seed, "order", epoch),
        )
        batches = [share.of(batch) for batch in joint]
        return self._load(batches, seed=derive_seed(seed, "augmentation", epoch))

    def in_order(self, batch_size: int, *, share: Share = WHOLE) -> Iterator[Batch]:
        """All images as they are, for evaluation."""
        own: Tensor = share.of(torch.arange(len(self)))
        return self._load([batch for batch in own.split(batch_size) if len(batch) > 0], seed=None)

    def _load(self, batches: list[Tensor], *, seed: int | None) -> Iterator[Batch]:
        self._plan.batches, self._plan.seed = batches, seed
        for batch, pixels in zip(batches, _one_line_errors(self._loader), strict=True):
            yield self._on_device(pixels, batch)

    def _on_device(self, pixels: Tensor, places: Tensor) -> Batch:
        labels = self.labels[places].to(self.device, non_blocking=True)
        return self.normalize(pixels.to(self.device, non_blocking=True)), labels


def _one_line_errors(batches: Iterable[Tensor]) -> Iterator[Tensor]:
    """An error of a loader's process comes wrapped in its traceback; the last line is the error."""
    try:
        yield from batches
    except UserError as error:
        message = str(error).strip().splitlines()[-1]
        raise UserError(message.removeprefix(f"{UserError.__module__}.{UserError.__name__}: ")) from error


def split_streamed(
    dataset: DatasetConfig,
    part: Callable[[Part], StreamedPart],
    look: Callable[[Source, npt.NDArray[np.int64], npt.NDArray[np.int64]], tuple[bool, Normalization]],
    *,
    num_classes: int,
    hold_out: bool,
    device: torch.device,
    threads: int | None,
) -> Splits:
    """The splits of what `part` gives. One thread decodes in this process; more are as many other processes.

    Args:
        look: says whether all images of the training set are grey, and how those trained on are normalised.

    Raises:
        UserError: the data is not as it should be.
    """
    assert dataset.image_size_px is not None
    threads = torch.get_num_threads() if threads is None else threads
    train = part("train")
    chosen = balanced_subset(
        train.labels, dataset.train_examples, seed=dataset.split_seed, key="dataset.train_examples"
    )
    own = part("validation") if dataset.own_validation else None
    known, held_out = chosen, chosen[:0]
    if own is not None and not hold_out:
        joined = Joined(train.source, own.source)
        chosen = np.concatenate([chosen, np.arange(len(train.labels), len(joined))])
        train = StreamedPart(source=joined, labels=np.concatenate([train.labels, own.labels]))
    elif own is None and hold_out and not dataset.validate_on_test:
        rest, others = split_training_set(train.labels[chosen], dataset)
        chosen, held_out = chosen[rest], chosen[others]
    grey, normalization = look(train.source, known, chosen)

    def place(of: StreamedPart, positions: npt.NDArray[np.int64]) -> StreamedImages:
        return StreamedImages(
            of.source,
            positions,
            torch.from_numpy(of.labels[positions]),
            dataset=dataset,
            grey=grey,
            normalization=normalization,
            device=device,
            workers=0 if threads == 1 else threads,
        )

    def load_test() -> StreamedImages:
        test = part("test")
        return place(
            test,
            balanced_subset(
                test.labels, dataset.test_examples, seed=dataset.split_seed, key="dataset.test_examples"
            ),
        )

    def validation() -> StreamedImages:
        if dataset.validate_on_test:
            return load_test()
        return place(train, held_out) if own is None else place(own, np.arange(len(own.labels)))

    return Splits(
        train=place(train, chosen),
        validation=validation() if hold_out else None,
        load_test=load_test,
        num_classes=num_classes,
        in_channels=1 if grey else 3,
        image_size_px=size_of(*sides_px(dataset.image_size_px)),
    )
