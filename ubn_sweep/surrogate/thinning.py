"""Which rows a model is given where there are too many: half are the latest, the others of any epoch and value."""

import numpy as np
import numpy.typing as npt


def latest_and_others(
    t: npt.NDArray[np.float64], limit: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """At most `limit` places of (n,) epochs or their logarithms, ascending: bad regions are to be known, too."""
    if len(t) <= limit:
        return np.arange(len(t))
    # Ties among the latest are drawn, so that no part of a sweep is preferred.
    latest = np.lexsort((rng.random(len(t)), -t))
    others = rng.choice(latest[limit // 2 :], limit - limit // 2, replace=False)
    return np.sort(np.concatenate([latest[: limit // 2], others]))
