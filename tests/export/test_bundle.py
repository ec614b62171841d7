"""Bundles: a config as a folder, with all that it takes to train it again and to check it; the same bytes each time."""

import dataclasses
import json
import shutil

import pytest
import yaml

from tests.support.journals import sweep_events, write_sweep
from tests.support.processes import call_cli
from ubn_sweep.errors import UserError
from ubn_sweep.export import export_configs
from ubn_sweep.export.bundle import changed_files, config_of, read_bundle
from ubn_sweep.records.events import AttemptStarted, EpochReported, SweepStarted, TrialCreated, TrialRetried
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.tracking.mlflow.client import connect
from ubn_sweep.training.loading import load_config

ENVIRONMENT = {
    "ubn_sweep": "0.2.0",
    "python": "3.11.9",
    "system": "Linux x86_64",
    "cpus": 2,
    "versions": {"torch": "2.9.0", "numpy": "2.3.0", "ray": None},
    "git_revision": "c" * 40,
    "data": "0123456789abcdef",
}
LATER = {**ENVIRONMENT, "versions": {"torch": "2.10.0"}}


def content_of(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def bundle_of(path):
    return read_bundle(path.with_suffix(""))


def with_environment(events):
    return [
        dataclasses.replace(event, environment=ENVIRONMENT) if isinstance(event, SweepStarted) else event
        for event in events
    ]


def test_the_same_sweep_gives_the_same_bytes_wherever_it_is_written(tmp_path):
    folder = write_sweep(tmp_path, sweep_events(20))
    once = export_configs(folder, top=2, out=tmp_path / "once")
    for other in (tmp_path / "once", tmp_path / "twice"):
        again = export_configs(folder, top=2, out=other)
        for first, second in zip(once, again, strict=True):
            assert content_of(first.with_suffix("")) == content_of(second.with_suffix(""))
    assert sorted(content_of(once[0].with_suffix(""))) == [
        "bundle.json", "config.yaml", "curves.json", "requirements.txt", "spec.yaml",
    ]  # fmt: skip


def test_what_a_bundle_says(tmp_path):
    events = with_environment(sweep_events(20))
    (path,) = export_configs(
        write_sweep(tmp_path, events),
        top=1,
        out=tmp_path / "out",
        run_ids=dict.fromkeys(range(20), "abc"),
        threads=lambda config: 3,
    )
    found = bundle_of(path)
    bundle, origin = found.bundle, load_config(path)[1].provenance
    created = next(
        event for event in events if isinstance(event, TrialCreated) and event.trial == origin.trial
    )
    assert (bundle.parents.sweep, bundle.parents.sweep_id) == ("made-up", f"{0:032x}")
    assert (bundle.parents.trial, bundle.parents.trials) == (origin.trial, (origin.trial,))
    assert bundle.parents.run_id == "abc"
    assert bundle.promise["promised"] == origin.promised
    assert bundle.promise["optimism"] == origin.optimism
    assert bundle.git_revision == "c" * 40
    assert bundle.pins == {
        "python": "3.11.9", "ubn-sweep": "0.2.0", "torch": "2.9.0", "numpy": "2.3.0",
    }  # fmt: skip
    assert (found.path / "requirements.txt").read_text().splitlines() == [
        "# python 3.11.9", "ubn-sweep==0.2.0", "torch==2.9.0", "numpy==2.3.0",
    ]  # fmt: skip
    assert bundle.data == "0123456789abcdef"
    assert bundle.seeds == (created.config["seed"],)
    assert (bundle.workers, bundle.threads) == (1, 3)
    assert bundle.commands["train"] == f"ubn-sweep train {found.path.name}"
    assert load_config(found.config)[1] == load_config(path)[1]
    assert yaml.safe_load((found.path / "spec.yaml").read_text())["name"] == "made-up"


def test_the_curve_is_what_was_reported_without_what_depends_on_the_machine(tmp_path):
    events = [
        dataclasses.replace(event, metrics=event.metrics | {"epoch_s": 3.0, "images_per_s": 9.0})
        if isinstance(event, EpochReported)
        else event
        for event in sweep_events(20)
    ]
    (path,) = export_configs(write_sweep(tmp_path, events), top=1, out=tmp_path / "out")
    (curve,) = bundle_of(path).curves
    reported = {
        event.epoch: event.metrics
        for event in events
        if isinstance(event, EpochReported) and event.trial == curve.trial
    }
    assert sorted(curve.epochs) == list(range(1, 10))
    for epoch, metrics in curve.epochs.items():
        assert set(metrics) == {"val_top1", "val_loss", "train_loss", "train_top1"}
        assert metrics["val_top1"] == reported[epoch]["val_top1"]


def test_trials_that_differ_in_their_seed_are_one_bundle_with_all_curves(tmp_path):
    space = {"norm.centering": {"type": "choice", "values": [True], "when": {}}}
    (path,) = export_configs(
        write_sweep(tmp_path, sweep_events(3, space=space, stops=())), top=1, out=tmp_path / "out"
    )
    found = bundle_of(path)
    assert [curve.trial for curve in found.curves] == [0, 1, 2]
    assert found.bundle.parents.trials == (0, 1, 2)
    assert found.bundle.seeds == (0, 1, 2)


def test_other_versions_and_settings_on_the_way_are_told(tmp_path):
    """The pins are those of the first epoch; a later attempt, and a setting changed by it, are no part of them."""
    events = with_environment(sweep_events(1, stops=()))
    place = next(n for n, event in enumerate(events) if isinstance(event, EpochReported) and event.epoch == 4)
    retried = TrialRetried(time_s=0.0, trial=0, was=None, changes={"training.epochs": 9})
    events[place:place] = [AttemptStarted(time_s=0.0, attempt=2, environment=LATER), retried]
    (path,) = export_configs(write_sweep(tmp_path, events), top=1, out=tmp_path / "out")
    found = bundle_of(path)
    assert found.bundle.pins["torch"] == "2.9.0"
    assert found.bundle.mixed_versions
    assert found.curves[0].changed_after == 3


def test_passwords_stay_at_home(tmp_path):
    events = sweep_events(3)
    spec = {**events[0].spec, "tracking": {"uri": "postgresql://me:hidden@host/db"}}
    folder = write_sweep(tmp_path, [dataclasses.replace(events[0], spec=spec), *events[1:]])
    (path,) = export_configs(folder, top=1, out=tmp_path / "out")
    assert not any(b"hidden" in content for content in content_of(path.with_suffix("")).values())


def test_a_file_that_was_changed_is_told(tmp_path):
    (path,) = export_configs(write_sweep(tmp_path, sweep_events(3)), top=1, out=tmp_path / "out")
    found = bundle_of(path)
    assert changed_files(found) == []
    found.config.write_text(found.config.read_text() + "\n")
    (found.path / "spec.yaml").unlink()
    assert changed_files(found) == ["config.yaml", "spec.yaml"]


def test_what_is_no_bundle(tmp_path):
    (path,) = export_configs(write_sweep(tmp_path, sweep_events(3)), top=1, out=tmp_path / "out")
    with pytest.raises(UserError, match=r"holds no bundle\.json"):
        config_of(tmp_path)
    with pytest.raises(UserError, match="must be a bundle's folder, but is a file"):
        read_bundle(path)
    bundle = path.with_suffix("") / "bundle.json"
    bundle.write_text(json.dumps({"format": 9}))
    with pytest.raises(UserError, match="format 9"):
        read_bundle(path.with_suffix(""))
    bundle.write_text("{")
    with pytest.raises(UserError, match="is no JSON"):
        read_bundle(path.with_suffix(""))


@pytest.mark.slow
def test_bundles_lie_in_the_sweeps_folder_and_on_its_run(tmp_path):
    """Where the store was away, `sync` delivers them."""
    home = tmp_path / "sweeps"
    folder = write_sweep(home, sweep_events(8))
    told = call_cli(["export", "made-up", "--top", "1", "--json"], cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    assert "the bundles are not on the sweep's MLflow run" in told.stderr
    (path,) = json.loads(told.stdout)["configs"]
    bundle = read_bundle((tmp_path / path).with_suffix(""))
    kept = folder.bundle(bundle.bundle.parents.trial)
    assert content_of(kept) == content_of(bundle.path)
    assert call_cli(["sync", "made-up"], cwd=tmp_path).returncode == 0
    client = connect(SweepFolder(home=home, name="").default_tracking_uri)
    experiment = client.get_experiment_by_name("ubn-sweep")
    (run,) = client.search_runs([experiment.experiment_id], "tags.`ubn_sweep.kind` = 'sweep'")
    place = f"bundles/{kept.name}"
    assert f"{place}/bundle.json" in {item.path for item in client.list_artifacts(run.info.run_id, place)}
    shutil.rmtree(folder.bundles)
    again = call_cli(["export", "made-up", "--top", "2"], cwd=tmp_path)
    assert "not on the sweep's" not in again.stderr
    assert len(client.list_artifacts(run.info.run_id, "bundles")) == 2
