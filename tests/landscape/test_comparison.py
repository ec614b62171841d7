"""Multiple comparison with the best: it errs in at most 5 of 100 sweeps, and finds what is there."""

import dataclasses

import numpy as np
import pytest

from benchmarks.comparison_with_best import errors, image_by_image, pairwise, simulated, without_images
from tests.support.journals import sweep_events
from ubn_sweep.landscape.analysis import analyse
from ubn_sweep.landscape.read import read_correctness, read_sweep
from ubn_sweep.landscape.views.comparison import Compared, compare_with_best
from ubn_sweep.landscape.views.ranking import ranking
from ubn_sweep.landscape.words import best
from ubn_sweep.records.correctness import packed, unpacked
from ubn_sweep.records.events import EpochReported, TrialEnded
from ubn_sweep.records.observations import observations

IMAGES = 1000


def test_equal_trials_are_rarely_told_apart():
    """5% each: more than 6 of 40 sweeps happens once in 200 times; one by one it is said of many."""
    rates = [
        errors(rule, [0.93] * 20, 40, images=IMAGES)[0] for rule in (pairwise, without_images, image_by_image)
    ]
    assert rates[0] > 0.2
    assert max(rates[1:]) <= 6 / 40


def test_the_luck_of_seeds_is_no_difference_of_configs():
    """With a percent of it one seed each tells trainings apart; of configs little is claimed by three seeds."""
    one, three = (
        errors(image_by_image, [0.93] * 12, 25, images=IMAGES, seeds=seeds, seed_std=0.01)[0]
        for seeds in (1, 3)
    )
    assert one > 0.2
    assert three <= 4 / 25


def test_pairing_finds_what_scores_alone_do_not():
    levels = [0.93] * 8 + [0.89] * 8
    paired, alone = (errors(rule, levels, 20, images=IMAGES) for rule in (image_by_image, without_images))
    assert paired[1] > 0.8
    assert paired[1] > alone[1]
    assert max(paired[0], alone[0]) <= 0.15


def test_few_different_examples_are_no_proof():
    """Two trials that differ in four examples, all one way: p = 0.06, exactly and one-sided."""
    bits = np.ones((1, 400), bool)
    for wrong, told in ((4, 2), (12, 1)):
        other = bits.copy()
        other[0, :wrong] = False
        rows = [Compared(score=float(row.mean()), examples=400, bits=row) for row in (bits, other)]
        assert compare_with_best(rows).undecided == told


def test_bits_of_another_metric_are_not_used():
    (trial, _), *_ = simulated([0.9], images=100, generator=np.random.default_rng(0))
    assert trial.paired
    assert not dataclasses.replace(trial, score=trial.score - 0.05).paired
    assert not dataclasses.replace(trial, examples=99).paired
    assert not dataclasses.replace(trial, bits=None).paired


def test_the_best_is_too_good_by_about_what_is_said():
    """A bootstrap's correction: somewhat too small where all are equally good."""
    said, true = [], []
    for seed in range(30):
        rows = [
            trial for trial, _ in simulated([0.9] * 15, images=IMAGES, generator=np.random.default_rng(seed))
        ]
        said.append(compare_with_best(rows).optimism)
        true.append(rows[0].score - np.mean([row.score for row in rows]))  # what all share left out
    assert 0.5 < np.mean(said) / np.mean(true) < 1.1


def judged_image_by_image(levels, images=361, **options):
    """A sweep without early stopping, whose trials recorded what they got right."""
    events = sweep_events(len(levels), stops=(), **options)
    pairs = simulated(levels, images=images, generator=np.random.default_rng(0))
    for place, event in enumerate(events):
        if isinstance(event, EpochReported | TrialEnded):
            trial = pairs[event.trial][0]
            told = {"val_top1": trial.score, "val_examples": float(images)}
            if isinstance(event, EpochReported):
                events[place] = dataclasses.replace(event, metrics={**event.metrics, **told})
            else:
                events[place] = dataclasses.replace(event, correct=packed(trial.bits))
    return events


def test_a_sweep_that_recorded_its_images_is_compared_by_them():
    table = observations(judged_image_by_image([0.95] * 5 + [0.8] * 5))
    found = analyse(table)
    assert len(read_correctness(table)) == 10
    assert found.ranking.compared_by == "361 validation images, image by image"
    assert found.ranking.tied == 5
    said = best(found.sweep, found.ranking)
    assert "On these images, one seed each, 5 of the other 9 can be told from it" in said
    assert "how much another seed would change is not known" in said


def test_without_them_it_says_so():
    events = judged_image_by_image([0.95] * 5 + [0.8] * 5)
    bare = [dataclasses.replace(e, correct={}) if isinstance(e, TrialEnded) else e for e in events]
    table = observations(bare)
    assert "correct" not in table.column_names
    found = ranking(read_sweep(table), read_correctness(table))
    assert found.compared_by == ("361 validation images, but not image by image, which was not recorded")


def test_bits_come_back_as_they_were():
    bits = np.random.default_rng(0).random((3, 37)) < 0.5
    assert (unpacked(packed(bits)) == bits).all()
    assert unpacked({}) is None
    assert unpacked({"examples": 900, "seeds": ["AAAA"]}) is None
    assert unpacked({"examples": 8, "seeds": ["!"]}) is None
    with pytest.raises(ValueError, match="shape"):
        packed([True, False])
