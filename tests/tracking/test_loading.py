"""Which thread imports what: a store's packages are all there before a thread of its own begins."""

import json
import subprocess
import sys

import pytest

from tests.support.processes import REPOSITORY
from tests.tracking.builders import sweep_events, write_journal
from ubn_sweep.records.folder import SweepFolder

FOLLOW = """
import json, sys, threading
from pathlib import Path

elsewhere = []

class Watch:
    def find_spec(self, name, path=None, target=None):
        if path is None and threading.current_thread() is not threading.main_thread():
            elsewhere.append(name)

sys.meta_path.insert(0, Watch())

from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.tracking.delivery.follower import Followers
from ubn_sweep.tracking.mlflow.sweep_sink import SweepSink
from ubn_sweep.tracking.optuna.mirror import StudyMirror
from ubn_sweep.tracking.tensorboard import TensorBoardSink

folder = SweepFolder(home=Path(sys.argv[1]), name="small")
sinks = [
    SweepSink(folder, folder.default_tracking_uri),
    StudyMirror(folder, folder.default_study_storage, lambda params: ({}, {})),
    TensorBoardSink(folder, folder.home / "boards"),
]
followers = Followers(folder, sinks)
followers.start()
followers.finish()
found = [name for name in elsewhere if name in sys.modules and name not in sys.stdlib_module_names]
print(json.dumps({"undelivered": followers.undelivered, "packages": found}))
"""


@pytest.mark.slow
def test_no_package_is_first_imported_by_a_followers_thread(tmp_path):
    """Where the training's thread imports at the same time, one of the two may see half a package for good."""
    folder = SweepFolder(home=tmp_path, name="small")
    folder.path.mkdir()
    write_journal(folder.path, sweep_events(3))
    arguments = [sys.executable, "-c", FOLLOW, str(tmp_path)]
    done = subprocess.run(arguments, capture_output=True, text=True, cwd=REPOSITORY, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"undelivered": {}, "packages": []}
