"""`confirm`: a race beside its sweep, interrupted and gone on with, and what export makes of it."""

import json
from dataclasses import replace

import pytest
import yaml

from tests.support.journals import base_config, hill, sweep_events, write_sweep
from tests.support.processes import call_cli, kill_all, start_cli, wait_until
from ubn_sweep import schema
from ubn_sweep.export.finalists import finalists_of
from ubn_sweep.records.events import EpochReported, SweepStarted, TrialCreated
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import read_journal
from ubn_sweep.tracking.mlflow.client import connect
from ubn_sweep.training.classification.config import ClassificationConfig


def made_up(home, *, trials=16, task="tests.support.trainables:interrupt"):
    """A sweep that was searched elsewhere; what races trains next to nothing."""
    start, *rest = sweep_events(trials, epochs=3, stops=(1,))
    assert isinstance(start, SweepStarted)
    return write_sweep(home, [replace(start, spec={**start.spec, "task": task}), *rest])


@pytest.fixture(scope="module")
def raced(tmp_path_factory):
    """A race that was interrupted in its ninth training, and went on; with what the command said."""
    place = tmp_path_factory.mktemp("raced")
    folder = made_up(place / "sweeps")
    command = ["confirm", "made-up", "--executor", "in-process", "--json"]
    began = call_cli(
        [*command, "--top", "3", "--seeds", "3", "--held-out", "3"], cwd=place, TEST_INTERRUPT_AT="8 2"
    )
    over = call_cli(command, cwd=place)
    again = call_cli(["confirm", "made-up", "--top", "4"], cwd=place)
    return place, folder, began, over, again


@pytest.mark.slow
def test_interrupted_it_says_how_it_goes_on_and_trains_none_twice(raced):
    place, _, began, over, again = raced
    assert began.returncode == 130
    assert "`ubn-sweep confirm made-up` goes on with it" in began.stderr
    assert over.returncode == 0, over.stderr
    events = read_journal(place / "sweeps" / "made-up-confirm")
    created = [event for event in events if isinstance(event, TrialCreated)]
    assert len({json.dumps(event.params, sort_keys=True) for event in created}) == len(created) <= 18
    epochs = [(event.trial, event.epoch) for event in events if isinstance(event, EpochReported)]
    assert len(set(epochs)) == len(epochs)
    assert again.returncode == 2
    assert "--top: made-up-confirm was begun with 3, but got 4" in again.stderr


@pytest.mark.slow
def test_the_winner_is_told_with_n_mean_interval_and_its_difference_to_batch_norm(raced):
    place, folder, _, over, _ = raced
    told = json.loads(over.stdout.splitlines()[-1])
    winner = told["winner"]
    held_out = [
        event
        for event in read_journal(place / "sweeps" / "made-up-confirm")
        if isinstance(event, TrialCreated) and "held out" in event.origin
    ]
    assert {event.origin.split(",")[0] for event in held_out} == {winner["name"], "bn"}
    assert winner["worth"]["n"] == 3
    low, high = winner["worth"]["low"], winner["worth"]["high"]
    assert 0 <= winner["next_low"] <= low < winner["worth"]["mean"] < high <= winner["next_high"] <= 1
    # In this task the seed alone decides, so that the winner and its baseline do alike round by round.
    assert winner["against"]["difference"]["mean"] == pytest.approx(0, abs=1e-12)
    assert "which chance may explain" in told["sentence"]
    numbers = json.loads(folder.numbers.read_text())
    assert told["sentence"] in numbers["summary"]
    assert json.loads(folder.confirmation.read_text())["winner"] == winner


