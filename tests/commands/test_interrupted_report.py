"""Ctrl-C behind the last trial: the sweep is over, and its report can be had later."""

import os
import signal
import time

import pytest
import yaml

from tests.sweep.conftest import SPEC
from ubn_sweep.commands import operations
from ubn_sweep.commands.looking import facts_of
from ubn_sweep.commands.operations import Running, start
from ubn_sweep.errors import InterruptedSweepError
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.sweep.spec.loading import load_spec


def test_it_says_that_the_sweep_is_over_and_how_to_map_it(tmp_path, monkeypatch):
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump({**SPEC, "search": {"trials": 2, "sampler": "random"}}))

    def interrupted(result, folder):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)

    monkeypatch.setattr(operations, "outcome_of", interrupted)
    with pytest.raises(InterruptedSweepError, match=r"over: `ubn-sweep landscape .*small` maps it") as caught:
        start(load_spec(path), home=tmp_path, running=Running(executor="in-process", shown=False))
    assert caught.value.code == 130
    assert facts_of(SweepFolder(home=tmp_path, name="small"))["state"] == "finished"
