"""What a layer's gate is watched by: the two measures that every network with such layers reports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class GateMeasure:
    """Reported as a mean over the layers under its name, and layer by layer under `name/layer`."""

    name: str
    title: str
    more: str
    """A higher value in words, as a sentence begins or goes on with it."""
    is_share: bool
    """Whether it lies between 0 and 1."""


MEASURES = (
    GateMeasure(
        name="similarity", title="running similarity", more="a higher running similarity", is_share=False
    ),
    GateMeasure(
        name="gate_open",
        title="share of batches with an open gate",
        more="a larger share of open gates",
        is_share=True,
    ),
)


def measure_named(name: str) -> GateMeasure:
    """By its name; KeyError where there is none."""
    return {measure.name: measure for measure in MEASURES}[name]
