"""What several files of this folder need."""

import pytest

from ubn_sweep.landscape.views import check, importance, pairs
from ubn_sweep.surrogate import effects, grouped, last_epoch, profile


@pytest.fixture
def few_resamples(monkeypatch):
    """For what looks at reports: what importances and profiles are worth is tested elsewhere."""
    monkeypatch.setattr(importance, "SHUFFLES", 20)
    for name, count in {
        "MOST_FITTED": 40,
        "MOST_FIRST": 30,
        "INDUCING_ROWS": 40,
        "INDUCING_POINTS": 32,
    }.items():
        monkeypatch.setattr(last_epoch, name, count)
    for name, count in {"DRAWS": 40, "OTHERS": 16, "CANDIDATES": 8}.items():
        monkeypatch.setattr(profile, name, count)
        monkeypatch.setattr(grouped, name, count)
    monkeypatch.setattr(effects, "POINTS", 4)
    monkeypatch.setattr(check, "TREES", 20)
    monkeypatch.setattr(pairs, "POINTS", 4)
