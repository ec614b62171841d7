"""Samplers: any define-by-run space, exact restarts, no crash, and a default that finds the top."""

import math
import pickle
import statistics
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from ubn_sweep.surrogate.coding import Activity, Coding
from ubn_sweep.surrogate.process import _SCALES, Posterior, Rows, _Objective, fit_kernel
from ubn_sweep.sweep.deciding.rungs import Rungs
from ubn_sweep.sweep.deciding.samplers import auto as auto_module
from ubn_sweep.sweep.deciding.samplers import make_sampler
from ubn_sweep.sweep.deciding.samplers.acquisition import log_expected_improvement
from ubn_sweep.sweep.deciding.samplers.records import considered, kept, points_of, standardised
from ubn_sweep.sweep.spec.spec import SAMPLER_NAMES

RUNG_LEVELS = (2, 6, 18)
Params = dict[str, Any]


@pytest.fixture(autouse=True)
def quiet():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


def gated_space(trial: optuna.Trial) -> Params:
    """Every kind of parameter, some under conditions."""
    params = {
        "gate": trial.suggest_categorical("gate", ["none", "a", "b"]),
        "rate": trial.suggest_float("rate", 1e-4, 1, log=True),
        "constant": trial.suggest_float("constant", 0.5, 0.5),
        "one": trial.suggest_categorical("one", ["x"]),
        "layers": trial.suggest_int("layers", 1, 5),
        "stepped": trial.suggest_float("stepped", 0, 1, step=0.25),
        "batch": trial.suggest_int("batch", 16, 512, log=True),
    }
    if params["gate"] != "none":
        params["threshold"] = trial.suggest_float("threshold", 0, 1)
    if params["gate"] == "b":
        params["deep"] = trial.suggest_categorical("deep", [True, False])
    if params.get("deep"):
        params["kernel"] = trial.suggest_int("kernel", 1, 9, step=2)
    return params


def gated_value(params: Params, epoch: int) -> float:
    value = {"none": 0, "a": 0.5, "b": 0.8}[params["gate"]] - (math.log10(params["rate"]) + 1.5) ** 2
    value -= (params.get("threshold", 0.3) - 0.3) ** 2 + 0.1 * abs(params.get("kernel", 5) - 5)
    return (value + 0.1 * params["layers"]) * (1 - math.exp(-epoch / 10))


def sweep(
    sampler: optuna.samplers.BaseSampler,
    n_trials: int,
    *,
    space: Callable[[optuna.Trial], Params] = gated_space,
    value: Callable[[Params, int], float] = gated_value,
    study: optuna.Study | None = None,
    with_faults: bool = False,
) -> optuna.Study:
    """One trial after another, stopped by Rungs; with faults: some fail, diverge, or never end."""
    if study is None:
        study = optuna.create_study(direction="maximize", sampler=sampler)
    study.sampler = sampler
    rungs = Rungs(grace_epochs=2, reduction_factor=3, max_epochs=52)
    for _ in range(n_trials):
        trial = study.ask()
        params = space(trial)
        if with_faults and trial.number % 9 == 7:
            study.tell(trial, state=TrialState.FAIL)
        elif with_faults and trial.number % 9 == 8:
            trial.report(math.nan, 1)
            study.tell(trial, state=TrialState.FAIL)
        elif with_faults and trial.number % 11 == 10:
            trial.report(value(params, 1), 1)
        else:
            run_trial(study, trial, lambda epoch, params=params: value(params, epoch), rungs)
    return study


def run_trial(study: optuna.Study, trial: optuna.Trial, value: Callable[[int], float], rungs: Rungs) -> None:
    for epoch in range(1, 53):
        trial.report(value(epoch), epoch)
        if rungs.report(trial.number, epoch, value(epoch)):
            break
    if epoch == 52:
        study.tell(trial, value(52))
    else:
        study.tell(trial, state=TrialState.PRUNED)


def make(name: str, seed: int = 0) -> optuna.samplers.BaseSampler:
    return make_sampler(name, seed=seed, rung_levels=RUNG_LEVELS, max_epochs=52)


def best(study: optuna.Study) -> float:
    return max(gated_value(trial.params, 52) for trial in study.trials)


def configs(study: optuna.Study) -> list[Params]:
    return [trial.params for trial in study.trials]


NAMES = [pytest.param(name, marks=pytest.mark.slow if name == "gp" else ()) for name in SAMPLER_NAMES]
"""The Gaussian process of Optuna takes seconds where the others take tenths."""


def test_unknown_name_lists_the_known_ones():
    assert {"auto", "random", "tpe", "gp", "grid", "qmc"} <= set(SAMPLER_NAMES)
    with pytest.raises(ValueError, match=f"{', '.join(SAMPLER_NAMES)}.*'annealing'"):
        make("annealing")


@pytest.mark.parametrize("name", NAMES)
def test_any_space_with_faults(name):
    study = optuna.create_study(direction="maximize")
    study.enqueue_trial({"gate": "a", "layers": 3})
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        sweep(make(name), 19, study=study, with_faults=True)
    assert len(study.trials) == 19
    assert study.trials[0].params["gate"] == "a"
    assert {t.state for t in study.trials} == set(TrialState) - {TrialState.WAITING}


