"""Points of the user's own: read from the spec, YAML or CSV, checked, and tried before all others."""

import json

import pytest

from ubn_sweep import schema
from ubn_sweep.errors import UserError
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.spec.loading import load_spec, spec_from_plain

POINTS = [
    {
        "norm.gate": True,
        "norm.threshold": "1e-1",  # YAML's reading of 1e-1
        "norm.affine": "depthwise",
        "norm.kernel_size": 5,
        "training.batch_size": 32,
    },
    {"norm.gate": False, "norm": {"affine": "pointwise"}},
]
WHOLE = [
    {**POINTS[0], "norm.threshold": 0.1},
    {"norm.gate": False, "norm.affine": "pointwise", "training.batch_size": 64},
]
"""What is left out has the base's value."""
CSV = """\
norm.gate, norm.threshold, norm.affine, norm.kernel_size, training.batch_size
true, 1e-1, depthwise, 5, 32
false,, pointwise,,
"""
FILES = {"points.yaml": json.dumps(POINTS), "points.csv": CSV}


@pytest.fixture
def load(write_spec, tmp_path):
    """The small spec with points, which are given or in a file of that content."""

    def load_with(points, **search):
        if isinstance(points, dict):
            ((name, content),) = points.items()
            (tmp_path / name).write_text(content)
            points = name
        return load_spec(write_spec(search={"trials": 5, "sampler": "random", "points": points, **search}))

    return load_with


def params_of(state):
    trials = []
    while (trial := state.next_trial()) is not None:
        trials.append((trial.origin, trial.params))
    return trials


@pytest.mark.parametrize("points", [POINTS, *({name: text} for name, text in FILES.items())], ids=str)
def test_they_come_first_and_need_no_file_afterwards(load, tmp_path, points):
    spec = load(points)
    assert list(spec.search.points) == WHOLE
    for path in tmp_path.glob("points.*"):
        path.unlink()
    recorded = spec_from_plain(json.loads(json.dumps(schema.to_plain(spec))))
    trials = params_of(SweepState(recorded, record=lambda event: None))
    assert trials[:2] == [("point 1", WHOLE[0]), ("point 2", WHOLE[1])]
    assert [origin for origin, _ in trials[2:]] == ["warm start: paper", "random", "random"]  # bn is point 2
    assert trials == params_of(SweepState(spec, record=lambda event: None))


GATED = "{norm.gate: true, norm.affine: pointwise, norm.threshold: %s}"


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        (
            {"a.yaml": f"- {GATED % 0.1}\n- {GATED % 0.7}"},
            ["a.yaml:2: 1.norm.threshold", "from 0.0 to 0.6", "0.7"],
        ),
        ({"a.yaml": f"- {GATED % 0.1}\n- {GATED % 0.1}"}, ["a.yaml:2: 1: ", "point 1 again", "drop"]),
        ({"a.yaml": "- {norm.gate: maybe}"}, ["a.yaml:1: 0.norm.gate", "true, false", "maybe"]),
        ({"a.yaml": "- {norm.gaet: true}"}, ["a.yaml:1", "did you mean `norm.gate`"]),
        ({"a.yaml": "norm.gate: true"}, ["a.yaml", "list of mappings"]),
        ({"a.yaml": "- 3"}, ["a.yaml:1: 0: must be a mapping", "3"]),
        (
            {"a.csv": CSV.replace("32", "33")},
            ["a.csv:2: training.batch_size", "whole number from 16 to 64 in steps"],
        ),
        (
            {"a.csv": CSV.replace("false,,", "false, 0.1,")},
            ["a.csv:3: norm.threshold", "norm.gate is true", "leave"],
        ),
        ({"a.csv": CSV.replace("pointwise,,", "pointwise,")}, ["a.csv:3: has not as many cells"]),
        ({"a.txt": CSV}, ["small.yaml", "search.points: must end in .yaml or .csv", "a.txt"]),
        ("absent.csv", ["small.yaml", "search.points: there is no file", "absent.csv"]),
        (3, ["search.points: must be a list of mappings", "3"]),
        (
            [{"norm.gate": False, "training.batch_size": 33}],
            ["small.yaml", "search.points.0.training.batch_size"],
        ),
        (
            [
                {"norm.gate": False, "norm.affine": "pointwise", "training.batch_size": size}
                for size in (16, 32, 48)
            ],
            ["small.yaml", "holds 3 points, but search.trials is 2", "raise it"],
        ),
    ],
    ids=str,
)
def test_what_is_no_point_is_one_line_with_its_place(load, points, expected):
    with pytest.raises(UserError) as caught:
        load(points, trials=2)
    assert "\n" not in str(caught.value)
    for part in expected:
        assert part in str(caught.value)


def test_what_base_cannot_fill_in_must_be_given(write_spec):
    space = {
        "norm.threshold": {"type": "float", "low": 0.3, "high": 0.6},
        "optimizer.lr": {"type": "float", "low": 0.01, "high": 1},
    }
    spec = write_spec(space=space, search={"points": [{"optimizer.lr": 0.5}]})
    with pytest.raises(UserError, match=r"leaves out `norm.threshold`, and base has 0.15.*: give it"):
        load_spec(spec)


def test_null_is_a_value_and_constants_need_none(write_spec):
    space = {
        "optimizer.lr": {"type": "float", "low": 0.01, "high": 1},
        "norm.scaling": {"type": "choice", "values": ["instance", None]},
        "norm.affine": {"type": "constant", "value": "pointwise"},
    }
    points = [{"norm.scaling": None}, {"optimizer.lr": 0.5, "norm.scaling": "null"}]
    assert load_spec(write_spec(space=space, search={"points": points})).search.points == (
        {"optimizer.lr": 0.1, "norm.scaling": None, "norm.affine": "pointwise"},
        {"optimizer.lr": 0.5, "norm.scaling": None, "norm.affine": "pointwise"},
    )
