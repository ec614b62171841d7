import json
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from tests.support.processes import descendants, kill_all, wait_until
from tests.tracking.builders import sweep_events, sync_sweep, write_journal
from tests.tracking.servers import free_port
from ubn_sweep.errors import UserError
from ubn_sweep.tracking.mlflow.client import connect
from ubn_sweep.tracking.mlflow.ui import serve_ui
from ubn_sweep.tracking.mlflow.view import SweepPage

ROOT = Path(__file__).parents[2]
SERVE = """
import sys
from ubn_sweep.tracking.mlflow.ui import serve_ui
from ubn_sweep.tracking.mlflow.view import SweepPage
page = SweepPage(sweep="small", objective="val_top1", maximized=True, keys=("norm.gate", "norm.threshold"))
serve_ui(sys.argv[1], port=int(sys.argv[2]), page=page)
"""


@pytest.mark.slow
def test_it_shows_the_sweep_on_localhost_and_ends_when_interrupted(folder):
    write_journal(folder.path, sweep_events(3))
    sync_sweep(folder)
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, folder.default_tracking_uri, str(port)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        said = process.stderr.readline()
        page = said.removeprefix("MLflow: ").strip()
        assert page.startswith(
            f"http://127.0.0.1:{port}/#/experiments/1/runs?workflowType=machine_learning&viewStateShareKey="
        )
        wait_until(lambda: answers(port), timeout_s=60)
        tags = connect(folder.default_tracking_uri).get_experiment("1").tags
        assert tags["mlflow.experimentKind"] == "custom_model_development"
        state = json.loads(tags["mlflow.sharedViewState." + page.split("viewStateShareKey=")[1]])
        assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`val_top1`", False)
        assert state["selectedColumns"][0] == "metrics.`val_top1`"
        assert state["selectedColumns"][-2:] == ["params.`norm.gate`", "params.`norm.threshold`"]
        assert [chart["metricKey"] for chart in state["compareRunCharts"]] == ["val_top1"]
        text = state["searchFilter"]
        body = json.dumps({"experiment_ids": ["1"], "filter": text}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/2.0/mlflow/runs/search",
            data=body,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as reply:
            assert len(json.load(reply)["runs"]) == 3
        assert listening_elsewhere([process.pid, *descendants(process.pid)]) == []
        assert len(descendants(process.pid)) <= 3
        process.terminate()
        process.communicate(timeout=30)
    finally:
        kill_all(process)
    assert not answers(port)


def answers(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as reply:
            return reply.status == 200
    except OSError:
        time.sleep(0.1)
        return False


def listening_elsewhere(pids):
    """Addresses other than the loopback one that these processes listen on."""
    sockets = set()
    for pid in pids:
        for item in Path(f"/proc/{pid}/fd").iterdir():
            try:
                sockets.add(str(item.readlink()))
            except OSError:
                continue
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            listens = fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets
            if listens and not fields[1].startswith("0100007F:"):
                found.append(fields[1])
    return found


def test_a_port_that_is_taken(folder):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=rf"--port: {port} .* choose another"):
            serve_ui(folder.default_tracking_uri, port=port)


def test_a_server_that_runs_elsewhere_is_only_named():
    lines = []
    page = SweepPage(sweep="small", objective="val_top1", maximized=True, keys=())
    serve_ui("http://user:secret@127.0.0.1:1", page=page, say=lines.append)
    assert lines[0].endswith("http://user:***@127.0.0.1:1")
    assert lines[1:] == [f"filter:  {page.filter}"]
    assert "tags.`ubn_sweep.sweep` = 'small'" in page.filter


def test_a_view_of_many_keys_fits_into_a_tag():
    page = SweepPage(
        sweep="small",
        objective="val_loss",
        maximized=False,
        keys=tuple(f"section.key_{n}" for n in range(400)),
    )
    state = page.state()
    assert 2000 < len(json.dumps(state)) <= 5000
    assert state["selectedColumns"][2] == "params.`section.key_0`"
    facets = dict(urllib.parse.parse_qsl(page.address()))
    assert facets == {"searchFilter": page.filter, "orderByKey": "metrics.`val_loss`", "orderByAsc": "true"}


def test_what_keeps_no_runs_is_refused():
    with pytest.raises(UserError, match="plain files"):
        serve_ui("mlruns")
