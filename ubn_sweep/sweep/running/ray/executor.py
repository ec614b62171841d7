"""Trials as Ray Tune's, on a cluster of this machine's own or on one that is there."""

from __future__ import annotations

import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ubn_sweep.storage import Storage
from ubn_sweep.sweep.running import own_code
from ubn_sweep.sweep.running.dispatch import Dispatch
from ubn_sweep.sweep.running.interruption import Interruption
from ubn_sweep.sweep.running.places import SIGN, shared_place
from ubn_sweep.sweep.running.ray.environment import (
    check_home,
    cluster_address,
    job_brings_code,
    prepare_ray_environment,
)
from ubn_sweep.sweep.spec.spec import SweepSpec


@dataclass(kw_only=True)
class RayExecutor:
    """Runs the trials on Ray."""

    address: str | None = None
    """Of a cluster that is there; None takes RAY_ADDRESS, or starts one on localhost, which ends with the sweep."""
    cpus: int | None = None
    """Of the own cluster; None takes all."""
    gpus: int | None = None
    lags: Callable[[], Mapping[str, int]] = dict
    """Store -> records that wait for it, for the metrics."""
    _modules: list[Path] = field(default_factory=list, init=False)
    """The user's own, which are sent to the nodes since some node lacks them."""
    _files: dict[str, str] = field(default_factory=dict, init=False)
    """Path -> SHA-256 of the user's own modules, where all nodes have them by themselves."""
    _known: frozenset[str] | None = field(default=None, init=False)
    """Ids of the nodes that were looked at; None where the cluster is this process's own."""

    def check(self, spec: SweepSpec, home: Path) -> None:
        """Looks at every node of a cluster that is there, and leaves it as it was."""
        self._modules, self._files, self._known = [], {}, None
        check_home(home)
        address = cluster_address(self.address)
        prepare_ray_environment(local=address is None)
        if address is None and not _is_connected():
            return
        from ubn_sweep.sweep.running.ray.cluster import ray_cluster
        from ubn_sweep.sweep.running.ray.probe import (
            needs_of,
            nodes_for,
            refuse,
            signed,
            strange_nodes,
            unfit_nodes,
        )

        modules = [] if job_brings_code() else own_code.own_modules(_folders(spec))
        files = own_code.files_of(modules)
        with ray_cluster(address):
            if address is None and len(nodes_for(spec)) < 2:  # this process's own, as in a notebook
                return
            strange = strange_nodes(nodes_for(spec), files)
        if any(strange.values()):
            self._modules = modules
        else:
            self._files = files
        place = str(home) if spec.storage is None else spec.storage
        with self._connected(address):
            nodes = nodes_for(spec)
            with signed(place, nodes) as (sign, nonce):
                refuse(unfit_nodes(nodes, needs_of(spec, place=place, sign=sign, nonce=nonce)))
            self._known = frozenset(node.id for node in nodes)

    def run(self, dispatch: Dispatch, interruption: Interruption) -> None:
        address = cluster_address(self.address)
        prepare_ray_environment(local=address is None)
        from ubn_sweep.sweep.running.ray.apart import Newcomers  # Ray takes seconds to import
        from ubn_sweep.sweep.running.ray.capacity import check_capacity
        from ubn_sweep.sweep.running.ray.monitor import Monitor
        from ubn_sweep.sweep.running.ray.probe import needs_of
        from ubn_sweep.sweep.running.ray.tune import run_with_tune

        with self._connected(address):
            check_capacity(dispatch, own=address is None)
            monitor = Monitor(dispatch.state, self.lags)
            if self._known is None:
                run_with_tune(dispatch, interruption, monitor)
                return
            nonce = uuid.uuid4().hex
            place = shared_place(dispatch.state.spec, dispatch.folder)
            Storage(place).write(SIGN, nonce.encode())
            needs = needs_of(dispatch.state.spec, place=place, sign=SIGN, nonce=nonce)
            newcomers = Newcomers(dispatch.tell, files=self._files, known=self._known)
            run_with_tune(dispatch, interruption, monitor, needs=needs, newcomers=newcomers)

    @contextmanager
    def _connected(self, address: str | None) -> Iterator[None]:
        from ubn_sweep.sweep.running.ray.cluster import ray_cluster

        with tempfile.TemporaryDirectory(prefix="ubn-sweep-") as staging:
            modules = own_code.stage(self._modules, Path(staging))
            with ray_cluster(address, cpus=self.cpus, gpus=self.gpus, modules=modules):
                yield


def _folders(spec: SweepSpec) -> list[Path]:
    return [Path.cwd(), *([] if spec.task_folder is None else [Path(spec.task_folder)])]


def _is_connected() -> bool:
    """Whether somebody connected this process to Ray before."""
    ray = sys.modules.get("ray")
    return ray is not None and ray.is_initialized()
