"""Figures of ten thousand trials, and what names their marks."""

import pytest

from tests.support.journals import SPACE, hill, sweep_events, with_second
from ubn_sweep.landscape.analysis import analyse
from ubn_sweep.landscape.figures import FIGURES
from ubn_sweep.landscape.figures.style import MOST_MARKS, name_starts, new_figure, styled, thinned
from ubn_sweep.landscape.read import read_sweep
from ubn_sweep.landscape.views import threshold
from ubn_sweep.landscape.views.check import CheckView
from ubn_sweep.landscape.views.curve_fit import TooFew
from ubn_sweep.landscape.views.effects import EffectsView
from ubn_sweep.landscape.views.front import front_view
from ubn_sweep.landscape.views.importance import ImportanceView
from ubn_sweep.landscape.views.profile import profile_view
from ubn_sweep.records.observations import observations

OTHERS = (
    "course",
    "front",
    "importance",
    "layers",
    "profile",
    "failure_map",
    "ledger",
    "pairs",
    "effects",
    "ablation",
)
"""Those without a mark for every trial, of sweeps with two objectives, or with bands in place of many trials."""
MARKED = [entry for entry in FIGURES if entry.name not in OTHERS]


@pytest.fixture(scope="module")
def quick():
    """Landscapes without the fits, which take minutes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threshold, "fit_curve", lambda x, y, **options: TooFew(n=len(x), reason="not asked"))
        none = ImportanceView(n=0, epoch=1, full_budget=False, parameters=(), left_out=(), reason="not asked")
        patch.setattr("ubn_sweep.landscape.analysis.importance_view", lambda sweep: none)
        few = profile_view(read_sweep(observations(sweep_events(40, epochs=2, stops=(), truth=hill))))
        patch.setattr("ubn_sweep.landscape.analysis.profile_view", lambda sweep, modelled: few)
        patch.setattr(
            "ubn_sweep.landscape.analysis.check_view", lambda modelled: CheckView(reason="not asked")
        )
        untold = EffectsView(reason="not asked", trials=0, main=(), together=(), pairs=0)
        patch.setattr("ubn_sweep.landscape.analysis.effects_view", lambda modelled: untold)
        yield


@pytest.fixture(scope="module")
def events(quick):
    """2,500 trials of two epochs."""
    space = {key: SPACE[key] for key in ("norm.gate", "norm.threshold", "norm.momentum", "norm.centering")}
    return sweep_events(2500, epochs=2, stops=(), truth=hill, space=space)


@pytest.fixture(scope="module")
def many(events):
    return analyse(observations(events))


def marks(figure):
    """Of scatters, and of lines with a mark."""
    scattered = sum(
        len(found.get_offsets())
        for axes in figure.axes
        for found in axes.collections
        if hasattr(found, "get_sizes")
    )
    lines = sum(len(axes.lines) for axes in figure.axes)
    return scattered + lines


@pytest.mark.parametrize("entry", MARKED, ids=lambda entry: entry.name)
@pytest.mark.parametrize("narrow", [False, True])
def test_at_most_two_thousand_marks(many, entry, narrow):
    view = entry.numbers(many)
    with styled():
        figure = (entry.narrow if narrow else entry.draw)(many.sweep, view)
    assert 500 < marks(figure) <= MOST_MARKS + 50  # means, axes and the best
    assert "2,000 at most are drawn, picked at random" in entry.how(many.sweep, view)


@pytest.mark.parametrize("narrow", [False, True])
def test_many_curves_are_bands(many, narrow):
    entry = entry_of("course")
    with styled():
        figure = (entry.narrow if narrow else entry.draw)(many.sweep, many.course)
    assert marks(figure) < 20
    said = entry.how(many.sweep, many.course)
    assert "the line is the median of those with a score at the epoch" in said
    for at in many.course.by_epoch:
        scores = sorted(trial.curve[at.epoch] for trial in many.sweep.trials if at.epoch in trial.curve)
        assert at.n == len(scores) == 2500
        assert at.median == pytest.approx((scores[1249] + scores[1250]) / 2)
        assert sum(at.lowest <= score <= at.highest for score in scores) == 2250
        assert at.best == scores[-1] == many.sweep.trials[at.best_trial].curve[at.epoch]


def entry_of(name):
    (entry,) = (found for found in FIGURES if found.name == name)
    return entry


@pytest.mark.parametrize("narrow", [False, True])
def test_profiles_and_fronts_have_no_more(many, events, narrow):
    by_two = with_second(events, "epoch_s", lambda params: 1.0 + params["norm.momentum"])
    sweep = read_sweep(observations(by_two))
    for name, of, view in (("profile", many.sweep, many.profile), ("front", sweep, front_view(sweep))):
        entry = entry_of(name)
        with styled():
            figure = (entry.narrow if narrow else entry.draw)(of, view)
        assert 0 < marks(figure) <= MOST_MARKS + 50


def test_thinning_keeps_order_and_choice():
    assert thinned(range(10), 10) == list(range(10))
    few = thinned(range(10_000), 100)
    assert len(few) == 100
    assert few == sorted(set(few)) == thinned(range(10_000), 100)


def test_starts_are_named_beside_their_marks():
    events = sweep_events(4, stops=())
    sweep = analyse(observations(events)).sweep
    with styled():
        figure, (axes,) = new_figure(1)
        name_starts(axes, sweep, {0: (0.0, 0.5), 1: (1.0, 0.5)})
    assert [text.get_text() for text in axes.texts] == ["paper"]  # trial 0 is that start, trial 1 was drawn
    assert figure is axes.figure
