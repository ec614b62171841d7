"""Finding a task by its name, and what a task must state."""

import textwrap

import pytest

from ubn_sweep.errors import UserError
from ubn_sweep.training.classification.config import ClassificationConfig
from ubn_sweep.training.classification.task import ImageClassification
from ubn_sweep.training.finding import DEFAULT_TASK, find_task, lies_in, spec_in_todays_words

OWN = """
    from dataclasses import dataclass, field
    from ubn_sweep.records.metrics import Metric
    from ubn_sweep.training.config import TrainingConfig
    from ubn_sweep.training.provenance import Provenance
    from ubn_sweep.training.task import Task

    @dataclass(frozen=True, kw_only=True)
    class Config:
        {training}
        seed: int = 0
        provenance: Provenance | None = None

    class Mine(Task):
        Config = Config
        {metrics}
        {start}
"""
WHOLE = {
    "training": "training: TrainingConfig = field(default_factory=TrainingConfig)",
    "metrics": 'metrics = (Metric(name="val_error", label="error", direction="min"),)',
    "start": "def start(self, config, *, threads=None, hold_out=True): ...",
}


def write(folder, name, **changes):
    (folder / f"{name}.py").write_text(textwrap.dedent(OWN.format(**(WHOLE | changes))))


@pytest.mark.parametrize(
    ("device", "gpus", "expected"),
    [
        ("cuda", 0, "base.device: is cuda, but resources.gpus_per_worker is 0"),
        ("cpu", 0.5, "base.device: is cpu, but resources.gpus_per_worker is 0.5"),
        ("auto", 4, "resources.gpus_per_worker: a worker trains on one GPU, but got 4"),
        ("cuda", 2, "resources.gpus_per_worker: a worker trains on one GPU, but got 2"),
        ("auto", 0, None),
        ("auto", 1, None),
        ("cuda", 0.25, None),
        ("cpu", 0, None),
    ],
)
def test_a_task_says_how_many_gpus_a_trial_can_use(device, gpus, expected):
    task, config = ImageClassification(), ClassificationConfig(device=device)
    if expected is None:
        task.check_gpus(config, gpus)
    else:
        with pytest.raises(UserError) as caught:
            task.check_gpus(config, gpus)
        assert str(caught.value).startswith(expected)
        assert "\n" not in str(caught.value)


def test_the_default_is_image_classification():
    task = find_task(DEFAULT_TASK)
    assert isinstance(task, ImageClassification)
    assert task.name == DEFAULT_TASK
    assert task.promise.name == "val_top1"
    assert find_task(DEFAULT_TASK) is task


def test_what_version_0_1_called_a_trainable_is_found():
    assert find_task("trainables.classification:train").name == DEFAULT_TASK
    assert spec_in_todays_words({"name": "a", "trainable": "b:c"}) == {"name": "a", "task": "b:c"}


def test_a_function_trains_trials_but_is_no_final_training():
    task = find_task("tests.support.trainables:train")
    assert task.promise.name == "val_top1"
    with pytest.raises(UserError, match="says nothing of a final training"):
        task.start(task.Config())


def test_a_task_beside_a_spec_is_found(tmp_path):
    write(tmp_path, "beside_a_spec")
    assert lies_in("beside_a_spec:Mine", tmp_path)
    assert not lies_in(DEFAULT_TASK, tmp_path)
    task = find_task("beside_a_spec:Mine", tmp_path)
    assert task.record(task.Config()).metrics[0].direction == "min"


def test_a_file_in_the_current_folder_hides_no_library(tmp_path, monkeypatch):
    (tmp_path / "statistics.py").write_text("raise SystemExit('the wrong module')")
    write(tmp_path, "with_statistics", start="import statistics\n        " + WHOLE["start"])
    monkeypatch.chdir(tmp_path)
    assert find_task("with_statistics:Mine").name == "with_statistics:Mine"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"training": "epochs: int = 3"}, "has no field `training`"),
        ({"metrics": ""}, "has no `metrics`"),
        ({"start": "pass"}, "has no `start`"),
        ({"start": "import nowhere_at_all"}, r"cannot be imported .*nowhere_at_all.* lacking_\d+.py line 17"),
        ({"start": "def start(:"}, r"cannot be imported .SyntaxError.* lacking_\d+.py line 17"),
    ],
)
def test_what_a_task_lacks_is_one_line(changes, expected, tmp_path):
    name = f"lacking_{abs(hash(expected))}"
    write(tmp_path, name, **changes)
    with pytest.raises(UserError, match=expected) as caught:
        find_task(f"{name}:Mine", tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nonsense", "is written `module:Class`"),
        ("absent_module:Mine", "no module that can be imported"),
        ("trainables.classification:Absent", "has no task `Absent`; it has .*Classification"),
        ("ubn_sweep.training.task:FIXED", "must be a subclass of"),
    ],
)
def test_an_unknown_task_is_one_line(name, expected):
    with pytest.raises(UserError, match=expected):
        find_task(name)
