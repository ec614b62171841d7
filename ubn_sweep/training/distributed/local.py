"""The workers behind rank 0 as processes of this machine's own, for who trains without Ray.

`python -m ubn_sweep.training.distributed.local` is such a process: requests come by its input, a line each, and it
answers each by a line how it ended. When its input ends, which the death of rank 0 does too, so does it.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import IO

from ubn_sweep.training.distributed.gang import Ending, Request
from ubn_sweep.training.distributed.network import LOOPBACK, use_loopback


class LocalGang:
    """Workers 1, 2, ... of a training whose rank 0 is this process. `with LocalGang() as gang` leaves none behind."""

    host = LOOPBACK
    local_ranks = True

    def __init__(self) -> None:
        self._processes: dict[int, _Process] = {}
        self._asked: list[int] = []

    def __enter__(self) -> LocalGang:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def begin(self, requests: Mapping[int, Request]) -> None:
        use_loopback()
        self._asked = list(requests)
        for rank in requests:
            if rank not in self._processes:
                self._processes[rank] = _Process()
        for rank, request in requests.items():
            self._processes[rank].ask(request)

    def endings(self) -> dict[int, Ending]:
        found = {rank: self._processes[rank].ending() for rank in self._asked if rank in self._processes}
        return {rank: ending for rank, ending in found.items() if ending is not None}

    def kill(self) -> None:
        while self._processes:
            self._processes.popitem()[1].kill()


class _Process:
    """One of them, as rank 0 sees it."""

    def __init__(self) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is rank 0's to answer
        )
        self._answers: queue.Queue[str] = queue.Queue()
        self._ending: Ending | None = None
        threading.Thread(target=self._listen, daemon=True).start()

    def ask(self, request: Request) -> None:
        self._ending = None
        assert self._popen.stdin is not None
        with suppress(OSError):  # where it is dead, `ending` tells
            self._popen.stdin.write(request.to_json() + "\n")
            self._popen.stdin.flush()

    def ending(self) -> Ending | None:
        """How it came back from what it was asked; None while it is at it."""
        if self._ending is None:
            try:
                answer = self._answers.get_nowait()
            except queue.Empty:
                return None
            self._ending = Ending.from_json(answer) if answer else self._death()
        return self._ending

    def kill(self) -> None:
        self._popen.kill()
        self._popen.wait()
        for stream in (self._popen.stdin, self._popen.stdout):
            assert stream is not None
            with suppress(OSError):
                stream.close()

    def _death(self) -> Ending:
        code = self._popen.wait()
        how = f"of signal {-code}" if code < 0 else f"with exit code {code}"
        return Ending(kind="died", reason=f"its process {self._popen.pid} died {how}")

    def _listen(self) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            self._answers.put(line)
        self._answers.put("")


def main() -> None:
    """One of them, in its process."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the work prints is no answer
    requests: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read, args=(sys.stdin, requests), daemon=True).start()
    while True:
        line = requests.get()
        from ubn_sweep.training.distributed.follow import follow  # takes PyTorch's seconds

        answers.write(follow(Request.from_json(line)).to_json() + "\n")
        answers.flush()


def _read(lines: IO[str], requests: queue.Queue[str]) -> None:
    """Hands on what is asked; rank 0 is gone when the input ends, whatever the work is at."""
    for line in lines:
        requests.put(line)
    os._exit(0)


if __name__ == "__main__":
    main()