@pytest.mark.parametrize("name", NAMES)
def test_a_restart_changes_no_suggestion(name):
    undisturbed = sweep(make(name), 14)
    sampler = make(name)
    study = sweep(sampler, 0)
    rungs = Rungs(grace_epochs=2, reduction_factor=3, max_epochs=52)
    for _ in range(14):
        study.sampler = make(name)  # as after a kill: nothing is left but the study
        trial = study.ask()
        params = gated_space(trial)
        run_trial(study, trial, lambda epoch, params=params: gated_value(params, epoch), rungs)
    assert configs(study) == configs(undisturbed)


@pytest.mark.parametrize("name", NAMES)
def test_seeds_differ_and_samplers_pickle(name):
    sampler = pickle.loads(pickle.dumps(make(name, seed=3)))
    one = sweep(sampler, 12)
    assert configs(one) == configs(sweep(make(name, seed=3), 12))
    assert configs(one) != configs(sweep(make(name, seed=4), 12))


@pytest.mark.slow
def test_auto_finds_the_top_of_a_conditional_space():
    ours = [best(sweep(make("auto", seed), 40)) for seed in range(2)]
    random = [best(sweep(make("random", seed), 40)) for seed in range(2)]
    assert min(ours) > 1.15  # 1.3 is the top: gate b, five layers, threshold 0.3, rate 10^-1.5
    assert statistics.mean(ours) > statistics.mean(random) + 0.2


def test_auto_is_not_misled_by_quick_starters():
    def space(trial: optuna.Trial) -> Params:
        return {"x": trial.suggest_float("x", 0, 1), "y": trial.suggest_float("y", 0, 1)}

    def crossing(params: Params, epoch: int) -> float:
        end = 1 - (params["x"] - 0.2) ** 2 - (params["y"] - 0.5) ** 2
        return end * (1 - math.exp(-epoch / (15 - 14 * params["x"]))) - 0.4 * params["x"] * epoch / 52

    study = sweep(make("auto"), 40, space=space, value=crossing)
    finals = [crossing(trial.params, 52) for trial in study.trials]
    top = max(crossing({"x": x, "y": 0.5}, 52) for x in np.linspace(0, 1, 101))
    assert max(finals) > top - 0.02


def test_auto_aims_at_the_last_epoch_before_any_trial_has_seen_it():
    study = optuna.create_study(direction="maximize", sampler=make("random"))
    for _ in range(12):
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        trial.report(0.5, 2)
        study.tell(trial, state=TrialState.FAIL)
    points = points_of(study.trials, (2, 6, 18), 52)
    assert {point.epoch for point in points} == {2, 52}  # not 54, where the next rung would be


def test_auto_covers_every_range_at_the_start():
    study = optuna.create_study(sampler=make("auto"), direction="maximize")
    values = [study.ask().suggest_float("x", 0, 1) for _ in range(10)]
    assert sorted(int(10 * value) for value in values) == list(range(10))


def test_auto_repeats_nothing_while_anything_is_new():
    def space(trial: optuna.Trial) -> Params:
        return {"a": trial.suggest_categorical("a", ["p", "q", "r"]), "n": trial.suggest_int("n", 1, 8)}

    study = sweep(make("auto"), 24, space=space, value=lambda params, epoch: params["n"] * epoch)
    assert len({tuple(sorted(params.items())) for params in configs(study)}) >= 23


@pytest.mark.parametrize("value", [0.0, 1.0, -1e30, 1e30])
def test_auto_stands_constant_and_huge_values(value):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study = sweep(make("auto"), 16, value=lambda params, epoch: value)
    assert len(study.trials) == 16


def test_auto_knows_results_from_elsewhere():
    study = optuna.create_study(direction="maximize")
    distribution = optuna.distributions.FloatDistribution(0, 1)
    for x in np.linspace(0, 1, 15):
        study.add_trial(
            optuna.create_trial(params={"x": x}, distributions={"x": distribution}, value=-((x - 0.7) ** 2))
        )
    study.sampler = make("auto")
    suggestion = study.ask().suggest_float("x", 0, 1)
    assert abs(suggestion - 0.7) < 0.1


def test_auto_follows_a_space_that_changes():
    study = sweep(
        make("auto"), 14, space=lambda t: {"x": t.suggest_float("x", 0, 1)}, value=lambda p, e: p["x"]
    )
    study = sweep(
        make("auto"),
        14,
        study=study,
        space=lambda t: {"x": t.suggest_float("x", 0.5, 2), "new": t.suggest_int("new", 1, 3)},
        value=lambda p, e: p["x"] + p["new"],
    )
    assert max(trial.params["x"] for trial in study.trials) > 1.5


