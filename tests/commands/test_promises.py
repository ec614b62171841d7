"""`promises`: how often what sweeps promised was kept, over journals and over MLflow, each promise once."""

import json

import pytest
from scipy import stats

from tests.support.processes import call_cli
from ubn_sweep.commands.promises import in_words, interval
from ubn_sweep.records.final_training import recording
from ubn_sweep.records.folder import FinalFolder, SweepFolder
from ubn_sweep.records.promises import Settled, tally
from ubn_sweep.tracking.delivery.sync import sync
from ubn_sweep.tracking.mlflow.final_sink import FinalSink


def settled(final_id, *, sweep="a", trial=0, kept=None, time_s=0.0):
    return Settled(final_id=final_id, sweep_id=sweep, sweep=sweep, trial=trial, time_s=time_s, kept=kept)


def final(place, name, *, sweep="a", trial=0, kept=None, promised=0.9, **more):
    """A final training's journal, made up."""
    folder = FinalFolder(folder=place / "runs" / name)
    origin = {"sweep": sweep, "sweep_id": sweep, "trial": trial, "promised": promised}
    folder.path.mkdir(parents=True)
    with recording(folder) as recorder:
        recorder.begin(
            name=name, config={"seed": 0, "provenance": origin}, tracking_uri=None, environment={}, **more
        )
        recorder.tested({"test_top1": 0.9}, epoch=1)
        if promised is not None:
            recorder.judged({"kept": kept, "sentence": "so it is"})
        recorder.end("completed")
    return folder


def test_each_promise_counts_once_by_its_first_verdict():
    found = tally(
        [
            settled("1", time_s=1.0),
            settled("2", time_s=3.0, kept=True),
            settled("3", time_s=2.0, kept=False),  # tried again until it was kept
            settled("4", trial=1, kept=True),
            settled("5", sweep="b"),
        ]
    )
    assert (found.kept, found.broken, found.undecided, found.sweeps) == (1, 1, 1, 1)


def test_the_same_training_from_two_sources_is_one():
    found = tally([settled("1"), settled("1", kept=True), settled("1", kept=True)])
    assert (found.kept, found.undecided) == (1, 0)


@pytest.mark.parametrize("n", [1, 5, 20])
def test_the_interval_covers_in_95_of_100_cases_at_least(n):
    for share in (0.0, 0.05, 0.5, 0.8, 0.95, 1.0):
        covered = [low <= share <= high for low, high in (interval(kept, n) for kept in range(n + 1))]
        assert sum(stats.binom.pmf(range(n + 1), n, share)[covered]) >= 0.95 - 1e-9
    assert interval(0, 0) == (0.0, 1.0)


def test_what_it_says():
    many = tally(
        [settled(str(n), sweep=f"s{n % 3}", trial=n, kept=n > 1) for n in range(10)]
        + [settled("x", trial=99)]
    )
    assert in_words(many).startswith("8 of 10 promises of 3 sweeps were kept: 80%, 95% interval 44% to 97%.")
    assert "takes them for independent" in in_words(many)
    assert "1 has no verdict" in in_words(many)
    assert in_words(tally([])) == "No promise was settled yet."


def test_journals_are_counted_without_a_store(tmp_path):
    final(tmp_path, "kept", kept=True)
    final(tmp_path, "broken", sweep="b", kept=False)
    final(tmp_path, "open", sweep="c")
    final(tmp_path, "none", sweep="d", promised=None)
    several = final(tmp_path, "several-seeds", sweep="e", kept=True, of_seeds=True)
    final(several.path.parent.parent, "one-of-them", sweep="e", kept=False, parent="several")
    told = call_cli(["promises", "--json"], cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    content = json.loads(told.stdout)
    assert [content[name] for name in ("kept", "broken", "undecided", "sweeps")] == [2, 1, 1, 3]
    assert "2 of 3 promises of 3 sweeps were kept" in call_cli(["promises"], cwd=tmp_path).stderr.replace(
        "\n", " "
    )


@pytest.mark.slow
def test_a_store_tells_the_same_as_the_journals_that_went_there(tmp_path):
    uri = SweepFolder(home=tmp_path / "sweeps", name="").default_tracking_uri
    (tmp_path / "sweeps").mkdir()
    folders = [
        final(tmp_path, "kept", kept=True),
        final(tmp_path, "broken", sweep="b", kept=False),
        final(tmp_path, "open", sweep="c"),
        final(tmp_path, "none", sweep="d", promised=None),
    ]
    for folder in folders:
        sync(folder, FinalSink(folder, uri))
    here = json.loads(call_cli(["promises", "--json"], cwd=tmp_path).stdout)
    (tmp_path / "runs").rename(tmp_path / "elsewhere")
    there = json.loads(call_cli(["promises", "--json"], cwd=tmp_path).stdout)
    assert [there[name] for name in ("kept", "broken", "undecided")] == [1, 1, 1]
    assert [one["final_id"] for one in there["promises"]] == [one["final_id"] for one in here["promises"]]
    other = f"sqlite:///{tmp_path / 'no' / 'folder.db'}"
    refused = call_cli(["promises", "--tracking-uri", other], cwd=tmp_path)
    assert refused.returncode == 2
    assert "--tracking-uri" in refused.stderr
