"""Counts are kept, taken up again, and weigh what a report says."""

import dataclasses
import json

import pytest

from tests.support.journals import sweep_events, write_sweep
from tests.support.processes import call_cli
from ubn_sweep.landscape.analysis import analyse
from ubn_sweep.landscape.claims import KINDS, claims, kind_of
from ubn_sweep.landscape.figures.choices import CHOICES
from ubn_sweep.landscape.null import Null, bounds, is_too_often, null_as_json, null_of, read_null
from ubn_sweep.landscape.prices import price, weighed
from ubn_sweep.landscape.views.levels import BatchNormLevel, Paired
from ubn_sweep.landscape.withholding import sure
from ubn_sweep.landscape.words import summary
from ubn_sweep.nulls import counting
from ubn_sweep.nulls.counting import count
from ubn_sweep.records.observations import observations


def steep(params):
    """The threshold and the gate matter much."""
    return 0.7 if not params["norm.gate"] else 0.9 - 1.5 * (params["norm.threshold"] - 0.2) ** 2


CLAIMED = frozenset({"parameter_matters:norm.threshold", "gate_gain", "threshold_range"})


@pytest.fixture(scope="module")
def hilly():
    """A landscape that claims much."""
    return analyse(observations(sweep_events(60, truth=steep, noise=0.005)))


def null(landscape, *, nothing=(), but=(), equal=()):
    """Of 100 replays a world; each item is a claim and how often it was made."""

    def replays(made):
        return {n: frozenset(claim for claim, times in made if n < times) for n in range(100)}

    worlds = {"nothing": replays(nothing), "but:norm.threshold": replays(but), "equal": replays(equal)}
    return Null(sweep_id=landscape.sweep.sweep_id, trials=len(landscape.sweep.trials), seed=0, worlds=worlds)


def test_the_rule():
    """At 5% or less, ten of 100 or more have a probability of 2.8%; nine, of 6.3%."""
    assert next(times for times in range(20) if is_too_often(times, 100)) == 10
    assert next(times for times in range(20) if is_too_often(times, 20)) == 4
    assert not is_too_often(0, 0)
    assert not is_too_often(1, 1), "its lower bound is 5%, and no more"
    assert bounds(0, 100)[1] == pytest.approx(0.0295, abs=1e-3)
    assert bounds(3, 0) == (0.0, 1.0)


def test_every_claim_of_a_report_has_a_price(hilly):
    assert claims(hilly) >= CLAIMED
    assert {kind_of(claim) for claim in claims(hilly)} <= KINDS.keys()
    said = " ".join(
        summary(
            hilly,
            null(hilly, nothing=[("parameter_matters:norm.momentum", 4)], equal=[("told_from_best", 2)]),
        )
    )
    assert "In 100 such sweeps where nothing mattered, a parameter was said to matter 4 times." in said
    assert "of equally good trainings, a trial was told from the best twice" in said
    assert "a range of thresholds was named not once" in said
    assert (
        "In 100 such sweeps where all but norm.threshold mattered, a range of thresholds was named not once"
        in said
    )
    assert "Withheld" not in said
    assert "ubn-sweep null" not in said


def test_without_counts_the_command_is_named(hilly):
    (last,) = summary(hilly)[-1:]
    assert "has not been counted: `ubn-sweep null made-up` does." in last
    assert "such sweeps where" not in " ".join(summary(hilly))


@pytest.mark.parametrize(
    ("made", "gone", "words"),
    [
        ([("threshold_range", 30)], "threshold_range", "a range of thresholds was named: 30 of 100"),
        ([("gate_gain", 12)], "gate_gain", "the gate was called better or worse: 12 of 100"),
        (
            [("threshold_curve", 12)],
            "threshold_curve",
            "the threshold's curve was told from a constant: 12 of 100",
        ),
        (
            [("parameter_matters:norm.threshold", 11)],
            "parameter_matters:norm.threshold",
            "a parameter was said to matter (norm.threshold): 11 of 100",
        ),
    ],
)
def test_what_is_said_too_often_is_withheld(hilly, made, gone, words):
    found = null(hilly, nothing=made)
    told = weighed(hilly, found)
    assert gone in claims(hilly)
    assert claims(told) == claims(hilly) - {gone}
    said = summary(told, found)
    assert said[-1].startswith("Withheld, since it is said in more than 5% of such sweeps")
    assert words in said[-1]
    assert told.withheld == (gone,)


