"""`promises`: how often what sweeps promised was kept, over the final trainings here and in an MLflow store."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from scipy import stats

from ubn_sweep.commands.common import home_folder
from ubn_sweep.commands.live import print_json, prose, say, warn
from ubn_sweep.errors import UserError
from ubn_sweep.export.looks import read_looks
from ubn_sweep.masking import from_environment, masked
from ubn_sweep.records.final_training import FinalTraining
from ubn_sweep.records.folder import FinalFolder, SweepFolder
from ubn_sweep.records.journal import stream
from ubn_sweep.records.promises import Settled, Tally, settled_by, tally
from ubn_sweep.tracking.delivery.follower import describe
from ubn_sweep.tracking.mlflow.finals import settled_in
from ubn_sweep.tracking.uri import check_uri, sqlite_path


def count_promises(*, tracking_uri: str | None, home: Path | None, as_json: bool) -> None:
    """Counts verdicts, each promise once.

    Raises:
        UserError: the store is out of reach, or can never work.
    """
    place = home_folder(home)
    found = tally([*_here(place), *_in_store(tracking_uri, place)])
    low, high = interval(found.kept, found.decided)
    if as_json:
        print_json(
            {
                "kept": found.kept,
                "broken": found.broken,
                "undecided": found.undecided,
                "sweeps": found.sweeps,
                "low": low,
                "high": high,
                "promises": [dataclasses.asdict(one) for one in found.promises],
            }
        )
        return
    for one in found.promises:
        word = {True: "kept", False: "not kept", None: "no verdict"}[one.kept]
        say(f"{one.sweep}  trial {one.trial}  {word}")
    prose(in_words(found))


def interval(kept: int, decided: int) -> tuple[float, float]:
    """Clopper and Pearson's 95% interval of the share kept, which covers in 95 of 100 cases at least.

    Of none it is 0 to 1.
    """
    if decided == 0:
        return 0.0, 1.0
    found = stats.binomtest(kept, decided).proportion_ci(confidence_level=0.95, method="exact")
    return float(found.low), float(found.high)


def in_words(found: Tally) -> str:
    """One sentence or two."""
    more = f"{found.undecided} {'has' if found.undecided == 1 else 'have'} no verdict"
    hint = (
        f" {more}: `ubn-sweep train CONFIG --confirm` trains under the sweep's own protocol and reaches one."
    )
    if found.decided == 0:
        return "No promise was settled yet." + (hint if found.undecided else "")
    low, high = interval(found.kept, found.decided)
    sweeps = "one sweep" if found.sweeps == 1 else f"{found.sweeps} sweeps"
    shared = (
        ""
        if found.sweeps == found.decided
        else " Promises of one sweep share its validation images: the interval takes them for independent."
    )
    share = f"{found.kept / found.decided:.0%}"
    return (
        f"{found.kept} of {found.decided} promises of {sweeps} were kept: {share}, 95% interval {low:.0%} to "
        f"{high:.0%}.{shared}{hint if found.undecided else ''}"
    )


def _here(home: Path) -> Iterator[Settled]:
    """Of the final trainings below the current folder's `runs`, and of all that looked at a test set from this home."""
    folders = {path.parent for path in Path("runs").absolute().glob("*/journal.jsonl")}
    for look in read_looks(home):
        folders |= {Path(look.folder), Path(look.folder).parent}  # that of several seeds lies above
    for folder in sorted(folders):
        place = FinalFolder(folder=folder)
        if place.journal.is_file():
            found = settled_by(FinalTraining(stream(place.path)))
            if found is not None:
                yield found


def _in_store(tracking_uri: str | None, home: Path) -> list[Settled]:
    """Of the store that the user names, else of the sweeps' own, where there is one."""
    uri = SweepFolder(home=home, name="").default_tracking_uri if tracking_uri is None else tracking_uri
    address = from_environment(uri, "--tracking-uri")
    check_uri(address)
    path = sqlite_path(address)
    if path is not None and not path.exists():  # asking would make it
        if tracking_uri is None:
            return []
        raise UserError(f"--tracking-uri: {path} does not exist: give the address of a store that does")
    try:
        return settled_in(address)
    except Exception as error:  # whatever a store that is out of reach makes its client raise
        if tracking_uri is None:
            warn(f"{masked(uri)} does not answer ({describe(error)}): its trainings are not counted")
            return []
        raise UserError(
            f"--tracking-uri: {masked(uri)} could not be read ({describe(error)}): see that it runs"
        ) from error
