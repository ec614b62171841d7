"""Several sweeps as one landscape: what stays apart, what becomes a parameter, and what is refused."""

import copy
import dataclasses
import json

import pyarrow.parquet as pq
import pytest

from tests.support.journals import SPACE, hill, sweep_events, write_sweep
from tests.support.processes import call_cli
from ubn_sweep.errors import UserError
from ubn_sweep.landscape.joining import joined
from ubn_sweep.landscape.read import read_sweep
from ubn_sweep.landscape.views.seen import seen_of, space_of
from ubn_sweep.landscape.words import together
from ubn_sweep.records.events import TrialCreated
from ubn_sweep.records.observations import observations, origin_of

SOME = ("norm.gate", "norm.threshold", "norm.centering")


def events_of(name, seed, trials=8, keys=SOME, base=None, **options):
    """A sweep of its own; `base` overrides settings of its spec and of its trials."""
    space = {key: copy.deepcopy(SPACE[key]) for key in keys}
    events = sweep_events(trials, name=name, seed=seed, truth=hill, stops=(), space=space, **options)
    for key, value in (base or {}).items():
        section, field = key.split(".")
        events[0].spec["base"][section][field] = value
        for place, event in enumerate(events):
            if isinstance(event, TrialCreated):
                config = copy.deepcopy(event.config)
                config[section][field] = value
                events[place] = dataclasses.replace(event, config=config)
    return events


def table_of(name, seed, **options):
    return observations(events_of(name, seed, **options))


def test_trials_of_both_keep_their_sweep_and_have_numbers_of_their_own():
    first, second = table_of("a", 1), table_of("b", 2)
    table = joined([first, second])
    assert table.num_rows == first.num_rows + second.num_rows
    assert set(zip(table["sweep"].to_pylist(), table["trial"].to_pylist(), strict=True)) == {
        (sweep, trial) for sweep in "ab" for trial in range(8)
    }
    view = read_sweep(table)
    assert [trial.number for trial in view.trials] == [*range(8), *range(100, 108)]
    for part, offset in ((first, 0), (second, 100)):
        for trial in read_sweep(part).trials:
            (same,) = (one for one in view.trials if one.number == trial.number + offset)
            assert same == dataclasses.replace(trial, number=same.number)
    assert view.name == "a + b"
    assert together(view) == "2 sweeps together: a (trials from 0 on), b (trials from 100 on)."
    assert origin_of(table).spec["space"] == origin_of(first).spec["space"]


def test_what_was_held_at_different_values_is_a_parameter():
    tables = [table_of("a", 1), table_of("b", 2, base={"optimizer.lr": 0.025})]
    view = read_sweep(joined(tables))
    rates = [read_sweep(table).trials[0].config["optimizer.lr"] for table in tables]
    assert view.space["optimizer.lr"]["values"] == rates
    assert {trial.params["optimizer.lr"] for trial in view.trials if trial.number < 100} == {rates[0]}
    assert {trial.params["optimizer.lr"] for trial in view.trials if trial.number >= 100} == {0.025}
    assert f"b (trials from 100 on, optimizer.lr {rates[1]})" in together(view)
    space = space_of(view)
    codes = seen_of(view, space).codes[:, space.column("optimizer.lr")]
    assert len(set(codes.tolist())) == 2


def test_what_one_swept_and_the_other_held_counts_where_it_had_an_effect():
    swept = table_of("a", 1)
    held = table_of("b", 2, keys=("norm.gate", "norm.centering"))
    view = read_sweep(joined([swept, held]))
    base = origin_of(held).spec["base"]["norm"]["threshold"]
    for trial in view.trials:
        assert ("norm.threshold" in trial.params) == trial.params["norm.gate"]
        if trial.number >= 100 and trial.params["norm.gate"]:
            assert trial.params["norm.threshold"] == base
    without = table_of("c", 3, keys=("norm.centering",), base={"norm.gate": False})
    joint = read_sweep(joined([swept, without]))
    assert all("norm.threshold" not in trial.params for trial in joint.trials if trial.number >= 100)
    assert all(trial.params["norm.gate"] is False for trial in joint.trials if trial.number >= 100)


def test_ranges_are_as_wide_as_any():
    wider = events_of("b", 2)
    wider[0].spec["space"]["norm.threshold"] |= {"low": 0.1, "high": 0.9}
    view = read_sweep(joined([table_of("a", 1), observations(wider)]))
    assert (view.space["norm.threshold"]["low"], view.space["norm.threshold"]["high"]) == (0.0, 0.9)


def other_scale():
    events = events_of("b", 2)
    events[0].spec["space"]["norm.threshold"] |= {"log": True, "low": 0.01}
    return observations(events)


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (lambda: table_of("b", 2, epochs=5), "`training.epochs` must be the same, but is `9` and `5`"),
        (lambda: table_of("b", 2, base={"dataset.name": "cifar10"}), "`dataset.name` must be the same"),
        (lambda: table_of("b", 2, metric="val_loss"), "the objective must be the same"),
        (other_scale, "declares `norm.threshold` in another way"),
        (lambda: table_of("b", 1), "named twice"),
    ],
)
def test_what_cannot_be_together_is_refused_in_a_line(other, why):
    with pytest.raises(UserError) as caught:
        joined([table_of("a", 1), other()])
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("few_resamples")
def test_the_command_maps_them_together(tmp_path):
    for name, seed in (("a", 1), ("b", 2)):
        write_sweep(tmp_path, events_of(name, seed, trials=6))
    done = call_cli(["landscape", "a", "b", "--home", str(tmp_path), "--json"], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["sweep"] == "a + b"
    table = pq.read_table(tmp_path / "a+b" / "observations.parquet")
    assert set(table["sweep"].to_pylist()) == {"a", "b"}
    text = (tmp_path / "a+b" / "landscape.html").read_text()
    assert "2 sweeps together: a (trials from 0 on), b (trials from 100 on)." in text
    refused = call_cli(["landscape", "a", "b", "--out", "a", "--home", str(tmp_path)], cwd=tmp_path)
    assert refused.returncode == 2
    assert "is the folder of a sweep" in refused.stderr
