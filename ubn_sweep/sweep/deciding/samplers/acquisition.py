"""Expected improvement, and the search for where it is largest."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.special import erfcx, ndtr

from ubn_sweep.surrogate.coding import Activity, Coding

Floats = npt.NDArray[np.float64]


def log_expected_improvement(mean: Floats, deviation: Floats, best: float) -> Floats:
    """log E[max(f - best, 0)] for f ~ N(mean, deviation^2), accurate where it underflows.

    With z = (mean - best) / deviation: log deviation + log(phi(z) + z Phi(z)); for z < -1 the sum is taken as
    phi(z) (1 + z Phi(z) / phi(z)) with the scaled complementary error function, as in Ament et al.,
    arXiv 2310.20708.
    """
    z = (mean - best) / deviation
    near = np.maximum(z, -1.0)
    log_density = -0.5 * near**2 - 0.5 * math.log(2 * math.pi)
    log_near = np.log(np.exp(log_density) + near * ndtr(near))
    far = np.minimum(z, -1.0)
    ratio = math.sqrt(math.pi / 2) * erfcx(-far / math.sqrt(2))
    log_far = -0.5 * far**2 - 0.5 * math.log(2 * math.pi) + np.log(np.maximum(1 + far * ratio, 1e-16))
    return np.where(z > -1, log_near, log_far) + np.log(deviation)


def best_candidate(
    *,
    score: Callable[[Floats], Floats],
    space: Coding,
    activity: Activity,
    starts: Floats,
    rng: np.random.Generator,
    n_random: int = 800,
    n_rounds: int = 4,
) -> Floats:
    """The code with the best score among random ones and moves from `starts`, then among ever finer moves."""
    moved = space.moved(np.repeat(starts, 60, axis=0), 0.1, rng)
    codes = activity.apply(np.concatenate([space.random(n_random, rng), moved]))
    scores = score(codes)
    for k in range(n_rounds):
        best = np.argsort(-scores, kind="stable")[:30]
        finer = activity.apply(space.moved(np.repeat(codes[best[:6]], 30, axis=0), 0.1 * 0.5**k, rng))
        codes = np.concatenate([codes[best], finer])
        scores = np.concatenate([scores[best], score(finer)])
    return codes[np.argmax(scores)]
