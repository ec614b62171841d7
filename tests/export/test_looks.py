"""Looks at a test set are counted: each trained model once, over all configs, seeds and restarts of a sweep."""

import dataclasses

from tests.training.builders import tiny_config
from ubn_sweep.export.looks import LOOKS_FILE, count_looks, look_of, read_looks, record_look
from ubn_sweep.training.finding import DEFAULT_TASK, find_task
from ubn_sweep.training.provenance import Provenance


def config_of(sweep_id, **sections):
    origin = Provenance(
        task=DEFAULT_TASK, sweep="s", sweep_id=sweep_id, trial=0, status="completed", epoch=4,
        metric="val_top1", promised=0.5,
    )  # fmt: skip
    config = tiny_config(**sections)
    return config if sweep_id is None else dataclasses.replace(config, provenance=origin)


def look(home, config, final_id, **more):
    task = find_task(DEFAULT_TASK)
    assert record_look(home, look_of(task, config, final_id=final_id, folder=home / "run", **more)) is None
    return count_looks(home, task, config)


def test_the_best_three_configs_of_a_sweep_are_three_looks(tmp_path):
    counts = [look(tmp_path, config_of("a", seed=n), f"final {n}").of_sweep for n in range(3)]
    assert counts == [1, 2, 3]
    assert look(tmp_path, config_of("a"), "final 0", kind="confirmation", seed=77).of_sweep == 4


def test_the_same_model_tested_again_is_no_second_look(tmp_path):
    for _ in range(2):
        found = look(tmp_path, config_of("a"), "final 0")
    assert (found.of_sweep, found.of_others, found.sentence) == (1, 0, "")


def test_other_sweeps_and_own_configs_are_others_and_other_data_is_none(tmp_path):
    look(tmp_path, config_of("a"), "final 0")
    look(tmp_path, config_of(None), "final 1")
    look(tmp_path, config_of("b", dataset={"name": "cifar10", "root": str(tmp_path)}), "final 2")
    found = look(tmp_path, config_of("b"), "final 3")
    assert (found.of_sweep, found.of_others) == (1, 2)
    assert "looked at once by trainings of this sweep, and twice by others" in found.sentence
    assert (
        "by configs of no sweep" in count_looks(tmp_path, find_task(DEFAULT_TASK), config_of(None)).sentence
    )


def test_a_line_cut_short_is_passed_over(tmp_path):
    look(tmp_path, config_of("a"), "final 0")
    with (tmp_path / LOOKS_FILE).open("a") as file:
        file.write('{"data": "x"}\n{"da\n')
    assert [one.final_id for one in read_looks(tmp_path)] == ["final 0"]


def test_a_home_that_cannot_be_written_refuses_no_test(tmp_path):
    (tmp_path / "file").write_text("")
    one = look_of(find_task(DEFAULT_TASK), config_of("a"), final_id="f", folder=tmp_path)
    assert record_look(tmp_path / "file", one)
    assert count_looks(tmp_path / "none", find_task(DEFAULT_TASK), config_of("a")).of_sweep == 0
