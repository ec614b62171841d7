"""Who is told when a sweep ends, by a real command and a real HTTP server; and that neither can hurt it."""

import json
import threading

import pytest

from tests.support.posts import post_server
from tests.support.processes import alive, wait_until
from tests.tracking.servers import free_port
from ubn_sweep.commands.operations import Running, go_on, start
from ubn_sweep.errors import UserError
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.sweep.running.on_end import check_on_end, tell_end
from ubn_sweep.sweep.spec.loading import load_spec
from ubn_sweep.sweep.spec.spec import OnEndConfig

CONTENT = {"sweep": "small", "state": "finished", "folder": "/sweeps/small"}
HERE = Running(executor="in-process", shown=False)
FEW = {"trials": 2, "sampler": "random"}


@pytest.fixture
def folder(tmp_path):
    return SweepFolder(home=tmp_path / "sweeps", name="small")


def run(spec, folder):
    return start(spec, home=folder.home, running=HERE)


@pytest.mark.slow
def test_a_finished_sweep_is_told_to_both(small_spec, folder, tmp_path, capsys):
    command = f"cat > {tmp_path}/told.json; echo $UBN_SWEEP_SWEEP $UBN_SWEEP_STATE > {tmp_path}/told.txt"
    with post_server() as posts:
        spec = small_spec(search=FEW, on_end={"command": command, "webhook": f"{posts.address}/hook"})
        outcome = run(spec, folder)
    ((path, content),) = posts.taken
    assert path == "/hook"
    assert content == json.loads((tmp_path / "told.json").read_text())
    assert (content["sweep"], content["state"], content["reason"]) == ("small", "finished", "")
    assert content["trials"]["completed"] == outcome.result.counts["completed"]
    assert content["best"]["trial"] == outcome.result.best.number
    assert content["report"] == str(folder.report)
    assert (tmp_path / "told.txt").read_text() == "small finished\n"
    assert "on_end" not in capsys.readouterr().err
    # A resume of a finished sweep ends none.
    go_on(folder, running=HERE)
    assert len(posts.taken) == 1


def test_an_interrupted_one_is_told_and_a_server_that_is_down_is_one_line(
    small_spec, folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("TEST_INTERRUPT_AT", "0 2")
    on_end = {"command": f"cat > {tmp_path}/told.json", "webhook": f"http://127.0.0.1:{free_port()}/secret"}
    spec = small_spec(task="tests.support.trainables:interrupt", search=FEW, on_end=on_end)
    assert not run(spec, folder).result.finished
    assert json.loads((tmp_path / "told.json").read_text())["state"] == "interrupted"
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "on_end" in line]
    assert line.startswith("on_end.webhook: 127.0.0.1 did not take it (")
    assert "secret" not in line


def test_a_failed_one_is_told_why(small_spec, folder, tmp_path):
    on_end = {"command": f"cat > {tmp_path}/told.json"}
    spec = small_spec(
        task="tests.support.trainables:raise_at_once", resources={"failures_in_a_row": 2}, on_end=on_end
    )
    assert run(spec, folder).result.stopped is not None
    told = json.loads((tmp_path / "told.json").read_text())
    assert told["state"] == "failed"
    assert told["reason"].startswith("2 trials failed one after another")


def test_an_error_of_the_sweep_itself_is_told_and_stays_the_one_that_is_raised(
    small_spec, folder, tmp_path, monkeypatch
):
    monkeypatch.setenv("TEST_DRIVER_FILE", str(folder.driver))
    on_end = {"command": f"cat > {tmp_path}/told.json; exit 3"}
    spec = small_spec(task="tests.support.trainables:be_taken_over", early_stopping=None, on_end=on_end)
    with pytest.raises(UserError, match="another machine has taken over"):
        run(spec, folder)
    told = json.loads((tmp_path / "told.json").read_text())
    assert (told["state"], "another machine has taken over" in told["reason"]) == ("failed", True)


def test_a_command_that_fails_is_one_line_with_its_last_words():
    config = OnEndConfig(command="echo first; echo postgresql://me:secret@host is gone >&2; exit 7")
    (line,) = tell_end(config, CONTENT, hurry=False)
    assert line == "on_end.command: ended with code 7: postgresql://me:***@host is gone"


def test_a_command_that_hangs_is_ended_with_all_that_it_started(tmp_path):
    config = OnEndConfig(command=f"sleep 300 & echo $! > {tmp_path}/pid; wait", timeout_s=0.5)
    (line,) = tell_end(config, CONTENT, hurry=False)
    assert line == "on_end.command: has been ended after 0.5 s (on_end.timeout_s)"
    pid = int((tmp_path / "pid").read_text())
    wait_until(lambda: not alive(pid), timeout_s=30)


def test_a_server_that_never_answers_or_refuses_is_one_line():
    with post_server(hang=threading.Event()) as posts:
        config = OnEndConfig(webhook=posts.address, timeout_s=0.5)
        (line,) = tell_end(config, CONTENT, hurry=False)
        assert line.startswith("on_end.webhook: ")
    with post_server(code=500) as posts:
        (line,) = tell_end(OnEndConfig(webhook=f"{posts.address}/T0/secret"), CONTENT, hurry=False)
    assert line == "on_end.webhook: 127.0.0.1 did not take it (500 Internal Server Error)"
    assert posts.taken == [("/T0/secret", CONTENT)]


def test_the_address_comes_from_the_environment(monkeypatch):
    config = OnEndConfig(webhook="${HOOK}/x")
    with pytest.raises(UserError, match=r"on_end.webhook: `\$\{HOOK\}` is not set in the environment"):
        check_on_end(config)
    with post_server() as posts:
        monkeypatch.setenv("HOOK", posts.address)
        check_on_end(config)
        assert tell_end(config, CONTENT, hurry=True) == []
    assert posts.taken == [("/x", CONTENT)]


@pytest.mark.parametrize("wrong", [{"webhook": "ftp://host"}, {"timeout_s": 0}])
def test_what_makes_no_sense_is_refused(write_spec, wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        load_spec(write_spec(on_end=wrong))
