"""How MLflow's page of a sweep opens: its trials, best first, with the objective's and the swept keys' columns.

MLflow keeps what its Share button shares as a tag of the experiment, `mlflow.sharedViewState.KEY`, whose value is the
page's state as JSON; an address names it by `viewStateShareKey=KEY` (MLflow 2.3 and later).
"""

from __future__ import annotations

import hashlib
import json
import urllib.parse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ubn_sweep.tracking.mlflow.client import was_refused
from ubn_sweep.tracking.mlflow.entries import TAG_STATUS, key, ui_filter

if TYPE_CHECKING:
    from mlflow import MlflowClient

TAG_VIEW = "mlflow.sharedViewState."
OF_MODEL = "Model metrics"
"""MLflow's own name of the charts whose metric has no `/` in its name; the others have a section for each prefix."""
MOST_CHARACTERS = 4900
"""Of a tag's value, in MLflow's own stores."""


@dataclass(frozen=True, kw_only=True)
class SweepPage:
    """What the page of a sweep's trials shows."""

    sweep: str
    objective: str
    """The metric by which trials are ordered."""
    maximized: bool
    second: str | None = None
    """The other metric that trials are judged by, if there is one."""
    keys: tuple[str, ...]
    """Of the trial config, those that vary: columns, as far as they fit."""

    @property
    def filter(self) -> str:
        return ui_filter(self.sweep)

    def order(self) -> dict[str, Any]:
        """Ordered by a metric, MLflow shows trials as a list; else they hide under their sweep's run."""
        return {"orderByKey": f"metrics.`{key(self.objective)}`", "orderByAsc": not self.maximized}

    def state(self) -> dict[str, Any]:
        """The page's state in MLflow's words."""
        columns = [
            *(f"metrics.`{key(name)}`" for name in self._objectives()),
            f"tags.`{TAG_STATUS}`",
            *(f"params.`{key(name)}`" for name in self.keys),
        ]
        while len(json.dumps(self._state(columns))) > MOST_CHARACTERS:
            columns.pop()
        return self._state(columns)

    def address(self) -> str:
        """Filter and order as a part of the page's address, for a store that takes no tags."""
        facets = {"searchFilter": self.filter, **self.order()}
        return urllib.parse.urlencode(
            {
                name: str(value).lower() if isinstance(value, bool) else value
                for name, value in facets.items()
            },
            quote_via=urllib.parse.quote,
        )

    def _state(self, columns: list[str]) -> dict[str, Any]:
        return {"searchFilter": self.filter, **self.order(), "selectedColumns": columns, **self._charts()}

    def _objectives(self) -> tuple[str, ...]:
        return (self.objective,) if self.second is None else (self.objective, self.second)

    def _charts(self) -> dict[str, Any]:
        """The objectives' charts come first, single layers' last. MLflow adds the charts of all other metrics."""
        section = {
            "uuid": OF_MODEL,
            "name": OF_MODEL,
            "display": True,
            "isReordered": True,
            "deleted": False,
            "isGenerated": True,
        }
        charts = [
            _line_chart("objective" if metric == self.objective else "second", metric)
            for metric in self._objectives()
        ]
        return {"compareRunSections": [section], "compareRunCharts": charts, "isAccordionReordered": True}


def _line_chart(uuid: str, metric: str) -> dict[str, Any]:
    return {
        "uuid": uuid,
        "type": "LINE",
        "metricSectionId": OF_MODEL,
        "metricKey": key(metric),
        "selectedMetricKeys": [key(metric)],
        "runsCountToCompare": 10,
        "deleted": False,
        "isGenerated": True,
        "useGlobalXaxisKey": True,
        "useGlobalLineSmoothing": True,
        "xAxisKey": "step",
        "xAxisScaleType": "linear",
        "scaleType": "linear",
        "lineSmoothness": 0,
        "selectedXAxisMetricKey": "",
    }


def share(client: MlflowClient, experiment: str, page: SweepPage) -> str:
    """The query of the page's address; the state that it names is put on the experiment.

    Raises:
        Exception: the store is out of reach.
    """
    text = json.dumps(page.state())
    name = hashlib.sha256(text.encode()).hexdigest()
    try:
        client.set_experiment_tag(experiment, f"{TAG_VIEW}{name}", text)
    except Exception as error:
        if not was_refused(error):
            raise
        return page.address()
    return f"viewStateShareKey={name}"
