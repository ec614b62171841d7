"""Effects, pairs and the path from BatchNorm, all from one model: what is planted is found, what is not is not told."""

import dataclasses

import numpy as np
import pytest

from tests.support.journals import SPACE, nothing, sweep_events
from ubn_sweep.landscape.figures.ablation import ABLATION
from ubn_sweep.landscape.figures.effects import EFFECTS
from ubn_sweep.landscape.figures.pairs import PAIRS
from ubn_sweep.landscape.figures.style import styled
from ubn_sweep.landscape.read import read_sweep
from ubn_sweep.landscape.views.ablation import ablation_view
from ubn_sweep.landscape.views.effects import effects_view
from ubn_sweep.landscape.views.modelled import Modelled
from ubn_sweep.landscape.views.pairs import MIN_NEAR, pairs_view
from ubn_sweep.landscape.views.profile import ProfileView
from ubn_sweep.records.observations import observations

KEYS = ("norm.gate", "norm.threshold", "norm.momentum", "norm.centering", "norm.scaling", "norm.affine")
FEW = {key: SPACE[key] for key in KEYS}


def layered(params):
    """The gate pays 4 points at a threshold of 0.2, instance scaling 6, and centering nothing."""
    gate = 0.04 - 0.3 * (params["norm.threshold"] - 0.2) ** 2 if params["norm.gate"] else 0.0
    return 0.7 + gate + (0.06 if params["norm.scaling"] == "instance" else 0.0)


def modelled_of(truth, trials=80, **options):
    options = {"space": FEW, "stops": ()} | options
    return Modelled(read_sweep(observations(sweep_events(trials, truth=truth, **options))))


@pytest.fixture(scope="module")
def planted():
    return modelled_of(layered)


@pytest.fixture(scope="module")
def effects(planted):
    return effects_view(planted)


@pytest.fixture(scope="module")
def surfaces(planted):
    # Of the profile it takes the reason alone.
    return pairs_view(planted, ProfileView(reason=None, trials=0, finished=0))


@pytest.fixture(scope="module")
def path(planted):
    return ablation_view(planted)


def test_main_effects_are_those_planted(planted, effects):
    view = effects
    told = {effect.keys[0] for effect in view.main if effect.is_told}
    assert {"norm.scaling"} <= told <= {"norm.scaling", "norm.gate", "norm.threshold"}
    assert view.main[0].keys == ("norm.scaling",)
    # Var of scaling: two ninths of 0.06 squared; of the rest about 0.02 squared.
    assert view.main[0].low < 0.67 < view.main[0].high + 0.1
    assert sum(effect.middle for effect in view.main) < 1.1
    assert "due to scaling (" in EFFECTS.finding(planted.sweep, view)


def test_two_that_act_together_only_are_told():
    def crossed(params):
        same = params["norm.centering"] == (params["norm.affine"] == "depthwise")
        return 0.75 + (0.05 if same else 0.0)

    view = effects_view(modelled_of(crossed))
    assert set(view.together[0].keys) == {"norm.centering", "norm.affine"}
    assert view.together[0].is_told
    assert view.together[0].low > 0.6


def test_of_nothing_nothing_is_told():
    """How often in a hundred sweeps: docs/landscape.md."""
    modelled = modelled_of(nothing, 40)
    view = effects_view(modelled)
    assert not any(effect.is_told for effect in (*view.main, *view.together))
    assert EFFECTS.finding(modelled.sweep, view).startswith("The data are not clearly more likely")


def test_additive_effects_are_not_told_to_act_together(effects):
    together = {effect.keys for effect in effects.together if effect.is_told}
    assert together <= {("norm.gate", "norm.threshold")}  # the threshold does nothing without a gate


@pytest.mark.parametrize("options", [{"trials": 6}, {"space": {"norm.momentum": SPACE["norm.momentum"]}}])
def test_too_little_is_named(options):
    view = effects_view(modelled_of(nothing, **{"trials": 30} | options))
    assert view.reason is not None
    assert not EFFECTS.applies(view)


def test_surfaces_are_masked_where_no_trial_is_near(planted, surfaces):
    surface, *others = surfaces.surfaces
    assert others == []
    assert surface.key == "norm.momentum"
    model, space = planted.model, planted.space
    codes = model.tried[:, [space.column("norm.threshold"), space.column("norm.momentum")]]
    codes = codes[~np.isnan(codes).any(axis=1)]
    assert surface.trials == len(codes)
    for row, y in enumerate((np.arange(9) + 0.5) / 9):
        for column, x in enumerate((np.arange(9) + 0.5) / 9):
            near = (np.abs(codes - [x, y]) <= 0.15).all(axis=1).sum()
            assert (surface.mean[row][column] is None) == (near < MIN_NEAR)
            assert (surface.deviation[row][column] is None) == (near < MIN_NEAR)


def test_surfaces_lie_near_the_truth(surfaces):
    (surface,) = surfaces.surfaces
    for x, *values in zip(surface.x, *surface.mean, strict=True):
        for value in values:
            # The others averaged: a third have instance scaling.
            assert value is None or value == pytest.approx(0.76 - 0.3 * (x - 0.2) ** 2, abs=0.025)


def test_the_path_finds_the_changes_that_pay(planted, path):
    view = path
    by_key = {step.keys[0]: step for step in view.steps}
    assert by_key["norm.scaling"].is_told
    assert by_key["norm.scaling"].gain_low < 0.06 < by_key["norm.scaling"].gain_high
    assert "norm.threshold" not in by_key  # it comes along with its gate
    gains = sum(step.gain for step in view.steps)
    assert view.steps[-1].score - view.start == pytest.approx(gains, abs=0.01)
    said = ABLATION.finding(planted.sweep, view)
    assert "scaling: none to instance, " in said
    assert not any(step.is_told for key, step in by_key.items() if key in ("norm.centering", "norm.momentum"))


def test_a_path_ends_where_the_best_config_is(planted, path):
    view = path
    best = next(trial for trial in planted.sweep.trials if trial.number == view.trial)
    changed = {key for step in view.steps for key in step.keys}
    if best.params["norm.gate"]:
        assert {"norm.gate", "norm.threshold"} <= changed
    assert planted.sweep.max_epochs == best.last_epoch


def test_where_the_space_has_no_batch_norm_there_is_no_path():
    space = {key: FEW[key] for key in ("norm.momentum", "norm.centering")}
    view = ablation_view(modelled_of(nothing, 30, space=space))
    assert view.reason == "the space has no plain BatchNorm"
    assert not ABLATION.applies(view)


@pytest.mark.parametrize("narrow", [False, True])
def test_they_are_drawn(planted, effects, surfaces, path, narrow):
    sweep = planted.sweep
    for entry, view in {EFFECTS: effects, PAIRS: surfaces, ABLATION: path}.items():
        assert dataclasses.is_dataclass(view)
        with styled():
            figure = (entry.narrow if narrow else entry.draw)(sweep, view)
        assert figure.axes
        assert len(entry.how(sweep, view)) > 100
