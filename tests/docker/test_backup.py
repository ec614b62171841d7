"""docker/backup and docker/restore with a real PostgreSQL: what MLflow and Optuna held is there again, and the sweeps.

A shell stands for compose here, and runs on this machine what it would in a container.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
import sqlalchemy

from tests.support.processes import REPOSITORY
from tests.tracking.builders import sweep_events, sync_sweep, write_journal
from tests.tracking.reading import check
from tests.tracking.servers import POSTGRES_FOLDERS, PostgresServer
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.tracking.uri import with_driver

pytestmark = [
    pytest.mark.slow,
    pytest.mark.postgres,
    pytest.mark.skipif(not POSTGRES_FOLDERS, reason="PostgreSQL's programs are not in /usr/lib/postgresql"),
]
HERE = """
set -eu
if [ "$1" = restart ]; then echo "restarted $2"; exit; fi
[ "$1 $2" = "exec -T" ]
shift 3  # the service: all are this machine
for argument; do
  shift
  case "$argument" in
    /artifacts | /work) argument="$PLACES$argument" ;;
  esac
  set -- "$@" "$argument"
done
exec "$@"
"""


@pytest.fixture
def server():
    # Outside pytest's folders, which each session of pytest closes to other users, such as the server's.
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        Path(folder).chmod(0o711)
        found = PostgresServer(Path(folder) / "server")
        found.start()
        run(found, "CREATE ROLE mlflow SUPERUSER LOGIN")
        yield found
        found.stop()


def run(server, *statements):
    engine = sqlalchemy.create_engine(with_driver(server.uri), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(sqlalchemy.text(statement))
    engine.dispose()


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_was_kept_is_there_again(server, tmp_path):
    stores = {name: server.new_database(name) for name in ("mlflow", "mlflow_auth", "optuna")}
    events = sweep_events(3)
    sweep = SweepFolder(home=tmp_path / "places" / "work" / "sweeps", name="small")
    write_journal(sweep.path, events)
    sync_sweep(sweep, stores["mlflow"])
    artifacts = tmp_path / "places" / "artifacts"
    artifacts.mkdir()
    (artifacts / "model.pt").write_bytes(b"weights")
    before = contents(tmp_path / "places")
    (tmp_path / "compose").write_text(HERE)
    called = {
        **os.environ,
        "COMPOSE": f"sh {tmp_path}/compose",
        "PLACES": str(tmp_path / "places"),
        "PGHOST": "127.0.0.1",
        "PGPORT": str(server.port),
        "PATH": f"{POSTGRES_FOLDERS[-1]}:{os.environ['PATH']}",
    }

    def call(name, **options):
        command = [str(REPOSITORY / "docker" / name), str(tmp_path / "kept")]
        return subprocess.run(command, env=called, capture_output=True, text=True, check=False, **options)

    kept = call("backup")
    assert kept.returncode == 0, kept.stderr
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o700
    shutil.rmtree(tmp_path / "places")
    for name in stores:
        run(server, f"DROP DATABASE {name} WITH (FORCE)", f"CREATE DATABASE {name}")
    for folder in ("work", "artifacts"):
        (tmp_path / "places" / folder).mkdir(parents=True)
    for _ in range(2):  # over what is there, too
        restored = call("restore")
        assert restored.returncode == 0, restored.stderr
    assert "restarted mlflow" in restored.stdout
    assert contents(tmp_path / "places") == before
    check(stores["mlflow"], events)
    again, _ = sync_sweep(sweep, stores["mlflow"], from_start=True)
    assert again.delivered == len(events)
    check(stores["mlflow"], events)

    with (tmp_path / "kept" / "work.tar").open("ab") as file:  # a backup that somebody or something changed
        file.write(b"x")
    shutil.rmtree(tmp_path / "places" / "work")
    assert call("restore").returncode != 0
    assert not (tmp_path / "places" / "work").exists()
