"""A sweep on several nodes, one of which dies."""

import threading
from collections import Counter

import pytest

from tests.support.processes import descendants, wait_until
from ubn_sweep.records.events import EpochReported, TrialEnded, TrialFault
from ubn_sweep.records.journal import read_journal
from ubn_sweep.sweep.running.launch import start_sweep
from ubn_sweep.sweep.spec.loading import load_spec


@pytest.fixture
def two_nodes(monkeypatch, tmp_path):
    """A head without processors and two nodes with one each."""
    monkeypatch.setenv("TEST_EPOCH_LOG", str(tmp_path / "epochs.txt"))
    monkeypatch.setenv("TEST_EPOCH_S", "0.3")
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster, nodes
    ray.shutdown()
    cluster.shutdown()


@pytest.mark.slow
def test_a_sweep_outlives_the_death_of_a_node(two_nodes, small_spec, tmp_path):
    cluster, nodes = two_nodes
    spec = small_spec(search={"trials": 8, "sampler": "random"})
    log = tmp_path / "epochs.txt"
    folder = tmp_path / "sweeps" / "small"

    def kill_a_node_in_the_midst():
        wait_until(lambda: log.exists() and len(log.read_text().splitlines()) >= 8, timeout_s=120)
        cluster.remove_node(nodes[0], allow_graceful=False)

    killer = threading.Thread(target=kill_a_node_in_the_midst)
    killer.start()
    result = start_sweep(spec, home=tmp_path / "sweeps", name=None)
    killer.join()
    assert result.finished
    assert result.counts["failed"] == 0
    events = read_journal(folder)
    assert sorted(event.trial for event in events if isinstance(event, TrialEnded)) == list(range(8))
    reports = Counter((event.trial, event.epoch) for event in events if isinstance(event, EpochReported))
    assert set(reports.values()) == {1}
    assert len({line.split()[2] for line in log.read_text().splitlines()}) >= 2


@pytest.mark.slow
def test_a_node_that_takes_a_worker_with_it_costs_an_attempt(two_nodes, write_spec, tmp_path):
    """One worker on each of two nodes; the trial goes on upon the third."""
    cluster, nodes = two_nodes
    nodes = [*nodes, cluster.add_node(num_cpus=1)]
    path = write_spec(
        task="tests.support.pairs:Pairs",
        base={"training": {"epochs": 8, "batch_size": 16}},
        space={"norm.threshold": {"type": "float", "low": 0.0, "high": 0.6}},
        search={"trials": 1, "sampler": "random", "warm_starts": False},
        resources={"workers_per_trial": 2, "worker_timeout_s": 60},
    )
    log = tmp_path / "epochs.txt"

    def kill_the_node_of_worker_1():
        wait_until(lambda: log.exists() and len(log.read_text().splitlines()) >= 6, timeout_s=120)
        (pid,) = {int(line.split()[3]) for line in log.read_text().splitlines() if line.split()[2] == "1"}
        raylets = {node.all_processes["raylet"][0].process.pid: node for node in nodes}
        (node,) = (node for raylet, node in raylets.items() if pid in descendants(raylet))
        cluster.remove_node(node, allow_graceful=False)

    killer = threading.Thread(target=kill_the_node_of_worker_1)
    killer.start()
    result = start_sweep(load_spec(path), home=tmp_path / "sweeps", name=None)
    killer.join()
    assert result.counts["completed"] == 1
    events = read_journal(result.folder)
    (fault,) = [event for event in events if isinstance(event, TrialFault)]
    assert fault.kind == "died"
    assert fault.reason.startswith("worker 1 of 2: its process ")
    reported = [event.epoch for event in events if isinstance(event, EpochReported)]
    assert reported == list(range(1, 9))
