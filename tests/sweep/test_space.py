"""Spaces: every kind of parameter, what the sampler sees of it, and the config that follows."""

import math

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from ubn_sweep import schema
from ubn_sweep.errors import UserError
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.deciding.warm_starts import warm_starts
from ubn_sweep.sweep.spec.space import Space
from ubn_sweep.sweep.spec.spec import SAMPLER_NAMES

EVERY_KIND = {
    "norm.name": {"type": "choice", "values": ["ubn", "bn", "gn"]},
    "norm.gate": {"type": "choice", "values": [True, False], "when": {"norm.name": "ubn"}},
    "norm.threshold": {
        "type": "float",
        "low": 0.0,
        "high": 0.6,
        "step": 0.05,
        "when": {"norm.gate": True, "norm.name": "ubn"},
    },
    "norm.momentum": {
        "type": "float",
        "low": 0.01,
        "high": 0.5,
        "log": True,
        "when": {"norm.name": ["ubn", "bn"]},
    },
    "norm.scaling": {
        "type": "choice",
        "values": ["representative", None],
        "when": {"norm.name": "ubn"},
    },
    "norm.affine": {"type": "constant", "value": "pointwise", "when": {"norm.name": "ubn"}},
    "optimizer.lr": {"type": "float", "low": 1e-3, "high": 1.0, "log": True},
    "training.batch_size": {"type": "int", "low": 16, "high": 128, "step": 16},
    "model.width": {"type": "int", "low": 4, "high": 64, "log": True},
    "training.eval_batch_size": {"type": "ordered", "values": [128, 256, 512]},
}


@pytest.fixture
def spec(small_spec):
    return small_spec(space=EVERY_KIND, search={"trials": 40, "sampler": "random"})


def test_the_sampler_sees_each_kind_as_what_it_is(spec):
    space = Space(spec)
    assert space.distribution("norm.threshold") == FloatDistribution(0.0, 0.6, step=0.05)
    assert space.distribution("norm.momentum") == FloatDistribution(0.01, 0.5, log=True)
    assert space.distribution("training.batch_size") == IntDistribution(16, 128, step=16)
    assert space.distribution("model.width") == IntDistribution(4, 64, log=True)
    assert space.distribution("training.eval_batch_size") == IntDistribution(0, 2)
    assert space.distribution("norm.scaling") == CategoricalDistribution(("representative", None))


@pytest.mark.parametrize(
    "sampler",
    [pytest.param(name, marks=pytest.mark.slow if name == "gp" else ()) for name in sorted(SAMPLER_NAMES)],
)
def test_every_sampler_stays_in_the_space(small_spec, sampler):
    spec = small_spec(space=EVERY_KIND, search={"trials": 25, "sampler": sampler})
    state = SweepState(spec, record=lambda event: None)
    names = set()
    while (trial := state.next_trial()) is not None:
        params, config = trial.params, trial.config
        assert state.space.holds(params)
        ubn = params["norm.name"] == "ubn"
        names.add(params["norm.name"])
        assert ("norm.gate" in params) == ubn
        assert ("norm.threshold" in params) == (ubn and params["norm.gate"])
        assert ("norm.momentum" in params) == (params["norm.name"] != "gn")
        assert params.get("norm.affine", "pointwise") == "pointwise"
        if "norm.threshold" in params:
            steps = params["norm.threshold"] / 0.05
            assert math.isclose(steps, round(steps), abs_tol=1e-9)
        assert params["training.batch_size"] % 16 == 0
        assert params["training.eval_batch_size"] in (128, 256, 512)
        assert config["norm"]["name"] == params["norm.name"]
        for epoch in range(1, state.max_epochs + 1):
            if state.report(trial.number, epoch, {"val_top1": params["optimizer.lr"] * epoch / 10}):
                break
    assert len(names) >= 2


