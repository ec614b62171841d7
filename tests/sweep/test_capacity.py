"""How many trials fit at once."""

import pytest

from ubn_sweep.sweep.deciding.slots import slots_of
from ubn_sweep.sweep.running.ray.asking import Node
from ubn_sweep.sweep.running.ray.capacity import Slots
from ubn_sweep.sweep.spec.spec import ResourcesConfig

NODES = [{"CPU": 8.0, "GPU": 2.0, "memory": 1e9}, {"CPU": 3.0}]


@pytest.mark.parametrize(
    ("resources", "slots"),
    [
        ({}, 11),
        ({"cpus_per_trial": 2}, 5),
        ({"cpus_per_trial": 9}, 0),
        ({"gpus_per_trial": 1.0}, 2),
        ({"gpus_per_trial": 2.0}, 1),
        ({"gpus_per_trial": 0.5}, 4),
        ({"gpus_per_trial": 0.75}, 2),
        ({"gpus_per_trial": 0.1}, 8),
        ({"gpus_per_trial": 3.0}, 0),
    ],
)
def test_a_trial_lies_on_one_node(resources, slots):
    assert slots_of(NODES, ResourcesConfig(**resources)) == slots


class Growing:
    """A cluster whose nodes come and go, as `Slots` asks for them."""

    def __init__(self):
        self.nodes = []

    def usable(self):
        return self.nodes


def test_what_is_waited_for_is_said_once(small_spec):
    told, cluster = [], Growing()
    slots = Slots(small_spec(resources={"cpus_per_trial": 2}), cluster, told.append)
    one = Node(id="a", name="a", resources={"CPU": 1.0})
    for cluster.nodes in ([one], [one], [], [Node(id="b", name="b", resources={"CPU": 4.0})], [one]):
        slots.look()
    assert told == [
        "a trial takes cpus_per_trial 2, gpus_per_trial 0, but no node has more than 1 processors and 0 GPUs: waiting "
        "for one that has",
        "a node is back",
        "a trial takes cpus_per_trial 2, gpus_per_trial 0, but no node has more than 1 processors and 0 GPUs: waiting "
        "for one that has",
    ]


def test_a_cluster_that_may_grow_sees_all_that_the_user_allows(small_spec):
    cluster = Growing()
    cluster.nodes = [Node(id="b", name="b", resources={"CPU": 4.0})]
    assert Slots(small_spec(), cluster).wanted() == 5  # what it holds, and one that waits
    assert Slots(small_spec(resources={"max_concurrent": 32}), cluster).wanted() == 32
