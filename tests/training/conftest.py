"""Data on disk that several tests read."""

import pytest
import torch

from tests.training.builders import pictures, write_image_folder, write_parquet


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Small tensors gain nothing by threads, and tests share the processor."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def parquet_root(tmp_path_factory):
    """72 training images of 12x12 in two shards, 30 test images; three classes."""
    root = tmp_path_factory.mktemp("parquet")
    images, labels = pictures(72, 12)
    for shard in (0, 1):
        chosen = slice(36 * shard, 36 * shard + 36)
        write_parquet(root / f"train-0000{shard}-of-00002.parquet", images[chosen], labels[chosen])
    images, labels = pictures(30, 12, seed=9)
    write_parquet(root / "test-00000-of-00001.parquet", images, labels)
    return root


@pytest.fixture
def three_classes(parquet_root):
    """A dataset section on it."""
    return {"name": "parquet", "root": str(parquet_root)}


@pytest.fixture(scope="session")
def image_folder_root(tmp_path_factory):
    """24 training and 24 validation PNGs of 40x32; three classes."""
    root = tmp_path_factory.mktemp("imagefolder")
    write_image_folder(root)
    return root
