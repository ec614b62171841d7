"""Fronts of two objectives, against the definition, and the order in which points are worth going on with."""

import random

import pytest

from ubn_sweep.records.fronts import best_first, front, layers


def dominates(a, b):
    return a[0] >= b[0] and a[1] >= b[1] and a != b


def peeled(points):
    """Layers as they are defined: those that none of the others dominates, again and again."""
    left, found = set(range(len(points))), []
    while left:
        layer = {i for i in left if not any(dominates(points[j], points[i]) for j in left)}
        found.append(layer)
        left -= layer
    return found


@pytest.mark.parametrize("values", [3, 10, 10**6])
def test_layers_are_those_of_the_definition(values):
    dice = random.Random(values)
    for count in (0, 1, 2, 40, 150):
        points = [(float(dice.randrange(values)), float(dice.randrange(values))) for _ in range(count)]
        assert [set(layer) for layer in layers(points)] == peeled(points)
        for layer in layers(points):
            scores = [points[place][0] for place in layer]
            assert scores == sorted(scores, reverse=True)


def test_equal_points_are_on_the_front_together():
    assert front([(1.0, 2.0), (0.0, 0.0), (1.0, 2.0), (2.0, 1.0), (1.0, 1.0)]) == [3, 0, 2]


def test_the_order_goes_front_by_front_and_takes_the_ends_first():
    line = [(float(i), float(10 - i)) for i in range(11)]
    behind = [(x - 0.5, y - 0.5) for x, y in line]
    order = best_first(line + behind)
    assert sorted(order) == list(range(22))
    assert set(order[:11]) == set(range(11))
    assert order[:3] == [10, 0, 5]
    assert order[11:14] == [21, 11, 16]
    assert best_first(line + behind, 3) == [10, 0, 5]
    assert best_first(line, 0) == []


def test_the_spread_of_a_front_does_not_depend_on_scales():
    line = [(float(i), float(10 - i)) for i in range(11)]
    stretched = [(2.0**-20 * x, 2.0**600 * y) for x, y in line]  # exact, so that ties stay ties
    assert best_first(stretched) == best_first(line)
