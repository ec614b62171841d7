"""What a trial's process prints, whoever prints: Python, C++, the handler of a segfault. Into a file, or to a URL."""

from __future__ import annotations

import faulthandler
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ubn_sweep.storage import Storage, is_url

COPY_EVERY_S = 5.0
"""What is printed after the last copy is lost with a process that crashes."""


@contextmanager
def printing_to(place: str, attempt: str, headline: str) -> Iterator[None]:
    """Appends to a file. A URL has a file for each attempt, which is copied while the block runs, and at its end."""
    if not is_url(place):
        _print_to(Path(place), headline)
        yield
        return
    with tempfile.TemporaryDirectory(prefix="ubn-sweep-") as folder:
        log, over = Path(folder) / f"{attempt}.log", threading.Event()
        _print_to(log, headline)
        copying = threading.Thread(target=_copy, args=(log, Storage(place), over), name="log", daemon=True)
        copying.start()
        try:
            yield
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            over.set()
            copying.join()


def _copy(log: Path, storage: Storage, over: threading.Event) -> None:
    copied = -1
    while True:
        last = over.wait(COPY_EVERY_S)
        size = log.stat().st_size
        if size != copied:
            with suppress(OSError):  # a storage that is away for a moment: the next copy holds it all
                storage.upload(log, log.name)
                copied = size
        if last:
            return


def _print_to(log: Path, headline: str) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        stream.flush()
        os.dup2(descriptor, number)
    os.close(descriptor)
    faulthandler.enable(file=2)
    print(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')} {headline}", file=sys.stderr, flush=True)
