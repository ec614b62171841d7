import shutil

import pytest

from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.tracking.mlflow.client import connect


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """A SQLite store that is set up and empty: MLflow takes a second and more to make one."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    connect(f"sqlite:///{path}").search_experiments(max_results=1)
    return path


@pytest.fixture
def folder(tmp_path, empty_store):
    """A sweep's folder, with a store beside it."""
    found = SweepFolder(home=tmp_path / "home", name="small")
    found.path.mkdir(parents=True)
    shutil.copy(empty_store, found.home / "mlflow.db")
    found.spec.write_text("name: small\n")
    return found
