"""The search benchmark: its simulated workers, its tables, its report, and what it says of the default."""

import json
import os
from pathlib import Path

import numpy as np
import optuna
import pytest

from benchmarks import search_efficiency
from benchmarks.search import families, problems, report, synthetic
from benchmarks.search.methods import check, make_engine
from benchmarks.search.simulation import Schedule, StateEngine, StudyEngine, simulate
from ubn_sweep.sweep.spec.spec import SAMPLER_NAMES

SHARED = Path(os.environ.get("UBN_SWEEP_SHARED_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setattr(search_efficiency, "_PROBLEMS", {})
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


@pytest.fixture
def gated() -> problems.Problem:
    return synthetic.problem("gated")


@pytest.mark.parametrize("family", sorted(synthetic.FAMILIES))
def test_a_table_answers_with_its_own_rows(tmp_path, family):
    made = synthetic.make_table(family, rows=60, seed=1)
    file = tmp_path / "table.json"
    file.write_text(json.dumps(made))
    table = problems.table(file)
    rows = made["rows"]
    curves = table.curves([row["params"] for row in rows])
    np.testing.assert_allclose(curves, [row["curve"] for row in rows])
    assert table.best > table.median
    assert table.regret(table.best) == 0
    assert table.regret(table.median) == 1


def test_the_families_are_what_they_claim():
    for family, least, most in (("gated", 0.7, 1.0), ("crossing", 0.0, 0.6)):
        problem = synthetic.problem(family)
        curves = problem.curves(problems.sample(problem.space, 400, seed=2))
        early, final = (np.argsort(np.argsort(curves[:, epoch])) for epoch in (1, -1))
        assert least < np.corrcoef(early, final)[0, 1] < most  # rank correlation of epoch 2 with the end
    gated = synthetic.problem("gated")
    for config in problems.sample(gated.space, 50, seed=3):
        assert ("kernel_size" in config) == (config["gate"] == "kernel")


@pytest.mark.parametrize("kind", sorted(families.KINDS))
def test_the_problems_of_a_kind_differ_and_are_the_same_each_time(kind):
    one, again, other = (families.problem(f"{kind}-{number}") for number in (0, 0, 1))
    configs = problems.sample(one.space, 200, seed=1)
    curves = one.curves(configs)
    np.testing.assert_array_equal(curves, again.curves(configs))
    assert not np.array_equal(curves, other.curves(configs))
    assert one.best > one.median > one.worst
    diverged = np.isnan(curves)
    assert diverged[:, -1].any() == (kind == "logs")
    assert (diverged[:, 3] == diverged[:, -1]).all()
    assert families.is_of_a_kind(f"{kind}-7")
    assert not families.is_of_a_kind(kind)


@pytest.mark.parametrize("family", ["gated", "crossing", "nested-1"])
def test_a_problem_is_swept_as_a_spec(family):
    """Its parameters, its conditions, its stops: what the sweep's own state decides is what is measured."""
    problem = (families if families.is_of_a_kind(family) else synthetic).problem(family)
    engine = make_engine("random", problem, seed=0, schedule=Schedule())
    assert isinstance(engine, StateEngine)
    assert engine.state.rungs.levels == (2, 6, 18)
    for _ in range(40):
        number, params = engine.ask()
        active = {name for name, parameter in problem.space.items() if parameter.is_active(params)}
        assert set(params) == active
        for epoch, value in enumerate(problem.curves([params])[0], start=1):
            if engine.report(number, epoch, value):
                break
    assert set(engine.state.counts) >= {"completed", "stopped"}
    assert engine.state.counts["stopped"] > 20


def test_what_diverges_is_nobodys_best():
    space = {"x": problems.parameter_of({"type": "float", "low": 0.0, "high": 1.0})}

    def curves(configs):
        good = np.linspace(0.1, 0.5, 9)
        return np.array([good * c["x"] if c["x"] < 0.9 else [9.0] + 8 * [np.nan] for c in configs])

    problem = problems.with_scale(name="bad", space=space, curves=curves)
    assert problem.best == pytest.approx(0.45, abs=0.01)
    assert problem.regret(np.nan) == problem.worst_regret > 1
    engine = make_engine("random", problem, seed=0, schedule=Schedule())
    run = simulate(problem, engine, budget_epochs=300, workers=4)
    assert run.regrets[-1] < 0.2
    assert engine.state.counts["diverged"] > 0


def test_promoted_trials_go_on_where_they_waited(gated):
    engine = make_engine("random+promote", gated, seed=0, schedule=Schedule())
    simulate(gated, engine, budget_epochs=400, workers=8)
    assert engine.state.epochs_done == 400  # no epoch was reported twice
    assert max(trial.epoch for trial in engine.state.trials.values()) > 6
    assert engine.state.waiting


@pytest.mark.parametrize("method", ["random", "stock", "optuna:TPESampler"])
def test_workers_spend_the_budget_and_follow_the_best_seen(gated, method):
    engine = make_engine(method, gated, seed=0, schedule=Schedule())
    run = simulate(gated, engine, budget_epochs=400, workers=8)
    assert len(run.regrets) == 400
    assert 8 < len(run.suggestion_cpu_s) < 100
    again = simulate(
        gated, make_engine(method, gated, seed=0, schedule=Schedule()), budget_epochs=400, workers=8
    )
    if method != "optuna:TPESampler":
        assert run.regrets == again.regrets


def test_the_study_knows_what_stopped(gated):
    engine = make_engine("optuna:RandomSampler", gated, seed=0, schedule=Schedule())
    assert isinstance(engine, StudyEngine)
    simulate(gated, engine, budget_epochs=520, workers=8)
    trials = engine.study.trials
    stopped = [trial for trial in trials if trial.state == optuna.trial.TrialState.PRUNED]
    assert {trial.number for trial in stopped} == engine.rungs.stopped
    assert sum(len(trial.intermediate_values) for trial in trials) == 520
    assert all(max(trial.intermediate_values) in engine.rungs.levels for trial in stopped)


def test_unknown_methods_list_the_known_ones():
    assert check("optuna:QMCSampler") == "optuna:QMCSampler"
    assert check("auto+stop") == "auto+stop"
    for name in ("nothing", "optuna:Nothing", "auto+", "auto+nothing", "nothing+stop"):
        with pytest.raises(ValueError, match=", ".join(("stock", *SAMPLER_NAMES))):
            check(name)


def record(method: str, seed: int, end: float, problem: str = "p") -> report.Record:
    return report.Record(
        problem=problem,
        method=method,
        seed=seed,
        every=26,
        regrets=[1.0, 0.5, end, end],
        n_trials=10,
        n_complete=1,
        median_suggestion_cpu_s=0.01,
    )


def test_goals_and_comparisons():
    records = [record("random", seed, 0.3 + 0.01 * seed) for seed in range(3)]
    records += [record("auto", seed, 0.1 + 0.01 * seed) for seed in range(3)]
    records += [record("bad", seed, 0.9 + 0.01 * seed) for seed in range(3)]
    found = report.goals(records, [26, 52, 78, 104])
    assert found["final_regret"] == pytest.approx(0.11)
    assert found["random_final_regret"] == pytest.approx(0.31)
    assert found["epochs_to_pass_random"] == 78
    assert found["problems_worse_than_random_by_2_errors"] == []
    is_worse = {c.method: c.is_worse for c in report.comparisons(records, 104)}
    assert is_worse == {"auto": False, "bad": True}
    mean, error = report.mean_and_error(records[:3], 104)
    assert (mean, error) == (pytest.approx(0.31), pytest.approx(0.01 / np.sqrt(3)))


def test_methods_are_compared_sweep_by_sweep():
    records = [record("random", seed, 0.3 + 0.1 * seed) for seed in range(3)]
    records += [record("auto", seed, 0.1 + 0.1 * seed) for seed in range(3)]
    records += [record("auto", 7, 9.0), record("once", 0, 0.0)]  # nobody to compare with, and one pair alone
    (row,) = report.paired(records, "random", [26, 104])
    assert row == {"method": "auto", "pairs": 3, "at 26": "+0.000 ± 0.000", "at 104": "-0.200 ± 0.000"}


def test_the_command_prints_records_and_draws(tmp_path, capsys):
    table = tmp_path / "crossing.json"
    table.write_text(json.dumps(synthetic.make_table("crossing", rows=80, seed=0)))
    recorded, drawn, text = tmp_path / "r.json", tmp_path / "f.png", tmp_path / "r.md"
    common = f"--curves {table} --seeds 2 --budget 104 --processes 1 --timing-trials 12 --json {recorded}"
    search_efficiency.main([*common.split(), "--methods", "random"])
    outputs = f"--add-to {recorded} --figure {drawn} --markdown {text}"
    search_efficiency.main([*common.split(), *outputs.split(), "--methods", "auto"])
    result = json.loads(recorded.read_text())
    assert {entry["method"] for entry in result["records"]} == {"auto", "random"}
    assert {row["method"] for row in result["timing"]} == {"auto", "random"}
    assert result["checkpoints"] == [10, 26, 52, 104]
    assert drawn.stat().st_size > 5000
    for said in (capsys.readouterr().out, text.read_text()):
        assert "final_regret" in said
    assert str(tmp_path) not in text.read_text() + recorded.read_text()


def test_nothing_to_search_is_an_error():
    with pytest.raises(SystemExit, match="--families"):
        search_efficiency.main([])


@pytest.mark.slow
@pytest.mark.shared_data
@pytest.mark.skipif(
    not (SHARED / "lcbench").exists(), reason="LCBench's surrogate is not beside the repository"
)
def test_the_default_beats_random_on_lcbench():
    tasks = problems.lcbench(SHARED / "lcbench", ["168331"])
    finals = {
        method: [
            simulate(
                task,
                make_engine(method, task, seed=seed, schedule=Schedule()),
                budget_epochs=312,
                workers=8,
            ).regrets[-1]
            for task in tasks
            for seed in range(2)
        ]
        for method in ("auto", "random")
    }
    assert np.mean(finals["auto"]) < np.mean(finals["random"])
    with pytest.raises(ValueError, match="no such tasks"):
        problems.lcbench(SHARED / "lcbench", ["1"])
