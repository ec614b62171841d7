"""A second opinion on the model's bands."""

import dataclasses

import numpy as np
import pytest

from tests.support.journals import hill, sweep_events
from ubn_sweep.landscape import recommendation
from ubn_sweep.landscape.read import read_sweep
from ubn_sweep.landscape.views.check import CheckView, check_view
from ubn_sweep.landscape.views.modelled import Modelled
from ubn_sweep.landscape.views.profile import ProfileView
from ubn_sweep.records.observations import observations


@pytest.fixture(scope="module")
def modelled():
    return Modelled(read_sweep(observations(sweep_events(50, truth=hill, stops=(3,), keep=0.5))))


def test_bands_of_a_truth_that_the_model_knows_are_confirmed(modelled):
    found = check_view(modelled)
    assert found.n == len(modelled.sweep.finished)
    assert found.agree
    assert found.model >= 0.8 * found.n
    assert found.within >= 0.8
    assert 0 < found.model_width < 0.3
    view = ProfileView(reason=None, trials=1, finished=1, check=found)
    said = recommendation.check(modelled.sweep, view)
    assert said.startswith(
        f"The bands are confirmed: they hold {found.model} of {found.n} finished trials foretold"
    )


def test_bands_that_are_far_too_narrow_are_not(modelled, monkeypatch):
    """A model that is a hundred times too sure holds hardly any trial that it has not seen."""
    from ubn_sweep.surrogate.last_epoch import LastEpochModel

    def sure(self, codes):
        mean, deviation = self._posterior.mean_and_deviation(self.space.coding.features(codes), self._target)
        self.kernel.log_scales[4:] = np.log(1e-9)
        return mean, 0.01 * deviation

    monkeypatch.setattr(LastEpochModel, "mean_and_deviation", sure)
    sweep = dataclasses.replace(modelled.sweep, validation_examples=None)
    found = check_view(Modelled(sweep))
    assert not found.agree
    assert "The bands are not confirmed" in recommendation.check(
        sweep, ProfileView(reason=None, trials=1, finished=1, check=found)
    )


def test_of_few_finished_trials_there_is_none():
    few = Modelled(read_sweep(observations(sweep_events(20, truth=hill, stops=(3,), keep=0.1))))
    found = check_view(few)
    assert found.reason is not None
    view = ProfileView(reason=None, trials=1, finished=1, check=found)
    assert recommendation.check(few.sweep, view) == f"The bands were not checked: {found.reason}."
    assert recommendation.check(few.sweep, dataclasses.replace(view, check=None)) == ""
    assert CheckView(reason="none").agree is False
