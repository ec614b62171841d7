"""MNIST and its like through torchvision: read from IDX files, downloaded once however many ask."""

import functools
import gzip
import hashlib
import itertools
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from torchvision import datasets as torchvision_datasets

from tests.training.builders import DEVICE, pictures, tiny_config, write_mnist
from ubn_sweep.errors import UserError
from ubn_sweep.progress import Lines, shown_by
from ubn_sweep.training.classification.run import TrainingRun
from ubn_sweep.training.data.config import DatasetConfig
from ubn_sweep.training.data.downloads import download
from ubn_sweep.training.data.registry import find_dataset

FOLDERS = {"mnist": "MNIST/raw", "fashionmnist": "FashionMNIST/raw"}


def dataset(name, root, **keys):
    return find_dataset(DatasetConfig(name=name, root=str(root), **keys))


@pytest.mark.parametrize("name", FOLDERS)
def test_idx_files_are_read_and_trained_on(name, tmp_path):
    write_mnist(tmp_path / FOLDERS[name])
    found = dataset(name, tmp_path)
    found.check()
    splits = found.load(hold_out=True, device=torch.device(DEVICE))
    assert (splits.num_classes, splits.in_channels, splits.image_size_px) == (10, 1, 28)
    assert (len(splits.train), len(splits.validation)) == (30, 10)
    test = splits.load_test()
    expected, labels = pictures(20, 28, seed=5, classes=10)
    assert torch.equal(test.pixels.cpu(), torch.from_numpy(expected[:, None, ..., 0]))
    assert test.labels.tolist() == labels.tolist()
    run = TrainingRun(tiny_config(dataset={"name": name, "root": str(tmp_path)}))
    assert 0 <= run.train_epoch()["val_top5"] <= 1


@pytest.mark.parametrize("content", [b"", b"something else altogether", b"\0\0\x08\x03\0\0\0\x05"])
def test_damaged_idx_files_are_one_line(content, tmp_path):
    write_mnist(tmp_path / FOLDERS["mnist"])
    (tmp_path / FOLDERS["mnist"] / "train-images-idx3-ubyte").write_bytes(content)
    found = dataset("mnist", tmp_path)
    with pytest.raises(UserError, match=r"^dataset\.root: .*MNIST/raw.*absent or damaged") as caught:
        found.load(hold_out=True, device=torch.device(DEVICE))
    assert "\n" not in str(caught.value)


def test_absent_files_are_named(tmp_path):
    (tmp_path / FOLDERS["mnist"]).mkdir(parents=True)
    with pytest.raises(UserError, match="must hold MNIST/raw/train-images-idx3-ubyte, but does not"):
        dataset("mnist", tmp_path).check()
    dataset("mnist", tmp_path / "absent", download=True).check()  # it is fetched when the training starts


class Archive(SimpleHTTPRequestHandler):
    """Serves a folder and writes down what was asked for."""

    asked: list[str]

    def do_GET(self):
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Fashion-MNIST's files on a server of this machine, which torchvision is told of; what was asked for."""
    served = tmp_path / "served"
    write_mnist(served)
    resources = []
    for path in sorted(served.iterdir()):
        packed = served / f"{path.name}.gz"
        packed.write_bytes(gzip.compress(path.read_bytes()))
        resources.append((packed.name, hashlib.md5(packed.read_bytes()).hexdigest()))
    asked: list[str] = []
    handler = type("Handler", (Archive,), {"asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(served)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    fashion = torchvision_datasets.FashionMNIST
    monkeypatch.setattr(fashion, "mirrors", [f"http://127.0.0.1:{server.server_address[1]}/"])
    monkeypatch.setattr(fashion, "resources", resources)
    yield asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_trials_that_start_together_download_once(published, tmp_path):
    dataset("fashionmnist", tmp_path / "alone", download=True).fetch()
    once = sorted(published)
    assert len(set(once)) == 4
    published.clear()
    root, splits = tmp_path / "root", []

    def start():
        found = dataset("fashionmnist", root, download=True)
        found.check()
        splits.append(found.load(hold_out=True, device=torch.device("cpu")))

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(splits) == 4
    assert sorted(published) == once
    assert np.array_equal(splits[0].train.labels, splits[3].train.labels)


def test_what_is_absent_is_fetched_before_the_trials_and_counted(published, tmp_path):
    told = []
    with shown_by(Lines(told.append, itertools.count(step=100).__next__)):
        dataset("fashionmnist", tmp_path / "root", download=True).prepare()
    assert len(set(published)) == 4
    named = [
        line for line in told if line.startswith("downloading train-images-idx3-ubyte.gz: 0.0 of 0.0 MB")
    ]
    assert named, told
    published.clear()
    dataset("fashionmnist", tmp_path / "root", download=True).prepare()
    dataset("fashionmnist", tmp_path / "root").prepare()
    assert published == []


def test_another_server_is_asked_where_the_first_lacks_a_file_or_has_another_one(published, tmp_path):
    kind = torchvision_datasets.FashionMNIST
    name, md5 = kind.resources[0]
    good, target = f"{kind.mirrors[0]}{name}", tmp_path / name
    for bad in (f"{kind.mirrors[0]}absent", f"{kind.mirrors[0]}{kind.resources[1][0]}"):
        download([bad, good], target, md5=md5)
        assert hashlib.md5(target.read_bytes()).hexdigest() == md5
        target.unlink()
        with pytest.raises((OSError, RuntimeError)):
            download([bad], target, md5=md5)
        assert list(tmp_path.glob(f"*{name}*")) == list(tmp_path.glob(f".*{name}*")) == []
    published.clear()
    target.write_bytes(b"half")
    download([good], target, md5=md5)
    download([good], target, md5=md5)
    assert len(published) == 1


def test_a_download_that_fails_is_one_line(published, tmp_path, monkeypatch):
    wrong = [(name, "0" * 32) for name, _ in torchvision_datasets.FashionMNIST.resources]
    monkeypatch.setattr(torchvision_datasets.FashionMNIST, "resources", wrong)
    with pytest.raises(UserError, match=r"^dataset\.download: fashionmnist cannot be fetched") as caught:
        dataset("fashionmnist", tmp_path / "root", download=True).load(
            hold_out=True, device=torch.device("cpu")
        )
    assert "\n" not in str(caught.value)
