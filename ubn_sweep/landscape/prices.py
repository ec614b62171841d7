"""What a sentence's claims cost: how often such sweeps make them where they are errors, said beside each."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from ubn_sweep.landscape.analysis import Landscape
from ubn_sweep.landscape.claims import BUT, EQUAL, KINDS, claims, key_of, kind_of
from ubn_sweep.landscape.null import Null
from ubn_sweep.landscape.phrases import plural
from ubn_sweep.landscape.withholding import sure, without

Told = tuple[str, tuple[str, ...]]
"""A sentence, and the kinds of claims that it may make."""


def weighed(landscape: Landscape, null: Null | None) -> Landscape:
    """The landscape without claims that its sampler may have made, or that its null says are made too often."""
    landscape = sure(landscape)
    return landscape if null is None else without(landscape, null.withheld(claims(landscape)))


def priced(told: Iterable[Told], landscape: Landscape, null: Null | None) -> tuple[str, ...]:
    """The sentences, each with what its claims cost, and what was withheld; empty ones are left out."""
    made = claims(landscape)
    sentences = []
    for sentence, kinds in told:
        if sentence:
            sentences.append(" ".join([sentence, *_prices(landscape, null, kinds, made)]))
    if null is None and made:
        sentences.append(
            "How often such a sweep says so where nothing matters has not been counted: `ubn-sweep null "
            f"{landscape.sweep.name}` does."
        )
    if null is not None and landscape.withheld:
        sentences.append(_withheld(landscape, null))
    return tuple(sentences)


def price(landscape: Landscape, null: Null | None, kinds: Sequence[str]) -> str:
    """What the claims of these kinds cost, in sentences; empty where none is made, or nothing was counted."""
    return " ".join(_prices(landscape, null, kinds, claims(landscape)))


def _prices(
    landscape: Landscape, null: Null | None, kinds: Sequence[str], made: Collection[str]
) -> list[str]:
    """`In 100 such sweeps where nothing mattered, a parameter was said to matter 4 times.`"""
    if null is None:
        return []
    counts: dict[tuple[str, int], list[str]] = {}
    for kind in kinds:
        mine = sorted(claim for claim in made if kind_of(claim) == kind)
        title, world = KINDS[kind].title, KINDS[kind].world
        if not mine:
            continue
        times, replays = null.count(kind, world, aside=landscape.withheld)
        where = "of equally good trainings" if world == EQUAL else "where nothing mattered"
        counts.setdefault((where, replays), []).append(f"{title} {_times(times)}")
        for claim in mine:
            key = key_of(claim)
            times, replays = null.count_of(claim, f"{BUT}{key}")
            where = f"where all but {key} mattered"
            counts.setdefault((where, replays), []).append(f"{title} {_times(times)}")
    return [
        f"In {plural(replays, 'such sweep')} {where}, {', '.join(parts)}."
        for (where, replays), parts in counts.items()
        if replays > 0
    ]


def _times(count: int) -> str:
    return {0: "not once", 1: "once", 2: "twice"}.get(count, f"{count} times")


def _withheld(landscape: Landscape, null: Null) -> str:
    """By kind, with the count that forbade it."""
    parts = []
    for kind in dict.fromkeys(map(kind_of, landscape.withheld)):
        mine = [claim for claim in landscape.withheld if kind_of(claim) == kind]
        counts = [null.count(kind, KINDS[kind].world)]
        counts += [count for claim in mine for count in null.errors_of(claim).values()]
        times, replays = max(counts, key=lambda pair: pair[0] / max(pair[1], 1))
        of = [key for key in (claim.partition(":")[2] for claim in mine) if key]
        parts.append(f"{KINDS[kind].title}{' (' + ', '.join(of) + ')' if of else ''}: {times} of {replays}")
    return (
        "Withheld, since it is said in more than 5% of such sweeps in which it is an error: "
        f"{'; '.join(parts)}."
    )