def test_what_a_trial_does_not_have_is_null_in_its_config(spec):
    space = Space(spec)
    params = {
        "norm.name": "gn",
        "optimizer.lr": 0.1,
        "training.batch_size": 32,
        "model.width": 8,
        "training.eval_batch_size": 256,
    }
    norm = space.config(params).norm
    assert (norm.gate, norm.threshold, norm.momentum, norm.affine) == (None, None, None, None)


def test_params_go_to_optuna_and_to_the_dashboard(spec):
    space = Space(spec)
    params = {"norm.name": "bn", "norm.momentum": 0.1, "training.eval_batch_size": 512}
    values, distributions = space.to_optuna(params)
    assert values["training.eval_batch_size"] == 2
    shown, shown_distributions = space.to_dashboard(params)
    assert shown["training.eval_batch_size"] == 512
    assert shown_distributions["training.eval_batch_size"] == CategoricalDistribution((128, 256, 512))
    assert set(distributions) == set(values) == set(params)


@pytest.mark.parametrize(
    ("change", "held"),
    [
        ({}, True),
        ({"norm.momentum": 0.9}, False),
        ({"norm.momentum": True}, False),
        ({"training.eval_batch_size": 300}, False),
        ({"norm.name": "in"}, False),
        ({"norm.threshold": 0.1}, False),
        ({"absent.key": 1}, False),
    ],
)
def test_points_of_other_spaces_are_told_apart(spec, change, held):
    params = {
        "norm.name": "bn",
        "norm.momentum": 0.1,
        "optimizer.lr": 0.1,
        "training.batch_size": 32,
        "model.width": 8,
        "training.eval_batch_size": 256,
    }
    assert Space(spec).holds(params | change) is held


def test_warm_starts_are_points_of_the_space_nearest_to_what_they_stand_for(spec):
    starts = dict(warm_starts(Space(spec)))
    space = Space(spec)
    assert all(space.holds(params) for params in starts.values())
    assert starts["near paper"]["norm.threshold"] == pytest.approx(0.15)
    assert starts["bn"]["norm.name"] == "bn"
    assert starts["near paper"]["optimizer.lr"] == 0.1  # the base's


def test_warm_starts_keep_to_narrow_ranges(small_spec):
    space = {"norm.threshold": {"type": "float", "low": 0.3, "high": 0.6}}
    (start,) = warm_starts(Space(small_spec(space=space)))
    assert start == ("near paper", {"norm.threshold": 0.3})


PLAIN = {"norm.gate": False, "norm.centering": False, "norm.scaling": None, "norm.affine": "pointwise"}


@pytest.mark.parametrize("lacking", [None, *PLAIN])
def test_what_is_called_bn_is_plain_batch_norm(small_spec, lacking):
    """A space that lacks one of the rectifiers leaves it as the base has it: on."""
    space = {key: {"type": "choice", "values": [value, on]} for (key, value), on in zip(
        PLAIN.items(), [True, True, "representative", "depthwise"], strict=True
    ) if key != lacking}  # fmt: skip
    spec = small_spec(space=space | {"optimizer.lr": {"type": "float", "low": 0.01, "high": 0.2}})
    starts = dict(warm_starts(Space(spec)))
    assert ("bn" in starts) == (lacking is None) != ("near bn" in starts)
    if lacking is None:
        config = Space(spec).config(starts["bn"])
        found = {f"norm.{key}": value for key, value in schema.to_plain(config)["norm"].items()}
        assert PLAIN.items() <= found.items()


def test_a_space_of_layers_has_batch_norm_by_its_name(small_spec):
    """However the base sets UBN's rectifiers."""
    spec = small_spec(space={"norm.name": {"type": "choice", "values": ["ubn", "bn"]}})
    starts = dict(warm_starts(Space(spec)))
    assert Space(spec).config(starts["bn"]).norm.name == "bn"


def test_a_combination_that_the_schema_does_not_allow_is_told(spec):
    with pytest.raises(UserError, match="batch_size >= 2"):
        Space(spec).config({"norm.name": "bn", "training.batch_size": 1})
