"""What trials take: numbers, rules on their config, and the names of before."""

import pytest

from ubn_sweep import schema
from ubn_sweep.commands.preview import trials_at_once
from ubn_sweep.errors import UserError
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.explaining.preview import expected_cost
from ubn_sweep.sweep.running.launch import check_runnable
from ubn_sweep.sweep.spec.loading import load_spec, respecified, spec_from_plain
from ubn_sweep.sweep.spec.resources import Shape

LARGE_BATCHES = [{"when": {"training.batch_size": {"min": 48}}, "value": 4}, {"value": 1}]
AFFINE = [
    {"when": {"norm.affine": ["depthwise"], "training.batch_size": {"max": 40}}, "value": 0.5},
    {"value": 1},
]


def test_a_rule_asks_the_trial_s_config(small_spec):
    resources = {"workers_per_trial": LARGE_BATCHES, "gpus_per_worker": AFFINE, "cpus_per_worker": 2}
    spec = small_spec(resources=resources)
    shape = spec.resources.shape
    assert shape({"norm": {"affine": "depthwise"}, "training": {"batch_size": 64}}) == Shape(
        workers=4, cpus=2, gpus=1
    )
    assert shape({"norm": {"affine": "depthwise"}, "training": {"batch_size": 32}}) == Shape(
        workers=1, cpus=2, gpus=0.5
    )
    assert shape({"norm": {"affine": "pointwise"}, "training": {"batch_size": 32}}) == Shape(
        workers=1, cpus=2, gpus=1
    )
    assert set(spec.shapes) == {
        Shape(workers=4, cpus=2, gpus=1),
        Shape(workers=1, cpus=2, gpus=0.5),
        Shape(workers=1, cpus=2, gpus=1),
    }
    assert spec_from_plain(schema.to_plain(spec)).resources == spec.resources


def test_each_trial_is_recorded_with_its_workers(small_spec):
    events = []
    state = SweepState(small_spec(resources={"workers_per_trial": LARGE_BATCHES}), record=events.append)
    trials = [state.next_trial() for _ in range(8)]
    expected = [4 if trial.config["training"]["batch_size"] >= 48 else 1 for trial in trials]
    assert [trial.workers for trial in trials] == [event.workers for event in events] == expected
    assert set(expected) == {1, 4}


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        ({"workers_per_trial": 0}, "`workers_per_trial >= 1`, a whole number, must hold, but got 0"),
        ({"workers_per_trial": 1.5}, "a whole number, must hold, but got 1.5"),
        ({"gpus_per_worker": 1.5}, "`gpus_per_worker` is a share of 1 or a whole number, but got 1.5"),
        ({"workers_per_trial": "two"}, "resources.workers_per_trial: must be a number, or cases as in"),
        (
            {"workers_per_trial": LARGE_BATCHES[:1]},
            "the last case, and that one alone, must hold for every trial",
        ),
        ({"workers_per_trial": [{"value": 1}, {"value": 2}]}, "the last case, and that one alone"),
        (
            {"workers_per_trial": [{"then": 1}]},
            "a case has `value`, and `when` unless it is the last one, but got",
        ),
        (
            {
                "workers_per_trial": [
                    {"when": {"training.batch_size": {"least": 3}}, "value": 2},
                    {"value": 1},
                ]
            },
            "bounds are `min`, `max` or both",
        ),
        (
            {"workers_per_trial": [{"when": {"training.batchsize": 3}, "value": 2}, {"value": 1}]},
            "`when` names `training.batchsize`, which no trial's config has (did you mean `training.batch_size`?)",
        ),
        ({"cpus_per_trial": 2, "cpus_per_worker": 2}, "is called cpus_per_worker now, and both are there"),
        ({"cpus_per_trial": 2, "workers_per_trial": 2}, "of several workers say cpus_per_worker"),
        ({"worker_timeout_s": 0}, "`worker_timeout_s > 0` must hold, but got 0"),
    ],
)
def test_a_mistake_is_one_line(write_spec, resources, words):
    with pytest.raises(UserError) as caught:
        load_spec(write_spec(resources=resources))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_names_of_before_are_read(write_spec):
    spec = load_spec(write_spec(resources={"cpus_per_trial": 3, "gpus_per_trial": 0.5}))
    assert spec.shapes == [Shape(workers=1, cpus=3, gpus=0.5)]
    again = load_spec(write_spec(resources={"cpus_per_trial": 3}), ["resources.cpus_per_worker=2"])
    assert again.shapes == [Shape(workers=1, cpus=2, gpus=0)]
    assert respecified(again, ["resources.cpus_per_trial=4"]).shapes[0].cpus == 4


def test_a_task_that_trains_in_one_process_is_refused_more(small_spec):
    with pytest.raises(UserError, match="trains in one process, but got 4"):
        check_runnable(small_spec(resources={"workers_per_trial": LARGE_BATCHES}))


def test_what_runs_at_once_and_what_it_costs_counts_all_workers(small_spec, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(9)))
    assert trials_at_once(small_spec(resources={"workers_per_trial": 2})) == 4
    assert trials_at_once(small_spec(resources={"workers_per_trial": LARGE_BATCHES})) == 2
    spec = small_spec(resources={"workers_per_trial": LARGE_BATCHES, "gpus_per_worker": 0.5})
    cost = expected_cost(spec, workers=2, epoch_s=10.0, replays=3)
    assert cost.gpu_hours.mean == pytest.approx(2 * cost.trial_hours.mean)
