"""Sweeps that version 0.1 wrote: they are resumed, mapped, exported and trained by today's code."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from tests.support.processes import REPOSITORY, call_cli
from ubn_sweep import schema
from ubn_sweep.records.events import EpochReported, TrialCreated, TrialEnded
from ubn_sweep.records.journal import read_journal
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.spec.loading import spec_from_plain
from ubn_sweep.training.classification.config import ClassificationConfig
from ubn_sweep.training.loading import load_config

DATA = REPOSITORY / "tests" / "data" / "version_0_1"


def parsed(config):
    """The config as today's schema understands it: keys that are newer have their defaults."""
    return schema.parse(ClassificationConfig, config, source="test")


def last_json(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def place(tmp_path):
    for name in ("finished", "killed"):
        shutil.copytree(DATA / name, tmp_path / "sweeps" / name)
    return tmp_path


@pytest.mark.slow
def test_a_killed_one_goes_on_as_it_would_have(place):
    folder = place / "sweeps" / "killed"
    before = read_journal(folder)
    result = last_json(call_cli(["resume", "killed", "--executor", "in-process", "--json"], cwd=place))
    assert sum(result["trials"].values()) == 10
    after = read_journal(folder)
    assert after[: len(before)] == before
    reports = [(event.trial, event.epoch) for event in after if isinstance(event, EpochReported)]
    assert len(reports) == len(set(reports))
    # What is sampled depends on the seed, the number and what had ended before; here all that came later.
    created = {event.trial for event in after if isinstance(event, TrialCreated)}
    assert created == {event.trial for event in after if isinstance(event, TrialEnded)} == set(range(10))


def test_its_next_suggestion_is_the_one_that_0_1_made(place):
    """The finished journal, cut before its last trial was sampled: the same comes out again."""
    events = read_journal(place / "sweeps" / "finished")
    last = max(index for index, event in enumerate(events) if isinstance(event, TrialCreated))
    made = []
    state = SweepState(spec_from_plain(events[0].spec), record=made.append)
    state.replay(events[:last])
    while not made:
        assert state.next_trial() is not None
    assert made[0].params == events[last].params
    assert parsed(made[0].config) == parsed(events[last].config)


@pytest.mark.slow
def test_a_finished_one_is_mapped_and_exported(place):
    report = last_json(call_cli(["landscape", "finished", "--json"], cwd=place))["report"]
    assert "resnet8 on digits" in Path(report).read_text()
    (path,) = last_json(call_cli(["export", "finished", "--top", "1", "--json"], cwd=place))["configs"]
    written = yaml.safe_load((place / path).read_text())
    before = yaml.safe_load((DATA / "exported.yaml").read_text())
    assert written["provenance"]["promised"] == before["provenance"]["promised_val_top1"]
    assert parsed({**written, "provenance": None}) == parsed({**before, "provenance": None})


def test_what_0_1_exported_is_trained_by_the_same_task():
    task, config = load_config(DATA / "exported.yaml")
    assert task.name == config.provenance.task == "trainables.classification:Classification"
    assert (config.provenance.metric, config.provenance.promised) == ("val_top1", 0.9749652294853964)
