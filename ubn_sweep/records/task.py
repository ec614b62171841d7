"""What readers of a sweep's records need to know of its task, written into the journal: nobody imports it to read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ubn_sweep.records.metrics import Metric


@dataclass(frozen=True, kw_only=True)
class TaskRecord:
    """A task as a sweep's record describes it."""

    name: str
    """`module:Class`, as the spec names it."""
    subject: str
    """What is trained on what, for headlines: `resnet8 on digits`."""
    metrics: tuple[Metric, ...]
    """The first is the objective by default, and what an exported config promises."""
    example: str = "example"
    """What one of them is called: `image`."""
    examples: int | None = None
    """How many validation examples there are, as the config tells; what trials counted themselves is better."""
    columns: tuple[str, ...] = ()
    """Keys and sections of the trial config that the table of observations shows, varied or fixed."""
    text_keys: tuple[str, ...] = ()
    """Those of them whose values are words, `none` among them."""
    choices: tuple[str, ...] = ()
    """Keys whose values the report compares one by one."""
    titles: dict[str, str] = field(default_factory=dict)
    """Key -> how people call it; others go by their last part."""

    def metric(self, name: str) -> Metric:
        """A metric by its name; KeyError where the task has none of it."""
        for metric in self.metrics:
            if metric.name == name:
                return metric
        raise KeyError(name)

    def title(self, key: str) -> str:
        """`norm.similarity_momentum` -> `similarity momentum`."""
        return self.titles.get(key, key.rsplit(".", 1)[-1].replace("_", " "))

    def to_plain(self) -> dict[str, Any]:
        """For the journal."""
        return dataclasses.asdict(self)

    @staticmethod
    def from_plain(content: Mapping[str, Any]) -> TaskRecord:
        """The inverse of to_plain, from JSON; fields that this version does not know are passed over."""
        names = {item.name for item in dataclasses.fields(TaskRecord)}
        known = {key: value for key, value in content.items() if key in names}
        lists = {key: tuple(value) for key, value in known.items() if isinstance(value, list)}
        metrics = tuple(Metric(**item) for item in known["metrics"])
        return TaskRecord(**{**known, **lists, "metrics": metrics})
