"""Specs: what is accepted, and the one line that says what is wrong, and where."""

from pathlib import Path

import pytest

from ubn_sweep.errors import UserError
from ubn_sweep.sweep.spec.loading import load_spec
from ubn_sweep.sweep.spec.spec import SweepSpec

QUICKSTART = Path(__file__).parents[2] / "search_spaces" / "quickstart.yaml"
WHOLE = Path(__file__).parents[1] / "data" / "whole_spec.yaml"
"""What digits.yaml says, in one file, which extends none."""


@pytest.fixture
def load(tmp_path):
    def load_changed(old: str, new: str) -> SweepSpec:
        text = WHOLE.read_text()
        assert old in text
        path = tmp_path / "spec.yaml"
        path.write_text(text.replace(old, new, 1))
        return load_spec(path)

    return load_changed


def test_the_shipped_specs_are_valid():
    paths = sorted(QUICKSTART.parent.rglob("*.yaml"))
    assert QUICKSTART in paths
    for path in paths:
        assert load_spec(path).space


def test_numbers_that_yaml_reads_as_text_are_numbers(load):
    assert load("weight_decay: 5.0e-4", "weight_decay: 1e-4").base.optimizer.weight_decay == 1e-4


def test_a_spec_that_extends_is_what_one_file_would_say():
    assert load_spec(WHOLE) == load_spec(QUICKSTART.with_name("digits.yaml"))


def test_overrides_reach_the_base_without_its_name():
    spec = load_spec(
        QUICKSTART, ["training.epochs=3", "search.trials=5", "space.norm\\.gate.values=[true]"][:2]
    )
    assert (spec.base.training.epochs, spec.search.trials) == (3, 5)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "low: 0.0, high: 0.8",
            "low: 0.9, high: 0.8",
            ["norm.threshold", "`low <= high`", "0.9 > 0.8", "swap"],
        ),
        (
            "norm.threshold:",
            "norm.treshold:",
            ["norm.treshold", "did you mean `norm.threshold`", "norm.gate"],
        ),
        ("name: digits", "nam: digits", ["nam: unknown key", "did you mean `name`"]),
        (
            ", when: {norm.gate: true}",
            "",
            ["norm.threshold", "no effect where `norm.gate` is false", "when:"],
        ),
        ("when: {norm.affine: depthwise}", "when: {norm.affine: sandwich}", ["can never hold", "pointwise"]),
        ("when: {norm.affine: depthwise}", "when: {norm.afine: depthwise}", ["did you mean `norm.affine`"]),
        ("values: [3, 5]", "values: [3, 4]", ["norm.kernel_size", "4 is not allowed", "odd"]),
        (
            "type: ordered, values: [3, 5]",
            "type: int, low: 1, high: 7",
            ["norm.kernel_size", "2 is not allowed", "odd", "set a `step`"],
        ),
        (
            "training.batch_size:",
            "optimizer.nesterov: {type: choice, values: [true, false]}\n"
            "  optimizer.momentum: {type: float, low: 0.0, high: 0.99}\n"
            "  training.batch_size:",
            ["`optimizer.nesterov` true with `optimizer.momentum` 0.0", "momentum > 0", "narrow", "`when`"],
        ),
        ("values: [3, 5]", "values: []", ["must not be empty"]),
        ("values: [3, 5]", "values: [3, 3]", ["must differ"]),
        ("type: float, low: 0.0", "type: flot, low: 0.0", ["unknown type `flot`", "float, int, choice"]),
        (
            "type: float, low: 0.01, high: 0.5, log: true",
            "type: float, low: 0, high: 1, log: true",
            ["`low > 0`"],
        ),
        ("sampler: auto", "sampler: atuo", ["unknown sampler `atuo`", "did you mean `auto`"]),
        ("epochs: 15", "epochs: 0", ["base.training", "`epochs >= 1`"]),
        ("grace_epochs: 2", "grace_epochs: 99", ["grace_epochs", "99 > 15", "lower"]),
        ("name: digits,", "name: digit,", ["base.dataset.name", "'digits'"]),
        ("name: resnet8", "name: resnet9", ["base.model.name", "'resnet8'"]),
        ("name: digits", "name: ../digits", ["letters, digits"]),
        ("values: [32, 64, 128]", "values: [1, 64]", ["training.batch_size", "1 is not allowed"]),
        ("training.batch_size: {", "training.epochs: {", ["cannot be varied", "full budget"]),
        ("training.batch_size: {", "dataset.split_seed: {", ["cannot be varied"]),
        (
            "norm.gate: {type: choice, values: [true, false]}",
            "norm.gate: {type: choice, values: [true, false], when: {norm.threshold: 1}}",
            ["range", "make it a choice"],
        ),
        (
            "norm.affine: {type: choice, values: [depthwise, pointwise]}",
            "norm.affine: {type: choice, values: [depthwise, pointwise], when: {norm.kernel_size: 3}}",
            ["circle"],
        ),
        (
            "norm.centering: {type: choice, values: [true, false]}",
            "norm.centering: {type: choice, values: [true, false], when: {norm.centering: true}}",
            ["depend on itself"],
        ),
    ],
)
def test_a_mistake_is_one_line_with_place_value_and_remedy(load, tmp_path, old, new, expected):
    with pytest.raises(UserError) as caught:
        load(old, new)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(tmp_path / "spec.yaml"))
    for part in expected:
        assert part in message


def test_the_line_of_the_mistake_is_named(load, tmp_path):
    line = 1 + WHOLE.read_text().splitlines().index(
        next(text for text in WHOLE.read_text().splitlines() if "norm.threshold" in text)
    )
    with pytest.raises(UserError, match=f"spec.yaml:{line}: space.norm.threshold"):
        load("low: 0.0, high: 0.8", "low: 0.9, high: 0.8")


def test_contradicting_conditions_are_found(load):
    with pytest.raises(UserError, match=r"contradict each other on `norm.gate`"):
        load(
            "norm.similarity_momentum: {type: float, low: 0.01, high: 1.0, log: true, when: {norm.gate: true}}",
            "norm.similarity_momentum: {type: choice, values: [0.1], when: {norm.gate: true}}\n"
            "  optimizer.lr: {type: float, low: 0.1, high: 1, when: {norm.similarity_momentum: 0.1, norm.gate: false}}",
        )


def test_a_missing_file_and_broken_yaml_are_one_line(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        load_spec(tmp_path / "absent.yaml")
    (tmp_path / "broken.yaml").write_text("name: [1,\n  oops: {")
    with pytest.raises(UserError, match=r"broken.yaml:\d+: not valid YAML"):
        load_spec(tmp_path / "broken.yaml")
    (tmp_path / "list.yaml").write_text("- 1")
    with pytest.raises(UserError, match="mapping"):
        load_spec(tmp_path / "list.yaml")
