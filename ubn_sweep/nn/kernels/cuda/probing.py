"""Whether Triton can work on this machine."""

from __future__ import annotations

import triton


def probe() -> None:
    """Builds what Triton needs of the driver, as its first kernel would.

    Raises:
        Exception: of whatever kind, where there is no C compiler, or no driver.
    """
    triton.runtime.driver.active.get_current_target()
