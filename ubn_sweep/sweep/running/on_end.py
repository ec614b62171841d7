"""What others are told when a sweep ends: a command is run, an address is posted to. Neither can fail or delay it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ubn_sweep.masking import from_environment, masked
from ubn_sweep.sweep.running.interruption import HASTE_S
from ubn_sweep.sweep.spec.spec import OnEndConfig

WEBHOOK = "on_end.webhook"


def check_on_end(config: OnEndConfig) -> None:
    """Looks whether all that it needs from the environment is there.

    Raises:
        UserError: it is not.
    """
    if config.webhook is not None:
        from_environment(config.webhook, WEBHOOK)


def tell_end(config: OnEndConfig, content: Mapping[str, Any], *, hurry: bool) -> list[str]:
    """Runs the command and posts to the webhook, at the same time; a line for each that did not go well.

    Args:
        content: what they are told, as JSON; `sweep`, `state` and `folder` are in the command's environment, too.
        hurry: whether the time limit is `HASTE_S`, however long the spec allows.
    """
    limit_s = min(config.timeout_s, HASTE_S) if hurry else config.timeout_s
    text = json.dumps(content)
    warnings: list[str] = []
    posting: threading.Thread | None = None
    deadline_s = time.monotonic() + limit_s
    if config.webhook is not None:
        posting = threading.Thread(
            target=_post, args=(config.webhook, text, limit_s, warnings), name=WEBHOOK, daemon=True
        )
        posting.start()
    if config.command is not None:
        warnings += _run(config.command, text, content, limit_s)
    if posting is not None:
        with contextlib.suppress(KeyboardInterrupt):
            posting.join(max(deadline_s - time.monotonic(), 0.1))
        if posting.is_alive():
            warnings.append(f"{WEBHOOK}: no answer within {limit_s:g} s")
    return warnings


def _run(command: str, text: str, content: Mapping[str, Any], limit_s: float) -> list[str]:
    told = {f"UBN_SWEEP_{name.upper()}": str(content[name]) for name in ("sweep", "state", "folder")}
    # Files and no pipes: a child of the command's that lives on would hold a pipe open.
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as printed:
        given.write(text.encode())
        given.seek(0)
        try:
            process = subprocess.Popen(
                ["/bin/sh", "-c", command],
                stdin=given,
                stdout=printed,
                stderr=subprocess.STDOUT,
                env={**os.environ, **told},
                start_new_session=True,
            )
        except OSError as error:
            return [f"on_end.command: cannot be started ({error.strerror})"]
        try:
            code = process.wait(limit_s)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return [f"on_end.command: has been ended after {limit_s:g} s (on_end.timeout_s)"]
        printed.seek(0)
        lines = printed.read().decode(errors="replace").strip().splitlines()
    if code == 0:
        return []
    last = f": {masked(lines[-1])}" if lines else ""
    return [f"on_end.command: ended with code {code}{last}"]


def _post(address: str, text: str, limit_s: float, warnings: list[str]) -> None:
    try:
        address = from_environment(address, WEBHOOK)
        request = urllib.request.Request(
            address, data=text.encode(), headers={"Content-Type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=limit_s):
            pass
    except Exception as error:  # whatever an address, its server or the network make of it
        # No more of the address than its host: such addresses often hold a secret in their path.
        reason = getattr(error, "reason", None) or type(error).__name__
        code = f"{error.code} " if isinstance(error, urllib.error.HTTPError) else ""
        warnings.append(f"{WEBHOOK}: {_host(address)} did not take it ({code}{masked(str(reason))})")


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or "the address"
    except ValueError:
        return "the address"
