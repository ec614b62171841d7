"""By which of the machine's addresses the workers of a training speak. Importing it needs no torch."""

from __future__ import annotations

import os
import socket

LOOPBACK = "127.0.0.1"


def use_loopback() -> None:
    """Lets gloo and NCCL listen on the loopback interface alone, unless the user has named another one.

    Must be called before the first group of a process.
    """
    name = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), "lo")
    for variable in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        os.environ.setdefault(variable, name)
