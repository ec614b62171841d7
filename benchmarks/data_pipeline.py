"""How fast images come to a training, against a plain torchvision DataLoader, and how long a step waits for them.

    python -m benchmarks.data_pipeline --images 512 --repeats 5 --json benchmarks/results/data_pipeline.json

Large images: JPEGs of 500x375, as ImageNet's are in the mean, made of smooth noise; decoded, cut by a random resized
crop to 224 px and flipped, in batches of 64, in one process. Per core: images for each second of processor time. The
peer is torchvision's ImageFolder with torchvision's own transforms and a DataLoader. All take turns in one process.

Waiting: the share of a training step's time until its batch is there, a ResNet-18 on the processor that sees a quarter
of each side, the images decoded by two processes beside it, or in memory.

Memory: what a second process on a machine adds where decoded images are mapped, and where each decodes for itself.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import datasets
from torchvision.transforms import v2

from benchmarks.timing import environment, table, write_json
from ubn_sweep.training.data.config import DatasetConfig
from ubn_sweep.training.data.registry import find_dataset

CPU = torch.device("cpu")
WIDTH, HEIGHT, CLASSES, BATCH, SIZE = 500, 375, 4, 64, 224
SMALL_IMAGES = 20_000


def picture(dice: np.random.Generator) -> bytes:
    """Smooth noise as a JPEG of about ImageNet's size in bytes."""
    coarse = dice.integers(0, 255, (24, 32, 3)).astype(np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)).astype(
        np.int16
    )
    noisy = np.clip(smooth + dice.integers(-20, 20, smooth.shape), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noisy).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def write_images(root: Path, images: int) -> float:
    """The same images as a folder and as Parquet shards; returns their mean size in kB."""
    dice = np.random.default_rng(0)
    encoded = [picture(dice) for _ in range(images)]
    for number, content in enumerate(encoded):
        for part in ("train", "val") if number < 2 * CLASSES else ("train",):
            folder = root / "folder" / part / f"class {number % CLASSES}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number:05}.jpg").write_bytes(content)
    (root / "parquet").mkdir()
    for part, some in (("train", encoded), ("test", encoded[: 2 * CLASSES])):
        write_shard(root / "parquet" / f"{part}-0.parquet", some)
    return statistics.fmean(map(len, encoded)) / 1000


def write_shard(path: Path, encoded: list[bytes]) -> None:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = pa.array([{"bytes": content, "path": None} for content in encoded], kind)
    labels = pa.array([number % CLASSES for number in range(len(encoded))], pa.int64())
    pq.write_table(pa.table({"image": rows, "label": labels}), path, row_group_size=100)


def ours(name: str, root: Path, threads: int) -> Any:
    options = {"streamed": True} if name == "parquet" else {}
    config = DatasetConfig(
        name="imagefolder" if name == "folder" else name,
        root=str(root / name),
        options=options,
        image_size_px=SIZE,
        augmentation="resized_crop_flip",
    )
    return find_dataset(config).load(hold_out=False, device=CPU, threads=threads).train


