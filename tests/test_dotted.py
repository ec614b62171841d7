"""Values as text."""

import pytest

from ubn_sweep.dotted import short_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "none"),
        (True, "on"),
        (False, "off"),
        (0.123456, "0.123"),
        (64, "64"),
        ("depthwise", "depthwise"),
    ],
)
def test_short_text(value, text):
    assert short_text(value) == text