def test_a_failing_model_warns_once_and_goes_on(monkeypatch):
    def fail(*args: object) -> None:
        raise np.linalg.LinAlgError("not positive definite")

    monkeypatch.setattr(auto_module, "fit_kernel", fail)
    with pytest.warns(UserWarning, match="not positive definite") as caught:
        study = sweep(make("auto"), 16)
    assert len(study.trials) == 16
    assert len(caught) == 1


def test_the_model_is_bounded_after_thousands_of_trials(monkeypatch):
    """So that suggestions stay quick; what one takes is in benchmarks/results/search_efficiency.md."""
    sizes = []

    def watched(fit):
        def called(known, rows, *rest):
            sizes.append(len(rows.y))
            return fit(known, rows, *rest)

        return called

    study = sweep(make("random"), 100)
    study.add_trials(study.trials * 20)
    monkeypatch.setattr(auto_module, "Posterior", watched(auto_module.Posterior))
    study.sampler = auto_module.AutoSampler(seed=0, rung_levels=RUNG_LEVELS, max_epochs=52, max_rows=100)
    for _ in range(2):  # one of them may be a random one
        gated_space(study.ask())
    assert len(study.trials) > 2000
    assert 0 < max(sizes) <= 100


def test_of_many_trials_the_best_and_the_newest_are_considered():
    study = sweep(make("random"), 60)
    running = study.ask()
    some = considered(study.trials, 20)
    assert len(some) == 20
    numbers = [trial.number for trial in some]
    assert numbers == sorted(numbers)
    assert {running.number, 59, study.best_trial.number} <= set(numbers)


def test_gradient_of_the_likelihood():
    rng = np.random.default_rng(0)
    columns = np.array([0, 1, 2, 2])
    rows = Rows(x=rng.random((12, 4)), t=rng.random(12) * 4, trial=np.arange(12) // 2, y=rng.normal(size=12))
    prior = np.concatenate([np.tile((0.0, 2.0, -8.0, 9.0), (3, 1)), _SCALES])
    objective = _Objective(rows, columns, prior)
    point = prior[:, 0] + 0.3 * rng.normal(size=len(prior))
    numeric = [
        (objective(point + step)[0] - objective(point - step)[0]) / 2e-5 for step in 1e-5 * np.eye(len(point))
    ]
    np.testing.assert_allclose(objective(point)[1], numeric, rtol=1e-4, atol=1e-5)


def test_posterior_passes_through_what_was_seen():
    x = np.linspace(0, 1, 12)[:, None]
    y = np.sin(5 * x[:, 0])
    rows = Rows(x=x, t=np.full(12, 2.0), trial=np.arange(12), y=y)
    posterior = Posterior(fit_kernel(rows, np.array([0])), rows)
    mean, deviation = posterior.mean_and_deviation(x, 2.0)
    np.testing.assert_allclose(mean, y, atol=0.05)
    far_mean, far_deviation = posterior.mean_and_deviation(np.array([[3.0]]), 2.0)
    assert np.isfinite(far_mean).all()
    assert far_deviation[0] > 5 * deviation.max()


def test_log_expected_improvement():
    rng = np.random.default_rng(0)
    mean, deviation = np.array([0.0, 1.0, -1.0]), np.array([1.0, 0.5, 2.0])
    drawn = mean + deviation * rng.normal(size=(400_000, 3))
    expected = np.log(np.maximum(drawn - 0.3, 0).mean(axis=0))
    np.testing.assert_allclose(log_expected_improvement(mean, deviation, 0.3), expected, atol=0.02)
    far = log_expected_improvement(np.array([-30.0, -40.0, -1e3]), np.ones(3), 0.0)
    assert np.all(np.diff(far) < 0)
    assert np.isfinite(far).all()


def test_space_round_trip_and_activity():
    study = sweep(make("random"), 60)
    space = Coding({name: d for trial in study.trials for name, d in trial.distributions.items()})
    assert not {"constant", "one"} & set(space.names)
    codes = space.codes(configs(study))
    for params, code in zip(configs(study), codes, strict=True):
        back = space.params(code)
        assert back == pytest.approx({name: params[name] for name in space.names if name in params})
    everything = space.random(200, np.random.default_rng(0))
    applied = Activity(codes).apply(everything)
    for code in applied:
        params = space.params(code)
        assert ("threshold" in params) == (params["gate"] != "none")
        assert ("deep" in params) == (params["gate"] == "b")
        assert ("kernel" in params) == bool(params.get("deep"))


def test_points_are_thinned_capped_and_robust():
    study = sweep(make("random"), 200, with_faults=True)
    points = points_of(study.trials, RUNG_LEVELS, 52)
    assert max(point.epoch for point in points) == 52
    per_trial = np.bincount([point.trial for point in points])
    assert per_trial.max() <= 10
    assert all(math.isfinite(point.value) for point in points)
    few = kept(points, 150)
    assert len(few) <= 150
    assert max(point.value for point in few) == max(point.value for point in points)
    values = standardised(np.array([0.1, 0.5, 0.9, 1.0, -1e6]))
    assert np.argsort(values).tolist() == [4, 0, 1, 2, 3]
    assert values.min() > -25
