"""What MLflow is told, as plain names and values: tags, parameters, and how a trial's end is called there."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

from ubn_sweep.dotted import flatten
from ubn_sweep.masking import masked
from ubn_sweep.records.events import SweepStarted, TrialCreated, TrialEnded
from ubn_sweep.texts import as_recorded

TAG_SWEEP = "ubn_sweep.sweep"
TAG_SWEEP_ID = "ubn_sweep.sweep_id"
TAG_KIND = "ubn_sweep.kind"
"""sweep, trial, final, or what the final trainings of several seeds have in common."""
OF_SEEDS = "final_seeds"
TAG_PARENT = "mlflow.parentRunId"
TAG_TRIAL = "ubn_sweep.trial"
TAG_STATUS = "ubn_sweep.status"
TAG_ORIGIN = "ubn_sweep.origin"
TAG_REASON = "ubn_sweep.reason"
TAG_LAST_EPOCH = "ubn_sweep.last_epoch"
TAG_ATTEMPTS = "ubn_sweep.attempts"
TAG_VERDICT = "ubn_sweep.verdict"
TAG_FINAL_ID = "ubn_sweep.final_id"

RUN_STATUS = {
    "completed": "FINISHED",
    "stopped": "KILLED",
    "interrupted": "KILLED",
    "failed": "FAILED",
    "diverged": "FAILED",
}
"""MLflow has no word for early stopping: KILLED keeps it apart from full budget, and the tag says it."""

KEY_LENGTH = 250
PARAM_LENGTH = 2000
TAG_LENGTH = 5000
NOT_IN_A_KEY = re.compile(r"[^/\w.\- :]")
NO_PARAMS = ("provenance",)


@functools.lru_cache(maxsize=10_000)
def key(name: str) -> str:
    """A name as MLflow takes it: without rare characters, and not like a path that leads elsewhere."""
    clean = NOT_IN_A_KEY.sub("_", name)
    parts = [part for part in clean.split("/") if part not in ("", ".", "..")]
    return "/".join(parts)[:KEY_LENGTH].rstrip("/") or "_"


def params(content: Mapping[str, Any]) -> dict[str, str]:
    """Nested values under dotted keys, as text that is written alike in all runs: none, true, 0.1, [1, 2].

    Without passwords.
    """
    flat = flatten({name: value for name, value in content.items() if name not in NO_PARAMS})
    return {key(name): masked(as_recorded(value))[:PARAM_LENGTH] for name, value in flat.items()}


def sweep_tags(started: SweepStarted) -> dict[str, str]:
    """What all runs of a sweep carry: which sweep, which code, which versions."""
    return {
        TAG_SWEEP: started.name,
        TAG_SWEEP_ID: started.sweep_id,
        **environment_tags(started.environment),
    }


def environment_tags(environment: Mapping[str, Any]) -> dict[str, str]:
    """Code and versions. MLflow's own tag has the commit without the `-dirty` of ours."""
    revision = environment.get("git_revision")
    tags = {
        "mlflow.source.name": "ubn-sweep",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": revision.removesuffix("-dirty") if revision is not None else None,
        "ubn_sweep.git_revision": revision,
        "ubn_sweep.version": environment.get("ubn_sweep"),
        "ubn_sweep.python": environment.get("python"),
        **{f"ubn_sweep.version.{name}": text for name, text in environment.get("versions", {}).items()},
    }
    return texts(tags)


def parent_tags(started: SweepStarted) -> dict[str, str]:
    tags = {
        TAG_KIND: "sweep",
        "ubn_sweep.search_seed": started.spec.get("search", {}).get("seed"),
        "ubn_sweep.confirms": (started.spec.get("race") or {}).get("of"),
        "mlflow.note.content": started.spec.get("description") or None,
    }
    return sweep_tags(started) | texts(tags)


def trial_tags(started: SweepStarted, created: TrialCreated, parent_run: str) -> dict[str, str]:
    tags = {
        TAG_KIND: "trial",
        TAG_TRIAL: created.trial,
        TAG_STATUS: "running",
        TAG_ORIGIN: created.origin,
        "ubn_sweep.seed": created.config.get("seed"),
        "ubn_sweep.repeats": created.config.get("repeats"),
        "mlflow.parentRunId": parent_run,
    }
    return sweep_tags(started) | texts(tags)


def end_tags(ended: TrialEnded) -> dict[str, str]:
    tags = {TAG_STATUS: ended.status, TAG_LAST_EPOCH: str(ended.epoch)}
    return tags | ({TAG_REASON: ended.reason[:TAG_LENGTH]} if ended.reason else {})


def final_tags(config: Mapping[str, Any], environment: Mapping[str, Any]) -> dict[str, str]:
    """Which sweep and trial the config came from, which code and versions trained it."""
    origin = config.get("provenance") or {}
    tags = {
        TAG_KIND: "final",
        TAG_SWEEP: origin.get("sweep"),
        TAG_SWEEP_ID: origin.get("sweep_id"),
        TAG_TRIAL: origin.get("trial"),
        "ubn_sweep.trial_run_id": origin.get("run_id"),
        "ubn_sweep.sweep_git_revision": origin.get("git_revision"),
        "ubn_sweep.seed": config.get("seed"),
    }
    return texts(tags) | environment_tags(environment)


def verdict_text(verdict: Mapping[str, Any]) -> str:
    """Whether a final training kept its promise, in the words of the command."""
    return str(verdict.get("sentence", ""))[:TAG_LENGTH]


def run_name(sweep: str, trial: int) -> str:
    return f"{sweep}-{trial:04d}"


def milliseconds(time_s: float) -> int:
    return round(time_s * 1000)


def ui_filter(sweep: str) -> str:
    """What to type into MLflow's search field to see a sweep's trials, and only them."""
    return f"tags.`{TAG_SWEEP}` = {quoted(sweep)} AND tags.`{TAG_KIND}` = 'trial'"


def id_filter(sweep_id: str, trial: int | None = None) -> str:
    """The runs of one sweep, whatever others share its name; those of one trial where it is given."""
    text = f"tags.`{TAG_SWEEP_ID}` = {quoted(sweep_id)}"
    return text if trial is None else f"{text} AND tags.`{TAG_TRIAL}` = '{trial}'"


def quoted(text: str) -> str:
    return f'"{text}"' if "'" in text else f"'{text}'"


def texts(tags: Mapping[str, Any]) -> dict[str, str]:
    """Tags as MLflow takes them, without those that are null."""
    return {
        name: masked(as_recorded(value))[:TAG_LENGTH] for name, value in tags.items() if value is not None
    }