def test_what_the_model_tells_of_the_threshold_is_withheld_too(hilly):
    """A dependence on the momentum, and pairs with BatchNorm, put in where this sweep has none."""
    key = hilly.by.keys[0]
    by = dataclasses.replace(
        hilly.by, keys=(dataclasses.replace(key, apart=dataclasses.replace(key.apart, is_told=True)),)
    )
    pairs = Paired(pairs=4, layers=1, better=0.02, low=0.01, high=0.03)
    level = BatchNormLevel(n=4, others=9, seeds=1, middle=0.8, low=0.7, high=0.9, paired=pairs)
    profile = dataclasses.replace(hilly.profile, batch_norm=level)
    landscape = dataclasses.replace(hilly, by=by, profile=profile)
    for claim in (f"threshold_by:{key.key}", "layers_paired", "gate_by_model"):
        found = null(landscape, nothing=[(claim, 15)])
        told = weighed(landscape, found)
        assert claim in claims(landscape)
        assert claims(told) == claims(landscape) - {claim}
        assert KINDS[kind_of(claim)].title in summary(told, found)[-1]


def test_a_withheld_comparison_tells_none_from_the_best(hilly):
    assert "told_from_best" in claims(hilly)
    found = null(hilly, equal=[("told_from_best", 40)])
    told = weighed(hilly, found)
    said = " ".join(summary(told, found))
    assert "none of the other" in said
    assert "a trial was told from the best: 40 of 100" in said
    assert all(row.tied for row in told.ranking.trials)


def test_one_parameter_is_withheld_where_it_alone_is_named_too_often(hilly):
    """The others keep their price, from which its count is taken off."""
    found = null(hilly, nothing=[("parameter_matters:norm.gate", 20), ("parameter_matters:norm.affine", 3)])
    both = claims(hilly) | {"parameter_matters:norm.gate"}
    assert found.withheld(both) == ("parameter_matters:norm.gate",)
    assert found.count("parameter_matters", "nothing", aside=["parameter_matters:norm.gate"]) == (3, 100)


def test_a_kind_is_withheld_where_many_small_errors_add_up(hilly):
    keys = ["norm.gate", "norm.momentum", "norm.affine"]
    replays = {n: frozenset([f"parameter_matters:{keys[n % 3]}"] if n < 18 else []) for n in range(100)}
    found = dataclasses.replace(null(hilly), worlds={"nothing": replays})
    assert "parameter_matters:norm.threshold" in found.withheld(claims(hilly))


def test_where_all_but_the_threshold_matter_what_is_said_of_it_is_an_error(hilly):
    found = null(hilly, but=[("threshold_range", 15), ("parameter_matters:norm.momentum", 80)])
    assert found.withheld(claims(hilly)) == ("threshold_range",)


def test_choices_and_condensation_are_withheld_in_their_figures():
    truth = lambda p: 0.9 if p["norm.centering"] else 0.7  # noqa: E731
    landscape = analyse(observations(sweep_events(40, truth=truth)))
    assert "choice:norm.centering" in claims(landscape)
    found = null(landscape, nothing=[("choice:norm.centering", 30)])
    told = weighed(landscape, found)
    finding = CHOICES.finding(told.sweep, CHOICES.numbers(told))
    assert "centering" not in finding
    assert price(landscape, null(landscape), ("choice",)).endswith("a choice was said to stand out not once.")


