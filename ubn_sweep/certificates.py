"""Whom TLS trusts here: one file of authorities for every client, and one line where a certificate is not trusted."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ubn_sweep.errors import UserError

FILE = "SSL_CERT_FILE"
"""OpenSSL's own name in the environment; Python, aiohttp and pyarrow follow it."""
OF_REQUESTS = "REQUESTS_CA_BUNDLE"
"""The same for requests, by which MLflow and Ray's jobs are asked."""
REMEDY = "set SSL_CERT_FILE to a file with the certificate of its authority"
_PYTHON = re.compile(r"CERTIFICATE_VERIFY_FAILED\] certificate verify failed: ([^('\")]*[^('\") ])")
_CURL = re.compile(r"curlCode: 60,.*?verify result: ([^(]*[^( ])")


def trusted_file() -> str | None:
    """The file of authorities that the user names, which clients that look elsewhere are told of; None of the system's.

    Raises:
        UserError: it is not there.
    """
    for name in (FILE, OF_REQUESTS):
        file = os.environ.get(name)
        if file:
            if not Path(file).exists():
                raise UserError(
                    f"{name}: there is no file {file}: name one with the authorities' certificates"
                )
            os.environ.setdefault(OF_REQUESTS, file)
            return file
    return None


def why_untrusted(error: BaseException) -> str | None:
    """A line with the remedy, where a certificate is behind an error, or behind one that led to it; None elsewhere."""
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        for sign in (_PYTHON, _CURL):
            if (found := sign.search(str(cause))) is not None:
                return f"its certificate is not trusted, {found[1].rstrip('.')}: {_remedy(found[1])}"
        seen.append(cause)
        cause = cause.__cause__ or cause.__context__
    return None


def in_a_line(error: BaseException) -> str:
    """An error's text, or what there is to do where a certificate is not trusted."""
    untrusted = why_untrusted(error)
    return " ".join(str(error).split()) if untrusted is None else untrusted


def _remedy(reason: str) -> str:
    if "ostname mismatch" in reason or "IP address mismatch" in reason:
        return "ask for it under a name that the certificate has"
    return "have it renewed" if "expired" in reason else REMEDY