def plain(root: Path, workers: int) -> DataLoader[Any]:
    """As torchvision's references do it."""
    transform = v2.Compose(
        [
            v2.RandomResizedCrop(SIZE, antialias=True),
            v2.RandomHorizontalFlip(),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    images = datasets.ImageFolder(root / "folder" / "train", transform)
    return DataLoader(images, BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0)


def per_core(root: Path, images: int, repeats: int) -> dict[str, list[float]]:
    """Images for each second of processor time, in this process; one epoch a round."""
    torch.set_num_threads(1)
    folder, parquet, loader = ours("folder", root, 1), ours("parquet", root, 1), plain(root, 0)
    epochs: dict[str, Callable[[int], Any]] = {
        "torchvision's ImageFolder": lambda epoch: iter(loader),
        "imagefolder": lambda epoch: folder.shuffled(BATCH, seed=0, epoch=epoch),
        "parquet, streamed": lambda epoch: parquet.shuffled(BATCH, seed=0, epoch=epoch),
    }
    found: dict[str, list[float]] = {name: [] for name in epochs}
    for epoch in range(repeats + 1):
        for name, batches in epochs.items():
            begun = time.process_time()
            seen = sum(len(labels) for _, labels in batches(epoch))
            if epoch:  # the first is a warm-up
                found[name].append(seen / (time.process_time() - begun))
            assert seen >= images - BATCH
    return found


def waiting(batches: Iterator[Any], step: Callable[[Any], None]) -> float:
    """The share of an epoch's time in which the step waited for its batch; the first batch does not count."""
    step(next(batches))
    waited, begun = 0.0, time.perf_counter()
    while True:
        asked = time.perf_counter()
        batch = next(batches, None)
        waited += time.perf_counter() - asked
        if batch is None:
            return waited / (time.perf_counter() - begun)
        step(batch)


def training_step(classes: int) -> Callable[[Any], None]:
    from torchvision.models import resnet18

    network = resnet18(num_classes=classes)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)

    def step(batch: Any) -> None:
        pixels, labels = batch
        if pixels.shape[-1] == SIZE:  # a processor would take seconds for a whole image
            pixels = torch.nn.functional.avg_pool2d(pixels, 4)
        torch.nn.functional.cross_entropy(network(pixels), labels).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def waits(root: Path, repeats: int) -> dict[str, list[float]]:
    """By how the images come; the decoding process and the training take turns on a busy machine."""
    step = training_step(CLASSES)
    folder, parquet, loader = ours("folder", root, 2), ours("parquet", root, 2), plain(root, 2)
    sources: dict[str, Callable[[int], Iterator[Any]]] = {
        "torchvision's ImageFolder, 2 processes": lambda epoch: iter(loader),
        "imagefolder, 2 processes": lambda epoch: folder.shuffled(BATCH, seed=0, epoch=epoch),
        "parquet, streamed, 2 processes": lambda epoch: parquet.shuffled(BATCH, seed=0, epoch=epoch),
    }
    memory = small_images()
    sources["32 px in memory, crop_flip"] = lambda epoch: memory.shuffled(BATCH, seed=0, epoch=epoch)
    found: dict[str, list[float]] = {name: [] for name in sources}
    for epoch in range(repeats + 1):
        for name, batches in sources.items():
            share = waiting(iter(batches(epoch)), step)
            if epoch:  # the processes start with the first one
                found[name].append(share)
    return found


def small_images() -> Any:
    from ubn_sweep.training.data.memory import MemoryImages
    from ubn_sweep.training.data.normalization import Normalization

    pixels = torch.randint(0, 256, (512, 3, 32, 32), dtype=torch.uint8)
    labels = torch.arange(512) % CLASSES
    return MemoryImages(pixels, labels, Normalization.of(pixels), augmentation="crop_flip")


def _memory_of(root: Path, cache: str, results: Any) -> None:
    """Loads the small images, goes through them once, and tells time, and memory that is this process's alone."""
    os.environ["UBN_SWEEP_CACHE"] = cache
    before = _private_mb()
    begun = time.perf_counter()
    splits = find_dataset(DatasetConfig(name="parquet", root=str(root))).load(
        hold_out=True, device=CPU, threads=1
    )
    loaded_s = time.perf_counter() - begun
    for _ in splits.train.shuffled(BATCH, seed=0, epoch=1):
        pass
    results.put((loaded_s, _private_mb() - before))


def _private_mb() -> float:
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private")) / 1000


def memory(root: Path) -> dict[str, list[float]]:
    """(seconds to load, megabytes of its own) of a first and a second process, by how they keep decoded images."""
    dice = np.random.default_rng(0)
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    root.mkdir()
    for part, count in (("train", SMALL_IMAGES), ("test", 8)):
        encoded = []
        for pixels in dice.integers(0, 255, (count, 32, 32, 3)).astype(np.uint8):
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, "PNG")
            encoded.append({"bytes": buffer.getvalue(), "path": None})
        labels = pa.array([number % 10 for number in range(count)], pa.int64())
        pq.write_table(
            pa.table({"image": pa.array(encoded, kind), "label": labels}), root / f"{part}-0.parquet"
        )
    context = multiprocessing.get_context("spawn")
    found = {}
    for name, cache in (("mapped", str(root / "kept")), ("each for itself", "off")):
        for place in ("first", "second"):
            results = context.Queue()
            process = context.Process(target=_memory_of, args=(root, cache, results))
            process.start()
            found[f"{name}, {place} process"] = list(results.get(timeout=600))
            process.join()
    return found


def spread(values: list[float], digits: int) -> list[str]:
    """Median, least and most."""
    return [f"{value:.{digits}f}" for value in (statistics.median(values), min(values), max(values))]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        size_kb = write_images(root, arguments.images)
        cores = per_core(root, arguments.images, arguments.repeats)
        peer = statistics.median(cores["torchvision's ImageFolder"])
        rows = [[name, *spread(v, 0), f"{statistics.median(v) / peer:.2f}"] for name, v in cores.items()]
        print(f"{arguments.images} images of {WIDTH}x{HEIGHT}, {size_kb:.0f} kB in the mean")
        print(table(["images per second and core", "median", "least", "most", "ratio"], rows))
        steps = waits(root, arguments.repeats)
        print(table(["share of a step spent waiting", "median", "least", "most"],
                    [[name, *spread(v, 3)] for name, v in steps.items()]))  # fmt: skip
        kept = memory(root / "small")
        print(table([f"{SMALL_IMAGES} images of 32 px", "seconds to load", "MB of its own"],
                    [[name, f"{s:.2f}", f"{mb:.0f}"] for name, (s, mb) in kept.items()]))  # fmt: skip
    content = {"per_core": cores, "waiting": steps, "memory": kept, "image_kb": size_kb}
    print(json.dumps(environment("cpu"), indent=1))
    if arguments.json is not None:
        write_json(arguments.json, {**environment("cpu"), **content})


if __name__ == "__main__":
    main()
