"""What several files of this folder need."""

import pytest

from ubn_sweep.landscape.views import importance


@pytest.fixture
def few_resamples(monkeypatch):
    """For what looks at reports: what importances are worth is tested elsewhere."""
    monkeypatch.setattr(importance, "SHUFFLES", 20)
    monkeypatch.setattr(importance, "RESAMPLES", 4)
