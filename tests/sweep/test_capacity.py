"""How many trials fit at once."""

import pytest

from ubn_sweep.sweep.deciding.slots import fit, slots_of
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