@pytest.mark.slow
def test_it_is_in_mlflow_beside_the_sweep(raced):
    _, folder, _, over, _ = raced
    client = connect(folder.default_tracking_uri)
    (experiment,) = [e for e in client.search_experiments() if e.name == "ubn-sweep"]
    runs = client.search_runs([experiment.experiment_id], "tags.`ubn_sweep.confirms` = 'made-up'")
    (parent,) = runs
    assert "confirmation.json" in [file.path for file in client.list_artifacts(parent.info.run_id)]
    children = client.search_runs(
        [experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    )
    assert len(children) == json.loads(over.stdout.splitlines()[-1])["trainings"]
    assert all("round" in child.data.tags["ubn_sweep.origin"] for child in children)


@pytest.mark.slow
def test_export_takes_the_winner_and_what_it_is_worth(raced):
    place, folder, _, over, _ = raced
    winner = json.loads(over.stdout.splitlines()[-1])["winner"]
    done = call_cli(["export", "made-up", "--top", "2", "--out", "configs", "--json"], cwd=place)
    first, second = (place / path for path in json.loads(done.stdout)["configs"])
    origin = schema.parse(ClassificationConfig, yaml.safe_load(first.read_text()), source="").provenance
    assert (origin.trial, origin.promised) == (winner["trial"], winner["worth"]["mean"])
    assert (origin.confirmed_by, origin.seeds, origin.optimism) == ("made-up-confirm", 3, 0.0)
    assert (origin.forecast.low, origin.forecast.high) == (winner["next_low"], winner["next_high"])
    assert "The winner of the race made-up-confirm" in first.read_text()
    created = {e.trial: e for e in read_journal(folder.path) if isinstance(e, TrialCreated)}
    plain = yaml.safe_load(first.read_text())
    assert {**plain, "provenance": None} == created[winner["trial"]].config
    assert "confirmed_by" not in second.read_text()


def test_finalists_are_those_expected_to_be_best_not_the_luckiest(tmp_path):
    """The worst config that finished was lucky in its last epoch alone: scores put it first, the model does not."""
    events = sweep_events(60, noise=0.005)
    params = {event.trial: event.params for event in events if isinstance(event, TrialCreated)}
    last = {e.trial: e for e in events if isinstance(e, EpochReported) and e.epoch == 9}
    lucky = min(last, key=lambda trial: hill(params[trial]))
    best = max(event.metrics["val_top1"] for event in last.values())
    metrics = {**last[lucky].metrics, "val_top1": best + 0.002}
    events = [replace(e, metrics=metrics) if e is last[lucky] else e for e in events]
    found = finalists_of(write_sweep(tmp_path, events), 5)
    assert found.by_model
    assert hill(params[lucky]) < best - 0.05
    assert found.chosen[0].trial != lucky
    few = finalists_of(write_sweep(tmp_path, sweep_events(8, name="few")), 5)
    assert not few.by_model


def test_nothing_finished_is_nothing_to_confirm(tmp_path):
    write_sweep(tmp_path / "sweeps", sweep_events(2, statuses={0: "failed", 1: "failed"}))
    done = call_cli(["confirm", "made-up"], cwd=tmp_path)
    assert done.returncode == 2
    assert "no trial has finished at the full budget" in done.stderr


TINY = {
    "dataset": {**schema.to_plain(base_config().dataset), "train_examples": 200, "validation_fraction": 0.5},
    "model": {"name": "resnet8", "width": 4},
    "device": "cpu",
}


def of_tiny_digits(event):
    """The same record of a sweep whose trainings take no second."""
    if isinstance(event, SweepStarted):
        return replace(event, spec={**event.spec, "base": {**event.spec["base"], **TINY}})
    return replace(event, config={**event.config, **TINY}) if isinstance(event, TrialCreated) else event


@pytest.mark.slow
def test_a_killed_race_of_real_trainings_goes_on(tmp_path):
    write_sweep(tmp_path / "sweeps", [of_tiny_digits(event) for event in sweep_events(3, epochs=2, stops=())])
    where = ["--executor", "in-process"]
    begin = ["confirm", "made-up", "--top", "1", "--seeds", "2", "--held-out", "3", *where]
    process = start_cli(begin, cwd=tmp_path)
    race = SweepFolder(home=tmp_path / "sweeps", name="made-up-confirm")

    def created():
        events = read_journal(race.path) if race.journal.exists() else []
        return [event for event in events if isinstance(event, TrialCreated)]

    wait_until(lambda: len(created()) >= 3, timeout_s=120)
    kill_all(process)
    done = call_cli(["confirm", "made-up", "--json", *where], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["trainings"] == len(created()) == 6
    assert told["winner"]["worth"]["n"] == told["winner"]["against"]["worth"]["n"] == 3
    assert len({event.config["dataset"]["split_seed"] for event in created()}) == 3
    assert {event.config["norm"]["name"] for event in created()} == {"ubn", "bn"}
