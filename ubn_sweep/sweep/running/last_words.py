"""What is said when a process dies without a word: another one waits beside it, and speaks."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

WAIT = 'read -r goodbye || printf "%s\\n" "$0" >&2'
"""For the shell: its input ends without a line when whoever holds the other end dies, however it dies."""


@contextmanager
def last_words(text: str) -> Iterator[None]:
    """Prints a line to stderr where the process ends within the block: killed, out of memory, or left by a library.

    It costs a waiting shell, in a session of its own so that Ctrl-C does not end it. What kills both is not told of:
    a power cut, or a container that is torn down as a whole. A block that ends, well or by an exception, says
    nothing here: its caller speaks.
    """
    try:
        waiting = subprocess.Popen(
            ["/bin/sh", "-c", WAIT, text],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:  # no shell: nothing is lost but the line
        yield
        return
    try:
        yield
    finally:
        try:
            waiting.communicate(b"goodbye\n", timeout=5)
        except (OSError, subprocess.TimeoutExpired):
            waiting.kill()
            waiting.wait()
