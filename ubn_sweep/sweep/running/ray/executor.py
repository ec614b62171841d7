"""Trials as Ray Tune's, on a cluster of this machine's own or on one that is there."""

from __future__ import annotations

from dataclasses import dataclass

from ubn_sweep.sweep.running.dispatch import Dispatch
from ubn_sweep.sweep.running.interruption import Interruption
from ubn_sweep.sweep.running.ray.environment import prepare_ray_environment


@dataclass(frozen=True, kw_only=True)
class RayExecutor:
    """Runs the trials on Ray."""

    address: str | None = None
    """Of a cluster that is there; None starts one on localhost, which ends with the sweep."""
    cpus: int | None = None
    """Of the own cluster; None takes all."""
    gpus: int | None = None

    def check(self) -> None:
        if self.address is None:
            return
        prepare_ray_environment(local=False)
        from ubn_sweep.sweep.running.ray.cluster import check_address

        check_address(self.address)

    def run(self, dispatch: Dispatch, interruption: Interruption) -> None:
        prepare_ray_environment(local=self.address is None)
        from ubn_sweep.sweep.running.ray.capacity import check_capacity  # Ray takes seconds to import
        from ubn_sweep.sweep.running.ray.cluster import ray_cluster
        from ubn_sweep.sweep.running.ray.tune import run_with_tune

        with ray_cluster(self.address, cpus=self.cpus, gpus=self.gpus):
            check_capacity(dispatch, own=self.address is None)
            run_with_tune(dispatch, interruption)
