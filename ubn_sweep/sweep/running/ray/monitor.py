"""The sweep's numbers where Ray's own are: every node's agent shows them to Prometheus, and so to Ray's dashboard.

All are gauges: a counter of Ray 2.60 counts double in a process that was connected to a cluster before, as ours was to
look at its nodes. Ray puts `ray_` before each name, and tells its agent of them every ten seconds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from ray.util.metrics import Gauge

from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.explaining.monitoring import GAUGES, samples_of
from ubn_sweep.sweep.explaining.outlook import Watcher

LEAST_S, MOST_S = 0.5, 5.0
"""Between two looks."""
INTERVAL = "RAY_metrics_report_interval_ms"
"""In the environment: how often Ray tells of them. What was not set anew meanwhile, it drops after some of these."""
Lags = Callable[[], Mapping[str, int]]
"""Gives how many records wait for each store."""


class Monitor:
    """Looks at a state, and sets Ray's gauges. The controller's thread calls it in each step; most only ask the clock.

    Args:
        lags: of the copies of the sweep.
    """

    def __init__(self, state: SweepState, lags: Lags) -> None:
        self._state = state
        self._lags = lags
        self._every_s = min(MOST_S, max(LEAST_S, float(os.environ.get(INTERVAL, "inf")) / 2000))
        self._watcher = Watcher(state)
        self._gauges = {name: Gauge(name, text, tag_keys=labels) for name, (text, labels) in GAUGES.items()}
        self._next_s = time.monotonic()

    def look(self) -> None:
        """Does nothing but every few seconds."""
        if time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + self._every_s
        with suppress(OSError):  # the lags are read from the journal, whose folder may be away for a moment
            self._show()

    def _show(self) -> None:
        for name, labels, value in samples_of(self._state, self._watcher.look(), self._lags()):
            self._gauges[name].set(value, tags=labels)
