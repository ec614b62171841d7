"""Counts a report's claims over replays: restartable, the same whoever counts with a seed, on several processes."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

import ubn_sweep
from ubn_sweep.files import write_text
from ubn_sweep.landscape.analysis import analyse
from ubn_sweep.landscape.claims import BUT, EQUAL, NOTHING, claims, claims_of_ranking
from ubn_sweep.landscape.null import Null, null_as_json, read_null
from ubn_sweep.landscape.read import read_correctness, read_sweep
from ubn_sweep.landscape.views.ranking import ranking
from ubn_sweep.landscape.withholding import sure
from ubn_sweep.nulls.original import Original, original_of, plain_space
from ubn_sweep.nulls.replay import replayed, with_images
from ubn_sweep.nulls.worlds import Worlds
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import stream
from ubn_sweep.records.observations import observations

LIBRARIES = ("numpy", "scipy", "scikit-learn", "optuna")
SEED_LIMIT = 2**31


@dataclass(frozen=True, kw_only=True)
class Far:
    """How far the count is."""

    done: int
    of: int
    left_s: float | None
    """None until one replay of each world is over."""


class Replays:
    """Replays of one sweep, and what its report would claim in each."""

    def __init__(self, original: Original, *, seed: int) -> None:
        self.original = original
        self._seed = seed
        self._worlds = Worlds(original)

    def claims(self, world: str, index: int) -> frozenset[str]:
        """Of one replay."""
        original = self.original
        drawn = self._worlds.of(world, seed=self._seed, index=index)
        rng = np.random.default_rng([self._seed, index])
        sampler_seed = int(rng.integers(SEED_LIMIT))
        if world == EQUAL:  # a comparison that looks at no config: any sampler will do, and random is fast
            events = replayed(original, drawn, seed=sampler_seed, at_random=True)
            table = observations(with_images(events, original, rng))
            return claims_of_ranking(ranking(read_sweep(table), read_correctness(table)))
        table = observations(replayed(original, drawn, seed=sampler_seed))
        return claims(sure(analyse(table, claims_alone=True)))


def worlds_of(original: Original, without: Sequence[str]) -> tuple[str, ...]:
    """Nothing matters, all trainings are equal where scores are shares, and one for each key that is not to matter."""
    space = plain_space(original.spec)
    equal = (EQUAL,) if original.metric.is_share and original.metric.direction == "max" else ()
    keys = [key for key in without if key in space and space[key]["type"] != "constant" and len(space) > 1]
    return (NOTHING, *equal, *(f"{BUT}{key}" for key in keys))


def count(
    folder: SweepFolder,
    *,
    sweeps: int,
    without: Sequence[str],
    seed: int = 0,
    processes: int = 1,
    tell: Callable[[Far], None] = lambda far: None,
) -> Null:
    """Replays a sweep in each world, stores what was claimed after every replay, and takes up what is stored.

    Args:
        sweeps: replays of each world.
        without: keys that do not matter in a world each.
        processes: how many replay at once.
        tell: told how far it is.

    Raises:
        UserError: the sweep has too few trials with a score.
    """
    original = original_of(stream(folder.path))
    null = _begun(folder.null, original, seed)
    worlds = worlds_of(original, without)
    open_ = [
        (world, index)
        for index in range(sweeps)
        for world in worlds
        if index not in null.worlds.get(world, {})
    ]
    pace = _Pace(of=len(open_), worlds=len(worlds))
    for (world, index), said in _made(original, folder.path, open_, seed=seed, processes=processes):
        null = replace(null, worlds={**null.worlds, world: {**null.worlds.get(world, {}), index: said}})
        write_text(folder.null, null_as_json(null))
        tell(pace.step())
    return null


def _begun(path: Path, original: Original, seed: int) -> Null:
    """What was counted before, where it is of the same sweep, seed and versions."""
    versions = {"ubn-sweep": ubn_sweep.__version__} | {name: version(name) for name in LIBRARIES}
    trials = original.spec.search.trials
    fresh = Null(sweep_id=original.started.sweep_id, trials=trials, seed=seed, worlds={}, versions=versions)
    stored = read_null(path)
    same = stored is not None and replace(stored, worlds={}) == fresh
    return stored if stored is not None and same else fresh


class _Pace:
    """How long the rest will take, by what the replays took so far."""

    def __init__(self, *, of: int, worlds: int) -> None:
        self._of, self._worlds = of, worlds
        self._done = 0
        self._began_s = time.monotonic()

    def step(self) -> Far:
        self._done += 1
        each_s = (time.monotonic() - self._began_s) / self._done
        left_s = each_s * (self._of - self._done) if self._done >= self._worlds else None
        return Far(done=self._done, of=self._of, left_s=left_s)


Job = tuple[str, int]


def _made(
    original: Original, path: Path, jobs: Sequence[Job], *, seed: int, processes: int
) -> Iterator[tuple[Job, frozenset[str]]]:
    """Each job with its claims, as they are done."""
    if processes == 1 or len(jobs) < 2:
        replays = Replays(original, seed=seed)
        for world, index in jobs:
            yield (world, index), replays.claims(world, index)
        return
    with ExitStack() as stack:
        pool = stack.enter_context(
            ProcessPoolExecutor(
                min(processes, len(jobs)),
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_begin,
                initargs=(path, seed),
            )
        )
        stack.callback(pool.shutdown, wait=True, cancel_futures=True)
        open_: set[Future[tuple[Job, frozenset[str]]]] = {pool.submit(_claims, job) for job in jobs}
        while open_:
            done, open_ = wait(open_, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()


_REPLAYS: list[Replays] = []
"""Of a worker process: made once."""


def _begin(path: Path, seed: int) -> None:
    _REPLAYS[:] = [Replays(original_of(stream(path)), seed=seed)]


def _claims(job: Job) -> tuple[Job, frozenset[str]]:
    return job, _REPLAYS[0].claims(*job)
