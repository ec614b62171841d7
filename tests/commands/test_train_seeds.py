"""`train BUNDLE --seeds N`: a run for each seed below a common one, restartable, with one verdict over all of them."""

import json

import pytest

from tests.support.journals import sweep_events, write_sweep
from tests.support.processes import call_cli
from ubn_sweep.commands.final_run import EpochLines
from ubn_sweep.export import export_configs
from ubn_sweep.records.events import FinalEpoch, FinalJudged, FinalSummed
from ubn_sweep.records.folder import FinalFolder, SweepFolder
from ubn_sweep.records.journal import read_journal
from ubn_sweep.tracking.mlflow.client import connect


@pytest.fixture
def bundle(tmp_path):
    """A real one, of a made-up sweep, whose config is then made small: what was promised stays."""
    (path,) = export_configs(
        write_sweep(tmp_path / "sweeps", sweep_events(3)), top=1, out=tmp_path / "configs"
    )
    folder = path.with_suffix("")
    text = (folder / "config.yaml").read_text()
    text = text.replace("train_examples: null", "train_examples: 100").replace(
        "test_examples: null", "test_examples: 60"
    )
    text = text.replace("width: 16", "width: 4").replace("epochs: 9\n", "epochs: 1\n", 1)
    (folder / "config.yaml").write_text(text)
    return folder


def train(place, *arguments):
    told = call_cli(["train", *arguments, "--json"], cwd=place)
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout.splitlines()[-1])


def events_in(folder):
    return read_journal(folder.path)


def runs_in(place, kind):
    client = connect(SweepFolder(home=place / "sweeps", name="").default_tracking_uri)
    experiment = client.get_experiment_by_name("ubn-sweep")
    return client.search_runs([experiment.experiment_id], f"tags.`ubn_sweep.kind` = '{kind}'")


@pytest.mark.slow
def test_seeds_are_runs_below_a_common_one_and_go_on(tmp_path, bundle, monkeypatch):
    with monkeypatch.context() as patch:
        seen = []

        def epoch(self, epoch, metrics):
            seen.append(epoch)
            if len(seen) == 3:
                raise KeyboardInterrupt

        patch.setattr(EpochLines, "epoch", epoch)
        assert call_cli(["train", str(bundle), "--seeds", "2", "--confirm"], cwd=tmp_path).returncode == 130
    told = train(tmp_path, str(bundle), "--seeds", "2", "--confirm")
    folder = FinalFolder(folder=tmp_path / "runs" / f"{bundle.name}-seeds")
    assert (told["n"], told["diverged"]) == (2, 0)
    assert told["mean"] == pytest.approx(sum(told["values"]) / 2)
    assert told["verdict"]["n"] == 2
    assert told["verdict"]["kept"] is None  # far below, but two seeds do not tell how far seeds spread
    assert told["test_looks"] == {"of_sweep": 4, "of_others": 0, "is_of_sweep": True}
    ones = folder.of_seeds()
    assert [sum(isinstance(event, FinalEpoch) for event in events_in(one)) for one in ones] == [1, 1]
    assert not any(isinstance(event, FinalJudged) for one in ones for event in events_in(one))
    assert sum(isinstance(event, FinalJudged) for event in events_in(folder)) == 1

    (parent,) = runs_in(tmp_path, "final_seeds")
    children = runs_in(tmp_path, "final")
    assert (
        {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id} == {told["run_id"]}
    )
    assert parent.data.metrics["test_top1"] == pytest.approx(told["mean"])
    assert parent.data.metrics["test_top1_std"] == pytest.approx(told["spread"])
    assert parent.data.metrics["seeds"] == 2.0
    assert parent.info.status == "FINISHED"
    assert all("promise_kept" not in run.data.metrics for run in children)

    before = [one.journal.read_bytes() for one in ones]
    more = train(tmp_path, str(bundle), "--seeds", "3")
    assert more["n"] == 3
    assert more["values"][:2] == told["values"]
    assert [one.journal.read_bytes() for one in ones] == before
    assert [event.seeds for event in events_in(folder) if isinstance(event, FinalSummed)] == [2, 3]
    (parent,) = runs_in(tmp_path, "final_seeds")
    assert parent.data.metrics["seeds"] == 3.0
    refused = call_cli(["train", str(bundle), "--out", str(folder.path)], cwd=tmp_path)
    assert refused.returncode == 2
    assert "holds a final training of several seeds" in refused.stderr


@pytest.mark.slow
def test_sync_delivers_all_seeds_with_their_common_run(tmp_path, bundle):
    train(tmp_path, str(bundle), "--seeds", "2")
    folder = FinalFolder(folder=tmp_path / "runs" / f"{bundle.name}-seeds")
    other = f"sqlite:///{tmp_path / 'other.db'}"
    alone = call_cli(["sync", str(folder.of_seeds()[0].path), "--to", other], cwd=tmp_path)
    assert alone.returncode == 2
    assert "the run that all seeds share is not there yet" in alone.stderr
    assert call_cli(["sync", str(folder.path), "--to", other], cwd=tmp_path).returncode == 0
    client = connect(other)
    (experiment,) = [one for one in client.search_experiments() if one.name == "ubn-sweep"]
    assert len(client.search_runs([experiment.experiment_id])) == 3
