"""Exported configs: the best, each once, ready for training."""

import dataclasses
import statistics

import pytest
import yaml

from tests.support.journals import SPACE, sweep_events, write_sweep
from ubn_sweep import schema
from ubn_sweep.errors import UserError
from ubn_sweep.export import export_configs
from ubn_sweep.records.events import EpochReported, SweepStarted, TrialCreated
from ubn_sweep.training.classification.config import ClassificationConfig


def read(path):
    return schema.parse(ClassificationConfig, yaml.safe_load(path.read_text()), source=str(path))


def test_the_best_come_first(tmp_path):
    events = sweep_events(40)
    paths = export_configs(
        write_sweep(tmp_path, events),
        top=3,
        out=tmp_path / "out",
        tracking_uri="sqlite:///x.db",
        run_ids={26: "abc"},
    )
    configs = [read(path) for path in paths]
    promises = [config.provenance.promised for config in configs]
    assert promises == sorted(promises, reverse=True)
    created = {event.trial: event for event in events if isinstance(event, TrialCreated)}
    for place, (path, config) in enumerate(zip(paths, configs, strict=True), start=1):
        origin = config.provenance
        assert path.name == f"made-up-{place}-trial-{origin.trial:04d}.yaml"
        assert schema.to_plain(dataclasses.replace(config, provenance=None)) == created[origin.trial].config
        assert origin.status == "completed"
        assert origin.epoch == 9
        assert origin.validation_examples == 359
        assert origin.candidates == 11
        assert origin.git_revision == "a" * 40
        assert origin.tracking_uri == "sqlite:///x.db"
        assert origin.run_id == ("abc" if origin.trial == 26 else None)
        assert f"ubn-sweep train {path}" in path.read_text()


def test_stopped_ones_only_where_finished_ones_are_too_few(tmp_path):
    folder = write_sweep(tmp_path, sweep_events(12))
    paths = export_configs(folder, top=12, out=tmp_path / "out")
    statuses = [read(path).provenance.status for path in paths]
    assert statuses == sorted(statuses)  # completed before stopped
    assert set(statuses) == {"completed", "stopped"}
    assert "Not finished (stopped)" in paths[-1].read_text()
    assert "nothing is promised of it" in paths[-1].read_text()
    promises = [read(path).provenance.promised for path in paths]
    assert [promised is None for promised in promises] == [status == "stopped" for status in statuses]


def test_one_config_is_exported_once(tmp_path):
    space = {"norm.centering": SPACE["norm.centering"]}
    paths = export_configs(
        write_sweep(tmp_path, sweep_events(10, space=space, stops=())), top=5, out=tmp_path / "out"
    )
    assert sorted(read(path).norm.centering for path in paths) == [False, True]


def test_a_promise_is_the_mean_over_the_seeds_not_the_luckiest(tmp_path):
    """Trials that differ in nothing but their seed are one config; how far they spread is told with it."""
    space = {"norm.centering": SPACE["norm.centering"]}
    events = sweep_events(10, space=space, stops=())
    paths = export_configs(write_sweep(tmp_path, events), top=2, out=tmp_path / "out")
    created = {e.trial: e.params["norm.centering"] for e in events if isinstance(e, TrialCreated)}
    scores = {e.trial: e.metrics["val_top1"] for e in events if isinstance(e, EpochReported) and e.epoch == 9}
    for path in paths:
        config = read(path)
        mine = [scores[number] for number, value in created.items() if value == config.norm.centering]
        origin = config.provenance
        assert origin.promised == pytest.approx(statistics.fmean(mine))
        assert origin.spread == pytest.approx(statistics.stdev(mine))
        assert (origin.seeds, origin.candidates) == (len(mine), 2)
        assert f"the mean of {len(mine)} seeds" in path.read_text()


def test_the_same_sweep_gives_the_same_bytes(tmp_path):
    folder = write_sweep(tmp_path, sweep_events(12))
    first = [path.read_bytes() for path in export_configs(folder, top=3, out=tmp_path / "out")]
    assert [path.read_bytes() for path in export_configs(folder, top=3, out=tmp_path / "out")] == first
    assert not any(
        b"exported_at" in content for content in first
    )  # the one time that used to be written down


def test_that_the_best_was_picked_is_told(tmp_path):
    paths = export_configs(write_sweep(tmp_path, sweep_events(20)), top=1, out=tmp_path / "out")
    assert 0 < read(paths[0]).provenance.optimism < 0.05


def test_top_is_positive(tmp_path):
    with pytest.raises(UserError, match=r"top >= 1.*0"):
        export_configs(write_sweep(tmp_path, sweep_events(3)), top=0, out=tmp_path / "out")


def test_no_finished_trial(tmp_path):
    folder = write_sweep(tmp_path, sweep_events(3, statuses=dict.fromkeys(range(3), "running"), ended=False))
    with pytest.raises(UserError, match="no trial has finished"):
        export_configs(folder, top=1, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_out_cannot_be_written(tmp_path):
    folder = write_sweep(tmp_path, sweep_events(3))
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="--out"):
        export_configs(folder, top=1, out=tmp_path / "file")


def test_a_loss_promises_accuracy_too(tmp_path):
    paths = export_configs(
        write_sweep(tmp_path, sweep_events(20, metric="val_loss")), top=1, out=tmp_path / "out"
    )
    assert 0.5 < read(paths[0]).provenance.promised <= 1


def test_a_promise_says_where_one_more_training_lies(tmp_path):
    """By the model of all trials; its middle is not the lucky score, and nothing is said of what did not finish."""
    paths = export_configs(write_sweep(tmp_path, sweep_events(40)), top=14, out=tmp_path / "out")
    origins = [read(path).provenance for path in paths]
    finished = [origin for origin in origins if origin.status == "completed"]
    assert [origin.forecast is None for origin in origins] == [o.status != "completed" for o in origins]
    best = finished[0]
    assert best.forecast.low < best.forecast.expected < best.promised
    assert best.forecast.expected < best.forecast.high
    assert not best.forecast.replicated
    assert best.forecast.source == "a model of 40 trials, one seed each"
    assert "One more training with a new seed is expected at" in paths[0].read_text()


def test_repeats_tell_how_trainings_spread(tmp_path):
    events = []
    for event in sweep_events(40):
        if isinstance(event, SweepStarted):
            base = {**event.spec["base"], "repeats": 3}
            event = dataclasses.replace(event, spec={**event.spec, "base": base})
        elif isinstance(event, EpochReported):
            event = dataclasses.replace(event, metrics={**event.metrics, "val_top1_std": 0.012})
        events.append(event)
    (path,) = export_configs(write_sweep(tmp_path, events), top=1, out=tmp_path / "out")
    found = read(path).provenance.forecast
    assert found.replicated
    assert found.std == pytest.approx(0.012 / 3**0.5)
    assert found.freedom == 2 * 11
    assert found.source == "a model of 40 trials, 3 seeds each"


def test_too_few_trials_foretell_nothing(tmp_path):
    (path,) = export_configs(write_sweep(tmp_path, sweep_events(11)), top=1, out=tmp_path / "out")
    assert read(path).provenance.forecast is None
    assert "forecast" not in path.read_text()


def test_no_accuracy_is_foretold_beyond_100_percent(tmp_path):
    events = sweep_events(40, truth=lambda params: 0.999, noise=0.02)
    (path,) = export_configs(write_sweep(tmp_path, events), top=1, out=tmp_path / "out")
    assert read(path).provenance.forecast.high == 1.0
