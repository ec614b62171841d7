"""How many trials fit at once."""

import pytest

from ubn_sweep.sweep.deciding.slots import fit, slots_of
from ubn_sweep.sweep.running.ray.asking import Node
from ubn_sweep.sweep.running.ray.capacity import Room
from ubn_sweep.sweep.spec.resources import Shape

NODES = [{"CPU": 8.0, "GPU": 2.0, "memory": 1e9}, {"CPU": 3.0}]


@pytest.mark.parametrize(
    ("takes", "slots"),
    [
        ({}, 11),
        ({"cpus": 2}, 5),
        ({"cpus": 9}, 0),
        ({"gpus": 1.0}, 2),
        ({"gpus": 2.0}, 1),
        ({"gpus": 0.5}, 4),
        ({"gpus": 0.75}, 2),
        ({"gpus": 0.1}, 8),
        ({"gpus": 3.0}, 0),
        ({"workers": 2}, 5),
        ({"workers": 3, "cpus": 2}, 1),
        ({"workers": 2, "gpus": 1.0}, 1),
        ({"workers": 4, "gpus": 0.5}, 1),
        ({"workers": 3, "gpus": 1.0}, 0),
        ({"workers": 12}, 0),
    ],
)
def test_a_worker_lies_on_one_node(takes, slots):
    shape = Shape(**{"workers": 1, "cpus": 1, "gpus": 0.0, **takes})
    assert slots_of(NODES, shape) == slots
    assert fit(NODES, [shape] * slots)
    assert not fit(NODES, [shape] * (slots + 1))


class Growing:
    """A cluster whose nodes come and go, as `Slots` asks for them."""

    def __init__(self):
        self.nodes = []

    def usable(self):
        return self.nodes


def test_what_is_waited_for_is_said_once(small_spec):
    told, cluster = [], Growing()
    room = Room(small_spec(resources={"cpus_per_worker": 2}), cluster, told.append)
    one = Node(id="a", name="a", resources={"CPU": 1.0})
    for cluster.nodes in ([one], [one], [], [Node(id="b", name="b", resources={"CPU": 4.0})], [one]):
        room.look()
    assert told == [
        "a trial takes cpus_per_worker 2, gpus_per_worker 0, but no node has more than 1 processors and 0 GPUs: "
        "waiting for one that has",
        "a node is back",
        "a trial takes cpus_per_worker 2, gpus_per_worker 0, but no node has more than 1 processors and 0 GPUs: "
        "waiting for one that has",
    ]


def test_a_cluster_that_may_grow_sees_all_that_the_user_allows(small_spec):
    cluster = Growing()
    cluster.nodes = [Node(id="b", name="b", resources={"CPU": 4.0})]
    assert Room(small_spec(), cluster).most() == 5  # what it holds, and one that waits
    growing = Room(small_spec(resources={"max_concurrent": 32}), cluster)
    assert growing.most() == 32
    one = Shape(workers=1, cpus=1, gpus=0.0)
    assert growing.for_one_more([one] * 31)
    assert not growing.for_one_more([one] * 32)


def test_trials_of_several_shapes_run_beside_one_another_as_far_as_they_fit():
    small, shared, large = (
        Shape(workers=workers, cpus=1, gpus=gpus) for workers, gpus in ((1, 0.0), (1, 0.5), (2, 1.0))
    )
    assert fit(NODES, [large] + [small] * 9)
    assert not fit(NODES, [large] + [small] * 10)
    assert not fit(NODES, [large, shared])
    assert fit(NODES, [shared] * 4 + [small] * 7)
    one_gpu = Shape(workers=1, cpus=1, gpus=1.0)
    assert fit(NODES, [one_gpu, shared, shared])
    assert not fit(NODES, [one_gpu, shared, shared, shared])
