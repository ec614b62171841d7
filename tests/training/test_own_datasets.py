"""A data set of one's own, named `module:Class`: found, checked, and one line for what it lacks."""

import subprocess
import sys
import textwrap

import pytest
import torch

from tests.support.processes import REPOSITORY
from tests.training.builders import DEVICE, pictures, tiny_config, write_own_images
from tests.training.going_on import goes_on_bit_for_bit
from ubn_sweep import schema
from ubn_sweep.errors import UserError
from ubn_sweep.training.classification.run import TrainingRun
from ubn_sweep.training.data.config import DatasetConfig
from ubn_sweep.training.data.registry import find_dataset

OWN = "tests.support.own_images:MyImages"


@pytest.fixture
def root(tmp_path):
    write_own_images(tmp_path)
    return tmp_path


def section(root, **options):
    return {"name": OWN, "root": str(root), "options": {"classes": 3, **options}}


def load(**keys):
    return find_dataset(DatasetConfig(**keys)).load(hold_out=True, device=torch.device(DEVICE))


def test_its_images_and_options_arrive(root):
    find_dataset(DatasetConfig(**section(root))).check()
    splits = load(**section(root))
    assert (splits.num_classes, splits.in_channels, splits.image_size_px) == (3, 3, 8)
    assert (len(splits.train), len(splits.validation)) == (39, 9)
    expected, labels = pictures(24, 8, seed=9)
    test = splits.load_test()
    assert torch.equal(test.pixels.cpu(), torch.from_numpy(expected).permute(0, 3, 1, 2))
    assert test.labels.tolist() == labels.tolist()
    inverted = load(**section(root, inverted=True)).load_test()
    assert torch.equal(inverted.pixels, 255 - test.pixels)
    assert load(**section(root), image_size_px=12).image_size_px == 12


def test_it_is_read_once_until_its_files_change(root):
    config = DatasetConfig(**section(root))
    first = find_dataset(config).decoded("train")
    assert find_dataset(config).decoded("train") is first
    write_own_images(root, train=30)
    assert len(find_dataset(config).decoded("train").labels) == 30


def test_a_run_on_it_goes_on_bit_for_bit(root, tmp_path):
    config = tiny_config(dataset=section(root))
    goes_on_bit_for_bit(config, tmp_path / "out")
    other = TrainingRun(tiny_config(dataset=section(root, inverted=True)))
    with pytest.raises(UserError, match=r"dataset\.options\.inverted = None, but got True"):
        other.load(tmp_path / "out")


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"options": {"clases": 3}}, "dataset.options.clases: unknown key (did you mean `classes`?)"),
        ({"options": {}}, "dataset.options.classes: is required, but absent"),
        ({"options": {"classes": "three"}}, "dataset.options.classes: should be a valid integer"),
        (
            {"name": "digits", "options": {"classes": 3}},
            "dataset.options: `digits` has none, but got `classes`",
        ),
        ({"name": "digts"}, "(did you mean `digits`?)"),
        ({"name": "nowhere:MyImages"}, "`nowhere` is no module that can be imported"),
        ({"name": "tests.support.own_images:Mine"}, "has no data set `Mine`; it has MyImages"),
        ({"name": "tests.support.own_images:MyOptions"}, "must be a subclass of"),
        ({"name": "ubn_sweep.training.data.in_memory:InMemoryDataset"}, "lacks `read`: add it"),
    ],
)
def test_what_is_wrong_is_one_line_before_anything_starts(keys, expected, root):
    with pytest.raises(UserError) as caught:
        find_dataset(DatasetConfig(**{**section(root), **keys})).check()
    assert expected in str(caught.value)
    assert "dataset." in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        (
            "lacks_a_library",
            "import nowhere_at_all",
            "No module named 'nowhere_at_all'; lacks_a_library.py line 1",
        ),
        ("ill_written", "x = 1\ndef read(:", "ill_written.py line 2"),
        ("raises", "raise ValueError('two\\nlines')", "ValueError: two lines; raises.py line 1"),
    ],
)
def test_a_module_that_cannot_be_imported_is_one_line(name, source, expected, tmp_path, monkeypatch):
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        find_dataset(DatasetConfig(name=f"{name}:Mine"))
    assert str(caught.value).startswith(f"dataset.name: `{name}` cannot be imported")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


