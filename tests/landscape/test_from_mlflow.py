"""A landscape from an MLflow store alone: the sweep's folder is not needed."""

import json
import shutil

import pytest

from tests.landscape.test_joining import events_of
from tests.support.journals import write_sweep
from tests.support.processes import call_cli
from tests.tracking.builders import sync_sweep
from ubn_sweep.commands.reading import tables_of
from ubn_sweep.errors import UserError
from ubn_sweep.landscape.read import read_sweep
from ubn_sweep.records.observations import observations_of, write_table

pytestmark = pytest.mark.usefixtures("few_resamples")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """An MLflow store with two sweeps, of which nothing else is left; and their tables."""
    home = tmp_path_factory.mktemp("home")
    uri, tables = f"sqlite:///{home / 'mlflow.db'}", {}
    for name, seed in (("a", 1), ("b", 2)):
        folder = write_sweep(home, events_of(name, seed, trials=4, epochs=3))
        tables[name] = write_table(observations_of(folder.path), folder.observations)
        sync_sweep(folder, uri)
        shutil.rmtree(folder.path)
    return home, uri, tables


def test_a_sweep_by_its_name_and_all_by_the_experiment(store, tmp_path):
    home, uri, tables = store
    (found,) = tables_of(["b"], from_mlflow=uri, home=tmp_path)
    assert found.equals(tables["b"])
    both = tables_of(["ubn-sweep"], from_mlflow=uri, home=tmp_path)
    assert {read_sweep(table).name for table in both} == {"a", "b"}
    done = call_cli(["landscape", "ubn-sweep", "--from-mlflow", uri, "--out", "both", "--json"], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["sweep"] == "a + b"
    assert (tmp_path / "both" / "landscape.html").exists()
    assert home != tmp_path


def test_what_is_not_there_is_told(store, tmp_path):
    _, uri, _ = store
    with pytest.raises(UserError, match="holds no sweep by `c`: give a run's id"):
        tables_of(["c"], from_mlflow=uri, home=tmp_path)
    with pytest.raises(UserError, match="cannot be read"):
        tables_of(["a"], from_mlflow="http://127.0.0.1:9", home=tmp_path)
