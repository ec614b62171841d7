"""The final training in MLflow: one run, which outlives interruptions of the training and of the store."""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ubn_sweep.tracking.delivery.follower import describe
from ubn_sweep.tracking.mlflow import entries
from ubn_sweep.tracking.mlflow.client import (
    DEFAULT_EXPERIMENT,
    connect,
    experiment_id,
    find_runs,
    was_refused,
)
from ubn_sweep.tracking.mlflow.entries import milliseconds
from ubn_sweep.tracking.mlflow.runs import fullest

if TYPE_CHECKING:
    from mlflow import MlflowClient

RECORDS_FILE = "tracking.jsonl"
TAG_FINAL_ID = "ubn_sweep.final_id"
FinalStatus = Literal["completed", "interrupted", "failed", "diverged"]
RUN_STATUS = {"completed": "FINISHED", "interrupted": "KILLED", "failed": "FAILED", "diverged": "FAILED"}
FIRST_RETRY_S, LONGEST_RETRY_S = 5.0, 120.0
LAST_ATTEMPTS = 3

_logger = logging.getLogger(__name__)


class FinalRun:
    """Records a final training, first in a file in its folder, then in MLflow.

    A store that does not answer costs the training a few seconds, ever more seldom, and a warning. What it lacks
    is delivered by the next call that finds it, at the latest when the same training is started again; the same
    folder means the same run.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        config: Mapping[str, Any],
        tracking_uri: str,
        experiment: str = DEFAULT_EXPERIMENT,
        artifact_root: Path | None = None,
        environment: Mapping[str, Any] | None = None,
    ) -> None:
        """`config` is the trial config as plain mappings, its provenance included; `environment` as in SweepStarted.

        `artifact_root` is for a local store whose experiment does not exist yet.
        """
        self.run_id: str | None = None
        """None until the store has answered."""
        self.last_error: str | None = None
        self._uri = tracking_uri
        self._experiment = experiment
        self._artifact_root = artifact_root
        self._client: MlflowClient | None = None
        self._retry_s = FIRST_RETRY_S
        self._next_attempt_s = 0.0
        self._records = _Records(folder / RECORDS_FILE)
        self._sent = 0
        self._artifacts_left: list[dict[str, Any]] = []
        self._config = config
        if not self._records.lines:
            begin = {
                "final_id": uuid.uuid4().hex,
                "name": name,
                "tags": final_tags(config, environment or {}),
            }
            self._records.add("begin", begin)
        else:
            self._records.add("again", {})
        self._try()

    def epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """An epoch's metrics. One that an interrupted training had recorded already is not recorded again."""
        if epoch not in self._records.epochs:
            self._records.add("metrics", {"step": epoch, "metrics": _as_json(metrics)})
            self._try()

    def result(self, test: Mapping[str, float], *, step: int = 0) -> None:
        """The test set's metrics, with what the sweep had promised and the difference where there was a promise."""
        found = dict(test)
        promised = (self._config.get("provenance") or {}).get("promised_val_top1")
        if promised is not None:
            found["promised_val_top1"] = promised
            if "test_top1" in found:
                found["test_minus_promised"] = found["test_top1"] - promised
        self._records.add("result", {"step": step, "metrics": _as_json(found)})
        self._try()

    def artifacts(self, paths: Iterable[Path]) -> None:
        """Files and folders for the run."""
        self._records.add("artifacts", {"paths": [str(Path(path).absolute()) for path in paths]})
        self._try()

    def end(self, status: FinalStatus = "completed") -> bool:
        """Ends the run; whether everything has arrived."""
        self._records.add("end", {"status": status})
        for attempt in range(LAST_ATTEMPTS):
            time.sleep(min(attempt, 1))
            if self._try(at_once=True):
                return True
        return False

    # ---------------------------------------------------------------- inside

    def _try(self, *, at_once: bool = False) -> bool:
        """Delivers what is not there yet; whether all is. After a failure it waits, longer each time."""
        if not at_once and time.monotonic() < self._next_attempt_s:
            return False
        try:
            self._deliver()
        except Exception as error:  # whatever a store's client raises, the training goes on
            if self.last_error is None:
                _logger.warning(
                    "MLflow does not take the final run yet, it is tried again: %s", describe(error)
                )
            self.last_error = describe(error)
            self._client = None
            self._next_attempt_s = time.monotonic() + self._retry_s
            self._retry_s = min(self._retry_s * 2, LONGEST_RETRY_S)
            return False
        self.last_error, self._retry_s = None, FIRST_RETRY_S
        return True

    def _deliver(self) -> None:
        if self._client is None:
            client = connect(self._uri)
            self.run_id = self._find_or_create(client)
            _log_params(client, self.run_id, entries.params(self._config))
            self._client = client
        while self._sent < len(self._records.lines):
            self._send(self._records.lines[self._sent])
            self._sent += 1
        while self._artifacts_left:
            _send(self._client, str(self.run_id), self._artifacts_left[0])
            self._artifacts_left.pop(0)

    def _send(self, record: dict[str, Any]) -> None:
        """Artifacts may live elsewhere than runs, so they come last and hold up nothing."""
        assert self._client is not None
        if record["kind"] == "artifacts":
            self._artifacts_left.append(record)
            return
        try:
            _send(self._client, str(self.run_id), record)
        except Exception as error:
            if not was_refused(error):
                raise
            _logger.warning("MLflow refused a record of the final run: %s", describe(error))

    def _find_or_create(self, client: MlflowClient) -> str:
        begin = self._records.lines[0]
        experiment = experiment_id(client, self._experiment, self._artifact_root)
        tag = f"tags.`{TAG_FINAL_ID}` = '{begin['final_id']}'"
        found = find_runs(client, experiment, tag)
        if found:
            return str(fullest(found).info.run_id)
        tags = begin["tags"] | {TAG_FINAL_ID: begin["final_id"]}
        start_ms = milliseconds(begin["time_s"])
        run = client.create_run(experiment, start_time=start_ms, tags=tags, run_name=begin["name"])
        return str(run.info.run_id)


