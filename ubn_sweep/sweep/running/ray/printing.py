"""Where a worker's process prints."""

from __future__ import annotations

import faulthandler
import os
import sys
import time
from pathlib import Path


def print_to(log: Path, headline: str) -> None:
    """Sends all that this process prints into a file, whoever prints: Python, C++, the handler of a segfault."""
    log.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        stream.flush()
        os.dup2(descriptor, number)
    os.close(descriptor)
    faulthandler.enable(file=2)
    print(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')} {headline}", file=sys.stderr, flush=True)
