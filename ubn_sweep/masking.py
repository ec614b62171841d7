"""Passwords in addresses: kept out of all that is shown, copied or handed on, and taken from the environment."""

from __future__ import annotations

import os
import re
from typing import Any

from ubn_sweep.errors import UserError

MASK = "***"
_IN_USER = re.compile(r"(://[^/@:\s]*):(?!\*\*\*@)[^\s]*@")
_IN_QUERY = re.compile(r"([?&](?:password|passwd|pwd|sslpassword|token)=)(?!\*\*\*)[^&\s]+", re.IGNORECASE)
_NAME = re.compile(r"\$\{([^}]*)\}")
_IS_NAME = re.compile(r"\$\{[^}]*\}")


def masked(text: str) -> str:
    """A text without the passwords of the addresses in it; those to be taken from the environment stay by name."""
    return _IN_QUERY.sub(rf"\1{MASK}", _IN_USER.sub(rf"\1:{MASK}@", text)) if has_password(text) else text


def masked_values(value: Any) -> Any:
    """Nested mappings and lists with all their texts masked."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, dict):
        return {key: masked_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked_values(item) for item in value]
    return value


def has_password(text: str | None) -> bool:
    """Whether an address in the text has its password written out."""
    if text is None:
        return False
    without_names = _IS_NAME.sub(MASK, text)
    return bool(_IN_USER.search(without_names) or _IN_QUERY.search(without_names))


def from_environment(text: str, key: str) -> str:
    """The text with each `${NAME}` replaced by what the environment holds. `key` is where the user wrote it.

    Raises:
        UserError: the environment lacks a name.
    """

    def value(found: re.Match[str]) -> str:
        name = found.group(1)
        if name not in os.environ:
            raise UserError(
                f"{key}: `{found.group(0)}` is not set in the environment: export {name or 'NAME'}=... first"
            )
        return os.environ[name]

    return _NAME.sub(value, text)
