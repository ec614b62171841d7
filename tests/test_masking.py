"""Passwords in addresses."""

import pytest

from ubn_sweep.errors import UserError
from ubn_sweep.masking import from_environment, has_password, masked, masked_values


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:secret@host:1/db", "postgresql://me:***@host:1/db"),
        ("postgresql://me:se/cr@et@host/db", "postgresql://me:***@host/db"),
        ("--set tracking.uri=http://me:secret@host", "--set tracking.uri=http://me:***@host"),
        ("http://host/db?user=me&password=secret&x=1", "http://host/db?user=me&password=***&x=1"),
        ("see postgresql://a:secret@h/x and mail b@c", "see postgresql://a:***@h/x and mail b@c"),
    ],
)
def test_passwords_are_masked(text, shown):
    assert has_password(text)
    assert masked(text) == shown
    assert masked(shown) == shown
    assert masked_values({"a": [text, 1]}) == {"a": [shown, 1]}


@pytest.mark.parametrize(
    "text",
    ["sqlite:////a/b.db", "http://host:5000", "postgresql://me:${PASSWORD}@host/db", "${STORE}", "a@b", ""],
)
def test_what_has_no_password_stays(text):
    assert not has_password(text)
    assert masked(text) == text


def test_names_are_taken_from_the_environment(monkeypatch):
    monkeypatch.setenv("STORE_PASSWORD", "se/cr@et")
    uri = "postgresql://me:${STORE_PASSWORD}@host/db"
    assert from_environment(uri, "tracking.uri") == "postgresql://me:se/cr@et@host/db"
    with pytest.raises(UserError, match=r"tracking.uri: `\$\{ABSENT\}` is not set"):
        from_environment("${ABSENT}", "tracking.uri")
