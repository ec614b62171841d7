"""A sweep on several nodes, one of which dies."""

import threading
from collections import Counter

import pytest

from tests.support.processes import wait_until
from ubn_sweep.records.events import EpochReported, TrialEnded
from ubn_sweep.records.journal import read_journal
from ubn_sweep.sweep.running.launch import start_sweep


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