def test_means_of_groups_are_not_compared_where_the_sampler_made_the_groups(hilly):
    """Only of parameters that matter beside the others; samplers that follow no scores make no such groups."""
    none_named = dataclasses.replace(
        hilly.importance,
        parameters=tuple(dataclasses.replace(row, p_value=1.0) for row in hilly.importance.parameters),
    )
    unnamed = dataclasses.replace(hilly, importance=none_named)
    groups = {claim for claim in claims(unnamed) if kind_of(claim) in ("gate_gain", "choice")}
    assert groups
    assert sure(unnamed) == unnamed
    trials = tuple(dataclasses.replace(trial, origin="auto") for trial in hilly.sweep.trials)
    adaptive = dataclasses.replace(unnamed, sweep=dataclasses.replace(hilly.sweep, trials=trials))
    assert claims(sure(adaptive)) == claims(unnamed) - groups
    assert sure(adaptive).unsure == tuple(sorted(groups))
    named = dataclasses.replace(hilly, sweep=adaptive.sweep)
    assert "gate_gain" in claims(sure(named))
    assert "Withheld" not in " ".join(summary(weighed(adaptive, null(hilly)), null(hilly)))


def test_a_null_of_another_sweep_is_none(hilly, tmp_path):
    path, found = tmp_path / "null.json", null(hilly, nothing=[("gate_gain", 3)])
    assert null_of(path, hilly.sweep) is None
    path.write_text(null_as_json(found))
    assert null_of(path, hilly.sweep) == found
    more = dataclasses.replace(hilly.sweep, trials=hilly.sweep.trials[:-1])
    assert null_of(path, more) is None
    for damaged in ("", "{}", "[]", '{"format": 99}', null_as_json(found)[:-40]):
        path.write_text(damaged)
        assert read_null(path) is None


@pytest.fixture
def counted_quickly(monkeypatch):
    """What replays claim is tested elsewhere."""
    made = []

    def claims_in(self, world, index):
        made.append((world, index))
        return frozenset(["gate_gain"]) if index == 1 else frozenset()

    monkeypatch.setattr(counting.Replays, "claims", claims_in)
    return made


def test_a_count_goes_on_where_it_was_interrupted(tmp_path, counted_quickly):
    folder = write_sweep(tmp_path, sweep_events(20))
    count(folder, sweeps=2, without=["norm.threshold"], seed=5)
    assert counted_quickly == [(w, n) for n in range(2) for w in ("nothing", "equal", "but:norm.threshold")]
    counted_quickly.clear()
    told = []
    found = count(folder, sweeps=3, without=["norm.threshold"], seed=5, tell=told.append)
    assert counted_quickly == [(world, 2) for world in ("nothing", "equal", "but:norm.threshold")]
    assert found == read_null(folder.null)
    assert found.count("gate_gain", "nothing") == (1, 3)
    assert (told[-1].done, told[-1].of, told[0].left_s) == (3, 3, None)
    assert told[-1].left_s == pytest.approx(0.0)
    count(folder, sweeps=1, without=[], seed=6)
    assert read_null(folder.null).count("gate_gain", "nothing") == (0, 1), "another seed begins anew"


@pytest.mark.slow
def test_the_command(tmp_path):
    """Whole: one replay each, by the command, which shows them at once the second time."""
    folder = write_sweep(tmp_path, sweep_events(24))
    command = ["null", "made-up", "--home", tmp_path, "--sweeps", "1", "--processes", "1"]
    done = call_cli([*command, "--json"], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout.splitlines()[-1])
    rows = {(row["claim"], row["world"]): row for row in content["claims"]}
    assert rows["gate_gain", "nothing"]["replays"] == 1
    assert ("threshold_range", "but:norm.threshold") in rows
    assert ("condensation", "but:norm.threshold") not in rows
    assert read_null(folder.null).versions["numpy"]
    shown = call_cli(command, cwd=tmp_path)
    assert "the gate was called better or worse" in shown.stderr
    assert "0% to 95%" in shown.stderr


@pytest.mark.slow
def test_several_processes_count_the_same(tmp_path):
    folders = [write_sweep(tmp_path / str(n), sweep_events(24)) for n in (1, 2)]
    alone, together = (
        count(folder, sweeps=2, without=[], processes=n) for n, folder in enumerate(folders, start=1)
    )
    assert alone == together
