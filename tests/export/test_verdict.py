"""The promise and the test."""

import pytest

from ubn_sweep.export.verdict import verdict
from ubn_sweep.training.classification.task import ImageClassification


def compare(test, promised=0.93, **options):
    known = {"validation_examples": 360, "test_examples": 360} | options
    return verdict(ImageClassification().promise, test=test, promised=promised, **known)


def test_its_error():
    found = compare(0.9)
    assert found.difference == pytest.approx(-0.03)
    assert found.standard_error == pytest.approx((0.07 * 0.93 / 360 + 0.1 * 0.9 / 360) ** 0.5, rel=0.05)


@pytest.mark.parametrize(
    ("test", "kept", "words"), [(0.92, True, "was kept"), (0.5, False, "not kept"), (0.999, True, "better")]
)
def test_the_sentence(test, kept, words):
    found = compare(test)
    assert found.kept is kept
    assert words in found.sentence


def test_the_best_of_many_is_optimistic():
    assert compare(0.9, candidates=1).optimism == 0
    few, many = compare(0.9, candidates=5), compare(0.9, candidates=50)
    assert 0 < few.optimism < many.optimism
    assert "best of 50 trials" in many.sentence


def test_without_the_number_of_images():
    found = compare(0.9, validation_examples=None)
    assert found.standard_error is None
    assert found.kept is None
    assert "not known" in found.sentence


def test_a_perfect_score_has_an_error():
    assert compare(1.0, promised=1.0).standard_error > 0
