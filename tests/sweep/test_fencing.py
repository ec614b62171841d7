"""A node that was cut off and comes back does no harm: what it reports and saves late changes nothing."""

import json

import pytest

from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.running.dispatch import Dispatch
from ubn_sweep.sweep.running.places import checkpoints_of
from ubn_sweep.training.stored_checkpoints import checkpoints_at
from ubn_sweep.training.trial import Report


class Process:
    """What trains an attempt on some node, as far as the sweep knows of it."""

    def __init__(self, dispatch, job):
        self.dispatch, self.job = dispatch, job
        self.checkpoints = checkpoints_at(job.checkpoints, job.attempt)

    def save(self, epoch, value):
        self.checkpoints.save(
            epoch, lambda folder: (folder / "state.json").write_text(json.dumps(value)) and None
        )

    def report(self, epoch, value=0.5, **other):
        metrics = {"val_top1": value, "val_loss": 1.0}
        return self.dispatch.take(
            self.job.trial, self.job.attempt, Report(epoch=epoch, metrics=metrics, **other)
        )


def newest(process):
    found = []
    process.checkpoints.load_newest(
        lambda folder: found.append(json.loads((folder / "state.json").read_text())),
        found.append,
        up_to=process.job.known_epoch + 1,
    )
    return found


@pytest.fixture(params=["folder", "storage"])
def sweep(request, small_spec, tmp_path):
    """A dispatch, its folder, and all that it records."""
    storage = {"storage": f"file://{tmp_path}/bucket"} if request.param == "storage" else {}
    spec = small_spec(early_stopping=None, search={"trials": 2, "sampler": "random"}, **storage)
    folder, recorded = SweepFolder(home=tmp_path, name="small"), []
    return Dispatch(SweepState(spec, record=recorded.append), folder), folder, recorded


def cut_off(dispatch):
    """A trial of which two epochs were told, whose node is cut off then, and that is begun anew elsewhere."""
    before = Process(dispatch, dispatch.next_job())
    for epoch in (1, 2):
        before.save(epoch, f"before, {epoch}")
        assert not before.report(epoch)
    dispatch.fault(before.job.trial, before.job.attempt, "died", "the node is gone")
    after = Process(dispatch, dispatch.next_job())
    assert (after.job.trial, after.job.known_epoch) == (before.job.trial, 2)
    return before, after


def test_late_reports_change_nothing_and_tell_the_process_to_stop(sweep):
    dispatch, _, recorded = sweep
    before, after = cut_off(dispatch)
    known = len(recorded)
    assert before.report(3, 0.99)
    assert before.report(4, ended="diverged", reason="not finite")
    assert before.report(5, ended="failed", reason="RuntimeError: late")
    dispatch.returned(before.job.trial, before.job.attempt)
    dispatch.fault(before.job.trial, before.job.attempt, "died", "it is gone again")
    dispatch.lost(before.job.trial, before.job.attempt)
    assert len(recorded) == known
    assert not after.report(3, 0.4)
    trial = dispatch.state.trials[before.job.trial]
    assert (trial.epoch, trial.value) == (3, 0.4)


def test_late_checkpoints_are_passed_over_and_remove_none(sweep):
    dispatch, _, _ = sweep
    before, after = cut_off(dispatch)
    before.save(7, "late, 7")
    assert newest(after) == ["before, 2"]  # never an epoch that the sweep has not heard of
    after.save(3, "after, 3")
    assert not after.report(3)
    before.save(8, "late, 8")
    before.save(3, "late, 3")
    dispatch.fault(after.job.trial, after.job.attempt, "died", "this one too")
    third = Process(dispatch, dispatch.next_job())
    assert newest(third) == ["after, 3"]


def test_what_a_process_saves_after_its_trials_end_is_nobodys(sweep):
    dispatch, folder, recorded = sweep
    before, after = cut_off(dispatch)
    assert after.report(9)
    assert dispatch.state.trials[after.job.trial].status == "completed"
    known = len(recorded)
    before.save(9, "late, 9")
    assert before.report(9, 0.99)
    assert len(recorded) == known
    assert dispatch.state.trials[after.job.trial].value == 0.5
    # The next life of the sweep begins by what the journal says, and clears up in the end.
    checkpoints_of(dispatch.state.spec, folder, before.job.trial).remove()
    assert checkpoints_of(dispatch.state.spec, folder, before.job.trial).found() == []
