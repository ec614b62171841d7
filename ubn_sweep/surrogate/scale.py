"""The scale that values are modelled on: linear about the better half, with the far lower tail drawn in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
BEND = -2.0
"""Below it, in units of the scale, logarithmic: diverged trials and losses of 1e6 must not flatten the top."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """z = (value - centre) / unit, below BEND -> BEND - log(1 + (BEND - z)), less `shift`."""

    centre: float
    unit: float
    shift: float

    @classmethod
    def between(cls, best: float, median: float, values: Floats) -> Scale:
        """Linear from the best down to as far below the median again; `shift` gives these values mean 0."""
        centre = median
        # Where all of the space is as good, what varies at all is the scale.
        unit = max((best - median) / -BEND, 0.1 * cls.of(values).unit)
        raw = cls(centre=centre, unit=unit, shift=0.0)
        return cls(centre=centre, unit=unit, shift=float(raw.to(values).mean()))

    @classmethod
    def of(cls, values: Floats) -> Scale:
        """The scale on which these values have mean 0: their median, and the rms distance of the upper half from it."""
        centre = float(np.median(values))
        above = values[values >= centre] - centre
        unit = max(float(np.sqrt(np.mean(above**2))), 1e-12 * max(1.0, abs(centre)))
        raw = cls(centre=centre, unit=unit, shift=0.0)
        return cls(centre=centre, unit=unit, shift=float(raw.to(values).mean()))

    def to(self, values: Floats) -> Floats:
        """Values, in their own unit, on this scale."""
        z = (values - self.centre) / self.unit
        return np.where(z < BEND, BEND - np.log1p(np.maximum(BEND - z, 0)), z) - self.shift

    def back(self, z: Floats) -> Floats:
        """The inverse of `to`."""
        bent = z + self.shift
        straight = np.where(bent < BEND, BEND - np.expm1(np.clip(BEND - bent, 0, 500)), bent)
        return self.centre + self.unit * straight

    def slope(self, values: Floats) -> Floats:
        """Derivative of `to` at the values."""
        z = (values - self.centre) / self.unit
        return 1 / (self.unit * (1 + np.maximum(BEND - z, 0)))