def final_tags(config: Mapping[str, Any], environment: Mapping[str, Any]) -> dict[str, str]:
    """Which sweep and trial the config came from, which code and versions trained it."""
    origin = config.get("provenance") or {}
    tags = {
        entries.TAG_KIND: "final",
        entries.TAG_SWEEP: origin.get("sweep"),
        entries.TAG_SWEEP_ID: origin.get("sweep_id"),
        entries.TAG_TRIAL: origin.get("trial"),
        "ubn_sweep.trial_run_id": origin.get("run_id"),
        "ubn_sweep.sweep_git_revision": origin.get("git_revision"),
        "ubn_sweep.seed": config.get("seed"),
    }
    return entries.texts(tags) | entries.environment_tags(environment)


class _Records:
    """A file of JSON objects, one a line, as far as whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.lines: list[dict[str, Any]] = []
        path.parent.mkdir(parents=True, exist_ok=True)
        for line in path.read_text().splitlines() if path.exists() else ():
            try:
                self.lines.append(json.loads(line))
            except ValueError:
                break
        self.epochs = {line["step"] for line in self.lines if line["kind"] == "metrics"}
        path.write_text("".join(f"{json.dumps(line)}\n" for line in self.lines))

    def add(self, kind: str, content: dict[str, Any]) -> None:
        line = {"kind": kind, "time_s": time.time(), **content}
        self.lines.append(line)
        if kind == "metrics":
            self.epochs.add(content["step"])
        with self._path.open("a") as file:
            file.write(f"{json.dumps(line)}\n")


def _send(client: MlflowClient, run_id: str, record: dict[str, Any]) -> None:
    from mlflow.entities import Metric

    kind, now_ms = record["kind"], milliseconds(record["time_s"])
    if kind == "again":
        client.update_run(run_id, status="RUNNING")
    elif kind in ("metrics", "result"):
        values = {entries.key(name): float(value) for name, value in record["metrics"].items()}
        metrics = [Metric(name, value, now_ms, record["step"]) for name, value in values.items()]
        client.log_batch(run_id, metrics=metrics)
    elif kind == "artifacts":
        for path in map(Path, record["paths"]):
            if path.is_dir():
                client.log_artifacts(run_id, str(path), artifact_path=path.name)
            elif path.exists():
                client.log_artifact(run_id, str(path))
    elif kind == "end":
        client.set_tag(run_id, entries.TAG_STATUS, record["status"])
        client.set_terminated(run_id, status=RUN_STATUS[record["status"]], end_time=now_ms)


def _log_params(client: MlflowClient, run_id: str, params: Mapping[str, str]) -> None:
    from mlflow.entities import Param

    client.log_batch(run_id, params=[Param(name, value) for name, value in params.items()])


def _as_json(metrics: Mapping[str, float]) -> dict[str, str]:
    """JSON has no NaN: numbers travel as text."""
    return {name: repr(float(value)) for name, value in metrics.items()}
