"""Small configs, and small data in the layouts of real datasets."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from ubn_sweep import schema
from ubn_sweep.training.classification.config import ClassificationConfig

SHARED_DATA = Path(os.environ.get("UBN_SWEEP_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
DEVICE = os.environ.get("UBN_SWEEP_TEST_DEVICE", "cpu")
"""Where the tests of training put their data and train: cpu or cuda."""


def tiny_config(**sections) -> ClassificationConfig:
    """resnet8, width 4, on 200 digits with plain BatchNorm; `sections` replace keys, section by section."""
    content: dict = {
        "dataset": {
            "name": "digits",
            "train_examples": 200,
            "test_examples": 60,
            "validation_fraction": 0.25,
        },
        "model": {"name": "resnet8", "width": 4},
        "norm": {"name": "bn"},
        "training": {"epochs": 4, "batch_size": 32},
        "device": DEVICE,
    }
    for name, section in sections.items():
        content[name] = {**content.get(name, {}), **section} if isinstance(section, dict) else section
    if sections.get("dataset", {}).get("name", "digits") != "digits":
        content["dataset"] = sections["dataset"]
    return schema.parse(ClassificationConfig, content, source="test")


def pictures(count: int, size: int, *, seed: int = 0, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Noise (count, size, size, 3) uint8 whose brightness depends on the label, and the labels, interleaved."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    noise = generator.integers(0, 80, size=(count, size, size, 3))
    return (noise + 60 * labels[:, None, None, None] % 176).astype(np.uint8), labels


def encode(picture: np.ndarray, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, kind)
    return buffer.getvalue()


def write_parquet(
    path: Path,
    images: Sequence[np.ndarray],
    labels: np.ndarray,
    *,
    column: str = "img",
    names: Sequence[str] | None = ("low", "middle", "high"),
    row_group_size: int = 7,
) -> None:
    """A shard in Hugging Face's image layout."""
    encoded = [{"bytes": encode(image), "path": None} for image in images]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({column: pa.array(encoded, kind), "label": pa.array(labels, pa.int64())})
    if names is not None:
        features = {column: {"_type": "Image"}, "label": {"names": list(names), "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path, row_group_size=row_group_size)


def write_image_folder(root: Path, *, per_class: int = 8, size: tuple[int, int] = (40, 32)) -> None:
    """root/train and root/val with three classes of PNGs, width and height as given."""
    for part, seed in (("train", 0), ("val", 1)):
        images, labels = pictures(3 * per_class, max(size), seed=seed)
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            folder = root / part / ("low", "middle", "high")[label]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[: size[1], : size[0]]).save(folder / f"{i:03}.png")


def paths_of(images) -> list[Path]:
    """The files of a split that is streamed from a folder, in order."""
    return [Path(images.source.name(position)) for position in images.positions]


def write_cifar10(root: Path, *, per_batch: int = 20) -> dict[str, str]:
    """The unpacked archive of CIFAR-10 with fewer images; returns each file's MD5 sum."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for seed, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        images, labels = pictures(per_batch, 32, seed=seed, classes=10)
        rows = images.transpose(0, 3, 1, 2).reshape(per_batch, -1)
        (folder / name).write_bytes(pickle.dumps({"data": rows, "labels": labels.tolist()}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": [f"class {i}" for i in range(10)]}))
    return {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def write_mnist(folder: Path, *, train: int = 40, test: int = 20) -> None:
    """The four unpacked IDX files of MNIST, or of a set of its format, with fewer images."""
    folder.mkdir(parents=True)
    for part, count, seed in (("train", train, 0), ("t10k", test, 5)):
        images, labels = pictures(count, 28, seed=seed, classes=10)
        grey = images[..., 0]
        # 0x08 is uint8, then the number of axes, then their lengths, big-endian.
        (folder / f"{part}-images-idx3-ubyte").write_bytes(
            struct.pack(">4B3I", 0, 0, 8, 3, *grey.shape) + grey.tobytes()
        )
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(
            struct.pack(">4BI", 0, 0, 8, 1, count) + labels.astype(np.uint8).tobytes()
        )


def write_own_images(root: Path, *, train: int = 48, test: int = 24) -> None:
    """What tests/support/own_images.py reads: three classes of 8x8 in colours."""
    for part, count, seed in (("train", train, 0), ("test", test, 9)):
        images, labels = pictures(count, 8, seed=seed)
        np.savez(root / f"{part}.npz", pixels=images.transpose(0, 3, 1, 2), labels=labels)
