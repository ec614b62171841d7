"""Decoded images in files: decoded by one process, mapped by all, and no worse than without where files cannot be."""

import multiprocessing
import os
import time

import numpy as np
import pytest

from tests.training.builders import pictures, write_own_images, write_parquet
from tests.training.test_datasets import load
from ubn_sweep.training.data import decoded, kept
from ubn_sweep.training.data.kept import kept_folder, through_files
from ubn_sweep.training.data.labelled import LabelledImages


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("UBN_SWEEP_CACHE", str(tmp_path / "kept"))
    decoded.decode.cache_clear()
    yield tmp_path / "kept"
    decoded.decode.cache_clear()


def images_of(seed=0):
    pixels, labels = pictures(9, 6, seed=seed)
    return LabelledImages(pixels=pixels.transpose(0, 3, 1, 2).copy(), labels=labels, num_classes=3)


def same(one, other):
    return (
        np.array_equal(one.pixels, other.pixels)
        and np.array_equal(one.labels, other.labels)
        and one.num_classes == other.num_classes
    )


def never():
    raise AssertionError("it was decoded before")


def _take_part(log, barrier, results):
    def read():
        with log.open("a") as file:
            file.write(f"{os.getpid()}\n")
        time.sleep(0.2)  # the other one comes meanwhile
        return images_of()

    barrier.wait()
    results.put(same(through_files("images", read), images_of()))


def test_of_two_processes_one_decodes(folder, tmp_path):
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(2), context.Queue()
    log = tmp_path / "log.txt"
    processes = [context.Process(target=_take_part, args=(log, barrier, results)) for _ in range(2)]
    for process in processes:
        process.start()
    assert [results.get(timeout=60) for _ in processes] == [True, True]
    for process in processes:
        process.join()
    assert len(log.read_text().splitlines()) == 1
    mapped = through_files("images", never)
    assert isinstance(mapped.pixels, np.memmap)
    assert same(mapped, images_of())


def test_writing_by_mistake_reaches_nobody_else(folder):
    mine = through_files("images", images_of)
    mine.pixels[:] = 0
    assert same(through_files("images", never), images_of())


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_a_damaged_file_is_decoded_anew(folder, suffix):
    through_files("images", images_of)
    path = folder / f"images{suffix}"
    path.write_bytes(path.read_bytes()[:100])
    assert same(through_files("images", images_of), images_of())
    assert same(through_files("images", never), images_of())


def test_the_oldest_go_first(folder, monkeypatch):
    monkeypatch.setattr(kept, "KEPT", 2)
    for place, name in enumerate("abc"):
        through_files(name, images_of)
        os.utime(folder / f"{name}.npy", (place, place))
    through_files("d", images_of)
    assert {path.name for path in folder.glob("*.np*")} == {"c.npy", "c.npz", "d.npy", "d.npz"}


def test_without_a_folder_each_process_decodes(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("UBN_SWEEP_CACHE", "off")
    assert same(through_files("images", images_of), images_of())
    assert not folder.exists()
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("UBN_SWEEP_CACHE", str(tmp_path / "file" / "below"))
    assert same(through_files("images", images_of), images_of())


def test_a_folder_that_others_may_write_to_is_not_trusted(tmp_path, monkeypatch):
    monkeypatch.delenv("UBN_SWEEP_CACHE")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = kept_folder()
    assert folder == tmp_path / f"ubn-sweep-{os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    assert kept_folder() is None


def test_all_splits_share_the_mapped_images(folder, tmp_path):
    for part, count in (("train", 30), ("test", 6)):
        write_parquet(tmp_path / f"{part}-0.parquet", *pictures(count, 8))
    splits = load(name="parquet", root=str(tmp_path))
    (file,) = folder.glob("*.npy")
    if splits.train.labels.device.type == "cpu":
        assert splits.train._shared.data_ptr() == splits.validation._shared.data_ptr()
    decoded.decode.cache_clear()  # as another process
    inode = file.stat().st_ino
    again = load(name="parquet", root=str(tmp_path))
    assert np.array_equal(again.train.pixels.cpu(), splits.train.pixels.cpu())
    assert file.stat().st_ino == inode
    write_parquet(tmp_path / "train-0.parquet", *pictures(24, 8))
    assert len(load(name="parquet", root=str(tmp_path), hold_out=False).train) == 24
    assert len(list(folder.glob("*.npy"))) == 2


def test_ones_own_classes_and_data_without_files_are_not_kept(folder, tmp_path):
    write_own_images(tmp_path)
    load(name="tests.support.own_images:MyImages", root=str(tmp_path), options={"classes": 3})
    load()
    assert not list(folder.glob("*.npy"))
