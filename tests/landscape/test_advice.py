"""Is UBN better than BatchNorm here; does the best lie at an edge; did the gate ever close."""

import dataclasses
import re

import pytest

from tests.support.journals import SPACE, hill, nothing, sweep_events
from ubn_sweep.landscape.advice import batch_norm, leaders
from ubn_sweep.landscape.baselines import is_batch_norm, start_name
from ubn_sweep.landscape.read import read_sweep
from ubn_sweep.landscape.views.baseline import baseline_view
from ubn_sweep.landscape.views.curve_fit import CurveFit
from ubn_sweep.landscape.views.leaders import leaders_view
from ubn_sweep.landscape.views.ranking import ranking
from ubn_sweep.landscape.views.threshold import threshold_view
from ubn_sweep.landscape.words import best
from ubn_sweep.records.events import EpochReported, TrialCreated
from ubn_sweep.records.observations import observations

PLAIN = {"norm.gate": False, "norm.centering": False, "norm.scaling": None, "norm.affine": "pointwise"}
MOMENTUM = {"norm.momentum": {"type": "float", "low": 0.01, "high": 0.5, "log": True}}


def with_starts(events, **starts):
    """Trials made the start of that name; `bn` becomes plain BatchNorm, by its config."""
    numbers = {number: name for name, number in starts.items()}
    for place, event in enumerate(events):
        if isinstance(event, TrialCreated) and event.trial in numbers:
            name, config = numbers[event.trial], event.config
            if name == "bn":
                norm = {
                    **config["norm"],
                    "gate": False,
                    "centering": False,
                    "scaling": None,
                    "affine": "pointwise",
                }
                config = {**config, "norm": {**norm, "threshold": None, "kernel_size": None}}
            events[place] = dataclasses.replace(event, origin=f"warm start: {name}", config=config)
    return events


def said(events):
    sweep = read_sweep(observations(events))
    return batch_norm(sweep, baseline_view(sweep, ranking(sweep)))


def told_of(sweep, *, has_shape=False):
    """`has_shape` stands for what the threshold's curve says, which takes a while and is tested elsewhere."""
    nothing_fitted = threshold_view(dataclasses.replace(sweep, trials=()))
    fit = CurveFit(
        n=9, log=False, x=(), mean=(), low=(), high=(), noise_std=1.0, flat_probability=0.0 if has_shape else 1.0,
        best_x=0.1, optimum_low=0.0, optimum_high=0.2,
    )  # fmt: skip
    curve = dataclasses.replace(nothing_fitted.full, fit=fit)
    return leaders(leaders_view(sweep), dataclasses.replace(nothing_fitted, full=curve))


def never_plain(**options):
    space = {**SPACE, "norm.affine": {"type": "choice", "values": ["depthwise"]}}
    return sweep_events(20, space=space, truth=nothing, **options)


def test_batch_norm_is_told_by_its_config():
    assert is_batch_norm({"norm.name": "bn"})
    assert is_batch_norm({"norm.name": "ubn", **PLAIN})
    assert is_batch_norm({"norm.name": "ubn", **PLAIN, "norm.scaling": "none"})
    for key, on in zip(PLAIN, (True, True, "instance", "depthwise"), strict=True):
        assert not is_batch_norm({"norm.name": "ubn", **PLAIN, key: on})
    assert not is_batch_norm({})


def test_starts_are_labelled_as_what_they_are():
    assert start_name("warm start: paper", {}) == "paper"
    assert start_name("warm start: bn", {"norm.name": "bn"}) == "bn"
    assert start_name("warm start: bn", {"norm.name": "ubn", **PLAIN, "norm.centering": True}) == "near bn"
    assert start_name("point 2", {}) == "point 2"
    assert start_name("random", {}) == ""


def test_one_trial_of_batch_norm_is_no_comparison():
    finished = said(with_starts(never_plain(stops=()), bn=1, paper=0))
    assert "Plain BatchNorm (trial 1): " in finished
    assert "behind the best, from which it cannot be told." in finished
    assert (
        "1 trial of it against 19 others, of which the best was picked, is no comparison of the layers."
        in finished
    )
    assert "The paper's defaults (trial 0): " in finished


def test_one_that_was_stopped_is_compared_where_it_was():
    space = {**SPACE, "norm.affine": {"type": "choice", "values": ["depthwise"]}}
    events = sweep_events(20, space=space, truth=lambda p: 0.9 if p["norm.centering"] else 0.5)
    poor = next(
        e.trial
        for e in events
        if isinstance(e, TrialCreated) and e.trial > 2 and not e.params["norm.centering"]
    )
    text = said(with_starts(events, bn=poor))
    assert f"Plain BatchNorm (trial {poor}) was stopped early: " in text
    assert re.search(r"where \d+ of the other \d+ trials scored better", text)