SOURCE = """
    import numpy as np
    from ubn_sweep.training.data.in_memory import InMemoryDataset
    from ubn_sweep.training.data.labelled import LabelledImages

    class Mine(InMemoryDataset):
        def read(self, part):
            return LabelledImages(pixels={pixels}, labels={labels}, num_classes=2)
"""


@pytest.mark.parametrize(
    ("pixels", "labels", "expected"),
    [
        ("np.zeros((4, 3, 8, 8))", "np.arange(4) % 2", "but are float64 of shape (4, 3, 8, 8)"),
        ("np.zeros((4, 8, 8), np.uint8)", "np.arange(4) % 2", "but are uint8 of shape (4, 8, 8)"),
        ("np.zeros((4, 8, 6), np.uint8)", "np.arange(4) % 2", "must be uint8 of shape (N, C, H, W)"),
        ("np.zeros((4, 3, 8, 8), np.uint8)", "np.arange(5) % 2", "but are int64 of shape (5,)"),
        ("np.zeros((4, 3, 8, 8), np.uint8)", "np.array([0., 1, 0, 1])", "but are float64 of shape (4,)"),
        ("np.zeros((4, 3, 8, 8), np.uint8)", "np.arange(4)", "must lie from 0 to 1, but one is 3"),
    ],
)
def test_arrays_of_another_kind_are_one_line(pixels, labels, expected, tmp_path, monkeypatch):
    name = f"bad_{abs(hash((pixels, labels)))}"
    (tmp_path / f"{name}.py").write_text(textwrap.dedent(SOURCE.format(pixels=pixels, labels=labels)))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        load(name=f"{name}:Mine", validation_fraction=0.5)
    assert expected in str(caught.value)
    assert f"`{name}:Mine`" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_small_integers_are_labels_too(tmp_path, monkeypatch):
    (tmp_path / "small_labels.py").write_text(
        textwrap.dedent(
            SOURCE.format(
                pixels="np.zeros((4, 3, 8, 8), np.uint8)", labels="np.array([0, 1, 0, 1], np.uint8)"
            )
        )
    )
    monkeypatch.chdir(tmp_path)
    assert load(name="small_labels:Mine", validation_fraction=0.5).train.labels.dtype == torch.int64


def test_grey_images_have_one_memory_layout_however_they_were_made(tmp_path, monkeypatch):
    arrays = {
        "standard": "np.zeros((4, 1, 8, 8), np.uint8)",
        "from_the_end": "np.zeros((4, 8, 8, 1), np.uint8).transpose(0, 3, 1, 2)",
        "broadcast": "np.zeros((4, 8, 8), np.uint8)[:, None]",
    }
    monkeypatch.chdir(tmp_path)
    for name, pixels in arrays.items():
        (tmp_path / f"{name}.py").write_text(
            textwrap.dedent(SOURCE.format(pixels=pixels, labels="np.arange(4) % 2"))
        )
        for keys in ({}, {"image_size_px": 8}, {"image_size_px": 6}):
            batch, _ = next(load(name=f"{name}:Mine", validation_fraction=0.5, **keys).train.in_order(4))
            assert batch.is_contiguous(memory_format=torch.channels_last)
            assert batch.stride()[1] == 1


def test_the_documented_class_is_the_tested_one():
    page = (REPOSITORY / "docs" / "datasets.md").read_text()
    block = page.split("```python\n", 1)[1].split("```", 1)[0]
    assert block == (REPOSITORY / "tests" / "support" / "own_images.py").read_text()


def test_looking_for_it_needs_no_torch(root):
    config = schema.to_plain(DatasetConfig(**section(root)))
    code = (
        "import sys; from ubn_sweep.training.data.config import DatasetConfig;"
        "from ubn_sweep.training.data.registry import find_dataset;"
        f"find_dataset(DatasetConfig(**{config!r})).check(); sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_no_options_leave_no_trace_in_a_record():
    assert "options" not in schema.to_plain(DatasetConfig())
    assert schema.to_plain(DatasetConfig(options={"a": [1]}))["options"] == {"a": [1]}
