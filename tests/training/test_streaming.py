"""Images that are decoded in every epoch: their order, where they are read from, and who reads them."""

import io
import os
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from tests.training.builders import encode, pictures, tiny_config, write_parquet
from tests.training.test_datasets import all_of, epoch_of, load
from tests.training.test_resume import untimed
from ubn_sweep.errors import UserError
from ubn_sweep.training.classification.run import TrainingRun
from ubn_sweep.training.data import batch_order
from ubn_sweep.training.data.batch_order import drawn_batches
from ubn_sweep.training.data.config import DatasetConfig
from ubn_sweep.training.data.images import batch_ends
from ubn_sweep.training.data.normalization import Normalization
from ubn_sweep.training.data.parquet_rows import ParquetRows
from ubn_sweep.training.data.registry import find_dataset
from ubn_sweep.training.data.sources import Joined, PackedPaths, some_positions
from ubn_sweep.training.data.streamed import StreamedImages


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def few_open(monkeypatch):
    """As if a stretch were large: four of them are open at once."""
    monkeypatch.setattr(batch_order, "OPEN_IMAGES", 1)


@pytest.mark.parametrize("lanes", [1, 2, 3])
@pytest.mark.parametrize(
    ("count", "stretch", "batch_size"), [(200, 10, 16), (203, 7, 25), (64, 64, 10), (5, 2, 8)]
)
def test_every_image_is_drawn_once_in_batches_of_the_usual_sizes(few_open, count, stretch, batch_size, lanes):
    positions = np.arange(0, 2 * count, 2)  # every other image is of another split
    ends = np.append(np.arange(stretch, 2 * count, stretch), 2 * count)
    wanted = batch_ends(count, batch_size)
    batches = drawn_batches(positions, ends, wanted, lanes=lanes, generator=generator())
    sizes = [end - begin for begin, end in wanted]
    assert [len(batch) for batch in batches] == sizes
    drawn = torch.cat(batches).tolist()
    assert len(set(drawn)) == len(drawn) == sum(sizes)
    assert set(drawn) <= set(range(count))
    again = drawn_batches(positions, ends, wanted, lanes=lanes, generator=generator())
    assert all(torch.equal(one, other) for one, other in zip(batches, again, strict=True))
    others = drawn_batches(positions, ends, wanted, lanes=lanes, generator=generator(1))
    assert torch.cat(others).tolist() != drawn


def test_a_lane_reads_stretches_of_its_own_a_few_at_a_time(few_open):
    ends = np.arange(20, 801, 20)
    batches = drawn_batches(np.arange(800), ends, batch_ends(800, 10), lanes=2, generator=generator())
    read = [set(np.searchsorted(ends, batch.numpy(), side="right")) for batch in batches]
    first, second = (set().union(*read[lane::2]) for lane in (0, 1))
    assert not first & second
    assert len(first | second) == 40
    assert all(2 <= len(stretches) <= 4 for stretches in read)  # mixed, though a stretch has two batches


