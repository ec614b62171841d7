"""Specs that extend another one, and what is said of where a key came from."""

import json

import pytest

from tests.support.processes import REPOSITORY, call_cli
from ubn_sweep.errors import UserError
from ubn_sweep.sweep.spec.loading import load_spec, load_spec_with_origins

BELOW = """\
name: below
base:
  training: {epochs: 9, batch_size: 32}
space:
  norm.momentum: {type: float, low: 0.01, high: 0.5, log: true}
  norm.centering: {type: choice, values: [true, false]}
search: {trials: 5, sampler: random}
"""


@pytest.fixture
def write(tmp_path):
    (tmp_path / "below.yaml").write_text(BELOW)

    def write(text, name="above.yaml"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def test_keys_are_joined_and_parameters_replaced(write):
    spec = load_spec(
        write(
            "extends: below.yaml\nname: above\nbase: {training: {epochs: 3}}\n"
            "space:\n  norm.momentum: {type: float, low: 0.1, high: 0.2}\n  norm.centering: null\n"
            "  norm.scaling: {type: choice, values: [instance, null]}\n"
        )
    )
    assert (spec.name, spec.base.training.epochs, spec.base.training.batch_size) == ("above", 3, 32)
    assert list(spec.space) == ["norm.momentum", "norm.scaling"]
    assert spec.space["norm.momentum"].log is False  # a parameter is one value
    assert spec.search.trials == 5


def test_each_key_names_its_file_or_option(write):
    path = write("extends: below.yaml\nname: above\nbase: {training: {epochs: 3}}\n")
    _, origins = load_spec_with_origins(path, ["training.batch_size=16", "space.norm.momentum.high=0.3"])
    below = str(path.parent / "below.yaml")
    assert origins["name"] == origins["base.training.epochs"] == str(path)
    assert origins["space.norm.centering"] == origins["search.trials"] == below
    assert origins["base.training.batch_size"] == "--set training.batch_size=16"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("extends: absent.yaml\n", r"above.yaml:1: extends: there is no file `.*absent.yaml`"),
        ("extends: [below.yaml]\n", r"above.yaml:1: extends: names one YAML file"),
        ("extends: twice.yaml\n", r"above.yaml:1: extends: `.*twice.yaml` extends `below.yaml` itself"),
        ("extends: list.yaml\n", r"list.yaml: must hold a mapping"),
        ("extends: below.yaml\nbase: {trainin: {}}\n", r"above.yaml:2: base.trainin: unknown key"),
        ("extends: wrong.yaml\nname: a\n", r"wrong.yaml:4: base.training.batch_sice: unknown key"),
    ],
)
def test_mistakes_are_blamed_on_the_file_that_has_them(write, text, expected):
    write("extends: below.yaml\n", "twice.yaml")
    write("- 1\n", "list.yaml")
    write(BELOW.replace("batch_size", "batch_sice").replace("name: below\n", "name: wrong\n\n"), "wrong.yaml")
    with pytest.raises(UserError, match=expected):
        load_spec(write(text))


def test_a_mistake_in_an_option_is_blamed_on_the_option(write):
    path = write("extends: below.yaml\nname: above\n")
    with pytest.raises(
        UserError, match=r"^--set search.trails=3: search.trails: unknown key .did you mean `trials`"
    ):
        load_spec(path, ["search.trails=3"])
    with pytest.raises(UserError, match=r"^--set norm.treshold=3: base.norm.treshold: unknown key"):
        load_spec(path, ["norm.treshold=3"])


def test_keys_of_the_space_can_be_set(write):
    spec = load_spec(write("extends: below.yaml\nname: above\n"), ["space.norm.momentum.high=0.25"])
    assert (spec.space["norm.momentum"].low, spec.space["norm.momentum"].high) == (0.01, 0.25)
    spec = load_spec(write(BELOW), ["space.norm.threshold={type: float, low: 0, high: 1}"])
    assert spec.space["norm.threshold"].high == 1


def test_the_shipped_specs_share_their_space():
    digits, cifar = (
        load_spec(REPOSITORY / "search_spaces" / f"{name}.yaml") for name in ("digits", "cifar10_small")
    )
    assert digits.space == cifar.space


def test_validate_prints_it_resolved(write, tmp_path):
    path = write("extends: below.yaml\nname: above\nbase: {training: {epochs: 3}}\n")
    told = call_cli(["validate", path.name, "--set", "seed=4"], cwd=tmp_path).stderr
    assert "base.training.epochs" in told
    assert "--set seed=4" in told
    found = json.loads(call_cli(["validate", path.name, "--json"], cwd=tmp_path).stdout.splitlines()[-1])
    assert found["origins"]["search.trials"] == "below.yaml"
