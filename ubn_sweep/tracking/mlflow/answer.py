"""What a sweep found, as the description of its own run: the report's sentences, the best configs, where to read on."""

from __future__ import annotations

import json
from typing import Any

from ubn_sweep.masking import masked
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.metrics import Metric
from ubn_sweep.texts import as_shown
from ubn_sweep.tracking.mlflow.entries import TAG_LENGTH

BEST = 3


def answer_of(folder: SweepFolder) -> str | None:
    """Markdown, from the report's numbers; None where the sweep has no report yet, or one of another version."""
    try:
        report = json.loads(folder.numbers.read_text(encoding="utf-8"))
        parts = [
            report["sweep"]["description"],
            "\n".join(f"- {sentence}" for sentence in report["summary"]),
            _best(report),
            f"The report is among this run's artifacts, `{folder.report.name}`, and lies in "
            f"`{folder.home.name}/{folder.name}` where the sweep was run.",
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return masked("\n\n".join(part for part in parts if part))[:TAG_LENGTH]


def _best(report: dict[str, Any]) -> str:
    ranked = report["ranking"]["trials"][:BEST]
    if not ranked:
        return ""
    metric = Metric(**report["sweep"]["metric"])
    keys = [key for key in report["sweep"]["space"] if any(key in row["trial"]["params"] for row in ranked)]
    lines = [_row(["trial", metric.name, *keys]), _row(["---"] * (2 + len(keys)))]
    for row in ranked:
        trial = row["trial"]
        score = trial["curve"][max(trial["curve"], key=int)]
        settings = [as_shown(trial["params"][key]) if key in trial["params"] else "·" for key in keys]
        lines.append(_row([str(trial["number"]), metric.text(score), *settings]))
    return "\n".join(lines)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
