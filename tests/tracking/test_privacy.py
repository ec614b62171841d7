import os

import pytest

from ubn_sweep.privacy import OPT_OUTS, opt_out_of_usage_reports


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    for name in OPT_OUTS:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.delenv("UBN_SWEEP_USAGE_REPORTS", raising=False)


def test_reports_are_off():
    opt_out_of_usage_reports()
    from mlflow.telemetry.utils import is_telemetry_disabled
    from ray._common.usage.usage_lib import _usage_stats_enabledness

    assert is_telemetry_disabled()
    assert _usage_stats_enabledness().name == "DISABLED_EXPLICITLY"


def test_reports_are_the_libraries_own_affair_where_asked_for(monkeypatch):
    monkeypatch.setenv("UBN_SWEEP_USAGE_REPORTS", "1")
    opt_out_of_usage_reports()
    assert not set(OPT_OUTS) & set(os.environ)
