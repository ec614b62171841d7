"""How many trials fit at once."""

import pytest

from ubn_sweep.sweep.deciding.slots import slots_of
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