def test_without_any_that_is_said():
    assert said(never_plain()) == (
        "No trial was plain BatchNorm: whether UBN is better than it here is not known. "
        + said(never_plain()).partition("is not known. ")[2]
    )


def test_three_of_each_are_compared():
    space = {"norm.name": {"type": "choice", "values": ["ubn", "bn"]}}
    events = sweep_events(30, space=space, truth=lambda p: 0.9 if p["norm.name"] == "ubn" else 0.8, stops=())
    text = said(events)
    assert "points better on average than those of plain BatchNorm (epoch 8, 95% interval: " in text
    assert "no comparison" not in text


def test_ties_for_the_best_are_named():
    sweep = read_sweep(observations(sweep_events(6, truth=lambda p: 2.0, noise=0.0, stops=())))
    assert "trials 0, 1, 2, 3 and 2 more, which tie, 100.00%" in best(sweep, ranking(sweep))
    events = sweep_events(3, stops=())
    tied = [
        dataclasses.replace(e, metrics={**e.metrics, "val_top1": 0.95})
        if isinstance(e, EpochReported) and e.trial < 2
        else e
        for e in events
    ]
    sweep = read_sweep(observations(tied))
    assert "trials 0 and 1, which tie, 95.00%" in best(sweep, ranking(sweep)).replace(" (paper)", "")


def test_the_best_at_the_edge_is_told_with_what_to_widen():
    space = MOMENTUM | {"training.batch_size": SPACE["training.batch_size"]}
    sweep = read_sweep(
        observations(sweep_events(80, space=space, stops=(), truth=lambda p: 0.8 + 0.2 * p["norm.momentum"]))
    )
    (edge,) = leaders_view(sweep).edges
    assert (edge.key, edge.upper, edge.bound) == ("norm.momentum", True, 0.5)
    assert f"{edge.at_edge} of the 8 best trials lie at the upper end of momentum (0.5)" in told_of(sweep)
    assert "raise `space.norm.momentum.high`" in told_of(sweep)
    assert leaders_view(dataclasses.replace(sweep, is_map=True)).edges == ()


def test_nothing_is_widened_below_zero():
    space = {"own.dropout": {"type": "float", "low": 0.0, "high": 0.5}} | MOMENTUM
    truth = lambda p: 0.9 - p["own.dropout"] / 2  # noqa: E731
    text = told_of(read_sweep(observations(sweep_events(60, space=space, stops=(), truth=truth))))
    assert text.endswith("best trials lie at the lower end of dropout (0), and scores rise towards it.")


def test_the_last_of_listed_values_is_an_edge_too():
    space = {"training.batch_size": SPACE["training.batch_size"]} | MOMENTUM
    sweep = read_sweep(
        observations(
            sweep_events(60, space=space, stops=(), truth=lambda p: 0.9 - p["training.batch_size"] / 1000)
        )
    )
    assert "add a smaller one to `space.training.batch_size.values`" in told_of(sweep)


@pytest.mark.parametrize("has_shape", [False, True])
def test_of_the_threshold_an_end_is_told_where_its_curve_has_a_shape(has_shape):
    space = {"norm.threshold": SPACE["norm.threshold"] | {"when": {}}}
    truth = lambda p: 0.9 - p["norm.threshold"] / 4  # noqa: E731
    text = told_of(
        read_sweep(observations(sweep_events(60, space=space, stops=(), truth=truth))), has_shape=has_shape
    )
    assert ("at the lower end of threshold (0)" in text) == has_shape


def test_where_nothing_matters_few_edges_are_told():
    """5% for all of a sweep's ends together: more than 6 of 60 sweeps happens once in 30 times."""
    told = 0
    for seed in range(60):
        sweep = read_sweep(observations(sweep_events(40, truth=nothing, seed=seed, stops=())))
        assert leaders_view(sweep).trials
        told += bool(leaders_view(sweep).edges)
    assert told <= 6


@pytest.mark.parametrize(("opened", "words"), [(1.0, "In all of the"), (0.5, None)])
def test_a_gate_that_never_closed_is_told(opened, words):
    events = [
        dataclasses.replace(e, metrics={**e.metrics, "gate_open": opened})
        if isinstance(e, EpochReported) and "gate_open" in e.metrics
        else e
        for e in sweep_events(40, truth=hill, stops=())
    ]
    text = told_of(read_sweep(observations(events)))
    if words is None:
        assert "open in every batch" not in text
    else:
        assert words in text
        assert "open in every batch of the last epoch" in text