def test_few_stretches_are_not_shared_out():
    batches = drawn_batches(
        np.arange(60), np.array([20, 40, 60]), batch_ends(60, 20), lanes=8, generator=generator()
    )
    assert all(len({int(i) // 20 for i in batch}) == 3 for batch in batches)


@pytest.fixture
def root(tmp_path):
    """72 training images in two shards of row groups of 5, 30 of them for testing, 12 for validation."""
    images, labels = pictures(72, 12)
    for shard in (0, 1):
        chosen = slice(36 * shard, 36 * shard + 36)
        write_parquet(tmp_path / f"train-{shard}.parquet", images[chosen], labels[chosen], row_group_size=5)
    write_parquet(tmp_path / "test-0.parquet", *pictures(30, 12, seed=9), row_group_size=5)
    write_parquet(tmp_path / "validation-0.parquet", *pictures(12, 12, seed=5), row_group_size=5)
    return tmp_path


def keys_for(root, **more):
    return {"name": "parquet", "root": str(root), "options": {"streamed": True}, "image_size_px": 12, **more}


def test_rows_are_found_in_their_shards_and_few_row_groups_are_kept(root):
    rows = ParquetRows(sorted(root.glob("train-*.parquet")))
    images = pictures(72, 12)[0]
    assert len(rows) == 72
    assert rows.stretches.tolist() == [5, 10, 15, 20, 25, 30, 35, 36, 41, 46, 51, 56, 61, 66, 71, 72]
    for position in (71, 0, 35, 36, 40):
        assert np.array_equal(np.asarray(Image.open(rows.open(position))), images[position])
    assert rows.name(36) == f"row 0 of {root / 'train-1.parquet'}"
    rows = ParquetRows(sorted(root.glob("train-*.parquet")))
    rows._keeps = 3
    for position in range(72):
        rows.open(position)
        assert len(rows._open) <= 3
    assert len(pickle.dumps(rows)) < 3000  # nothing of the images


def test_streamed_images_are_those_in_memory(root):
    streamed, memory = load(**keys_for(root)), load(name="parquet", root=str(root))
    assert (streamed.num_classes, streamed.in_channels, streamed.image_size_px) == (3, 3, 12)
    for part in ("train", "validation"):
        images, others = getattr(streamed, part), getattr(memory, part)
        assert len(images) == len(others)
        images.normalize = others.normalize  # of some images, of all of them
        assert all(torch.equal(one, other) for one, other in zip(all_of(images), all_of(others), strict=True))
    pixels, labels = streamed.train.take(torch.tensor([3, 1]))
    expected, expected_labels = all_of(streamed.train)
    assert torch.equal(pixels.cpu(), expected[[3, 1]])
    assert torch.equal(labels.cpu(), expected_labels[[3, 1]])
    assert len(streamed.load_test()) == 30


def test_an_epoch_is_the_same_for_the_same_seed_alone(root):
    images = load(**keys_for(root, augmentation="crop_flip")).train
    first, again, later = (epoch_of(images, epoch=epoch) for epoch in (1, 1, 2))
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], later[0])
    plain = load(**keys_for(root)).train
    shown = {image.numpy().tobytes() for image in epoch_of(plain)[0]}
    assert shown <= {image.numpy().tobytes() for image in all_of(plain)[0]}
    assert len(shown) == len(epoch_of(plain)[0])


def test_a_validation_part_of_its_own_is_trained_on_in_the_end(root):
    keys = keys_for(root, own_validation=True)
    splits = load(**keys)
    assert [len(images) for images in (splits.train, splits.validation, splits.load_test())] == [72, 12, 30]
    final = load(**keys, hold_out=False)
    assert len(final.train) == 84
    last = final.train.take(torch.tensor([83]))[1]
    assert last.item() == pictures(12, 12, seed=5)[1][11]
    assert len(epoch_of(final.train)[1]) == 84
    assert len(load(**keys, train_examples=30, hold_out=False).train) == 42


def test_it_trains_and_goes_on_bit_for_bit(root, tmp_path):
    dataset = keys_for(root, augmentation="crop_flip", validation_fraction=0.25)
    whole, first, second = (TrainingRun(tiny_config(dataset=dataset)) for _ in range(3))
    expected = [untimed(whole.train_epoch()) for _ in range(2)]
    first.train_epoch()
    first.save(tmp_path / "out")
    second.load(tmp_path / "out")
    assert untimed(second.train_epoch()) == expected[1]


def test_what_is_wrong_is_one_line(root):
    with pytest.raises(UserError, match=r"^dataset.image_size_px: streamed images need it"):
        find_dataset(DatasetConfig(**keys_for(root, image_size_px=None))).check()
    table = pq.read_table(root / "train-0.parquet")
    rows = table["img"].to_pylist()
    rows[20]["bytes"] = None
    rows[21]["bytes"] = b"no image"
    table = table.set_column(0, "img", pa.array(rows, table.schema.field("img").type))
    pq.write_table(table, root / "train-0.parquet", row_group_size=5)
    source = ParquetRows([root / "train-0.parquet"])
    images = StreamedImages(
        source,
        np.arange(36),
        torch.zeros(36, dtype=torch.int64),
        dataset=DatasetConfig(**keys_for(root)),
        grey=False,
        normalization=Normalization(torch.zeros(3), torch.ones(3)),
        device=torch.device("cpu"),
        workers=0,
    )
    with pytest.raises(UserError, match=r"but that of row 20 of .*train-0.parquet is only a path"):
        images.take(torch.tensor([20]))
    with pytest.raises(UserError, match=r"^dataset.root: `row 21 of .*train-0.parquet` cannot be decoded"):
        images.take(torch.tensor([21]))


class ByProcess:
    """A source whose images tell which process has decoded them."""

    stretches = None

    def __len__(self):
        return 24

    def open(self, position):
        digits = [os.getpid() // 256**place % 256 for place in range(3)]
        return io.BytesIO(encode(np.full((4, 4, 3), digits, np.uint8)))

    def name(self, position):
        return str(position)


@pytest.mark.parametrize("cut_short", [False, True])
def test_the_processes_of_a_loader_go_on_from_epoch_to_epoch(cut_short):
    images = StreamedImages(
        ByProcess(),
        np.arange(24),
        torch.arange(24),
        dataset=DatasetConfig(name="imagefolder", image_size_px=4),
        grey=False,
        normalization=Normalization(torch.zeros(3), torch.ones(3)),
        device=torch.device("cpu"),
        workers=2,
    )

    def processes(epoch):
        batches = images.shuffled(4, seed=0, epoch=epoch)
        if cut_short:  # as where a training diverges
            next(batches)
        seen = [(pixels[:, :, 0, 0], labels) for pixels, labels in images.shuffled(4, seed=0, epoch=epoch)]
        assert sorted(torch.cat([labels for _, labels in seen]).tolist()) == list(range(24))
        digits = torch.cat([pids for pids, _ in seen]).int()
        return {tuple(row) for row in digits.tolist()}

    first = processes(1)
    assert len(first) == 2
    assert processes(2) == first
    own = tuple(os.getpid() // 256**place % 256 for place in range(3))
    assert own not in first


def test_paths_are_bytes():
    names = [f"/data/train/class {i % 7}/{i:06}.JPEG" for i in range(3000)] + ["/data/tränen.png"]
    packed = PackedPaths(names)
    assert [str(packed[i]) for i in (0, 1500, -1)] == [names[0], names[1500], names[-1]]
    assert list(map(str, packed)) == names
    assert len(pickle.dumps(packed)) < sum(len(name.encode()) for name in names) + 9 * len(names)


def test_some_images_are_evenly_spaced_and_of_few_stretches(root):
    packed = PackedPaths(map(str, range(100)))
    assert some_positions(packed, np.arange(100), 10, 2) == list(range(0, 100, 10))
    rows = ParquetRows(sorted(root.glob("train-*.parquet")))
    seen = some_positions(rows, np.arange(72), 1000, 4)
    assert len(set(np.searchsorted(rows.stretches, seen, side="right"))) == 4
    joined = Joined(rows, rows)
    assert joined.stretches.tolist() == [*rows.stretches, *(rows.stretches + 72)]
    assert joined.name(72) == rows.name(0)
