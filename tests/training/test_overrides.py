"""`--set KEY=VALUE`."""

import pytest

from ubn_sweep.errors import UserError
from ubn_sweep.overrides import apply_overrides


def test_values_are_yaml_and_the_content_is_left_alone():
    content = {"dataset": {"name": "digits"}, "seed": 1}
    result = apply_overrides(
        content,
        ["dataset.root=/data/a=b", "seed=2", "optimizer.lr=1e-3", "training.epochs=5", "norm.scaling=null",
         "optimizer.step_epochs=[1, 2]", "model.name='20'", "dataset.download=true", "seed=3"],
    )  # fmt: skip
    assert content == {"dataset": {"name": "digits"}, "seed": 1}
    assert result == {
        "dataset": {"name": "digits", "root": "/data/a=b", "download": True},
        "seed": 3,
        "optimizer": {"lr": 0.001, "step_epochs": [1, 2]},
        "training": {"epochs": 5},
        "norm": {"scaling": None},
        "model": {"name": "20"},
    }


@pytest.mark.parametrize(
    ("value", "read"), [("5e-4", 5e-4), ("1E3", 1000.0), ("resnet8e", "resnet8e"), ("8e", "8e"), ("", None)]
)
def test_what_yaml_takes_for_text_may_be_a_number(value, read):
    assert apply_overrides({}, [f"key={value}"]) == {"key": read}


@pytest.mark.parametrize("assignment", ["key", "=1", ".key=1", "a..b=1", "key=[1", "seed.deeper=1"])
def test_bad_assignments_are_one_line_that_repeats_them(assignment):
    with pytest.raises(UserError) as caught:
        apply_overrides({"seed": 1}, [assignment])
    assert assignment in str(caught.value)
    assert "\n" not in str(caught.value)
