"""Values by dotted keys, as text, and as JSON."""

import json
import math

import numpy as np
import pytest

from ubn_sweep.dotted import NotAMappingError, flatten, is_below, leaf_keys, set_at, value_at
from ubn_sweep.plain_json import dumps, with_nulls
from ubn_sweep.texts import as_recorded, as_shown, as_yaml

CONTENT = {"norm": {"gate": True, "inner": {"a": 1}}, "seed": 0, "empty": {}, "none": None}


def test_dotted_keys():
    assert flatten(CONTENT) == {"norm.gate": True, "norm.inner.a": 1, "seed": 0, "none": None}
    assert leaf_keys(CONTENT) == ["norm.gate", "norm.inner.a", "seed", "none"]
    assert value_at(CONTENT, "norm.inner.a") == 1
    for absent in ("norm.absent", "seed.below", "absent"):
        with pytest.raises(KeyError):
            value_at(CONTENT, absent)
    assert is_below("norm.gate", "seed", "norm")
    assert is_below("norm", "norm")
    assert not is_below("normal", "norm")


def test_setting_by_a_dotted_key():
    content = {"a": {"b": 1}, "none": None}
    for key in ("a.c", "new.deep.key", "none.x", "top"):
        set_at(content, key, key)
    assert content == {
        "a": {"b": 1, "c": "a.c"},
        "new": {"deep": {"key": "new.deep.key"}},
        "none": {"x": "none.x"},
        "top": "top",
    }
    with pytest.raises(NotAMappingError, match=r"`a\.b`, which holds 1") as caught:
        set_at(content, "a.b.c", 2)
    assert (caught.value.place, caught.value.value) == ("a.b", 1)


@pytest.mark.parametrize(
    ("value", "recorded", "yaml", "shown"),
    [
        (None, "none", "null", "none"),
        (True, "true", "true", "on"),
        (False, "false", "false", "off"),
        (0.123456, "0.123456", "0.123456", "0.123"),
        (1e-5, "1e-05", "1e-05", "1e-05"),
        (64, "64", "64", "64"),
        ("instance", "instance", "instance", "instance"),
        ([1, None], "[1, null]", "[1, null]", "[1, None]"),
    ],
)
def test_one_text_for_each_kind_of_reader(value, recorded, yaml, shown):
    assert (as_recorded(value), as_yaml(value), as_shown(value)) == (recorded, yaml, shown)


def test_digits_where_they_are_asked_for():
    assert as_yaml(0.123456, digits=4) == "0.1235"
    assert as_yaml([0.123456, 3], digits=4) == "[0.1235, 3]"


def test_what_json_has_no_number_for():
    odd = {"a": [math.nan, np.float64(math.inf)], 2: (-math.inf, 1.5, None, "nan")}
    found = json.loads(dumps(odd, separators=(",", ":")))
    assert found == {"a": ["nan", "inf"], "2": ["-inf", 1.5, None, "nan"]}
    assert [float(item) for item in found["a"]][1] == math.inf
    assert with_nulls(odd) == {"a": [None, None], "2": [None, 1.5, None, "nan"]}
