"""Sweeps from Python, in a notebook for example: the words of the command line, and the same code beneath them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ubn_sweep.commands.common import home_folder, map_sweep, spec_of
from ubn_sweep.commands.looking import best_of, facts_of, front_of
from ubn_sweep.commands.operations import Running, export, go_on, start
from ubn_sweep.errors import UserError
from ubn_sweep.records.folder import SweepFolder, find_sweep
from ubn_sweep.records.observations import observations_of
from ubn_sweep.sweep.running.launch import SweepResult
from ubn_sweep.sweep.spec.loading import load_spec, spec_of_mapping
from ubn_sweep.sweep.spec.spec import SweepSpec

if TYPE_CHECKING:
    import pandas as pd

    from ubn_sweep.landscape import LandscapeReport

SPEC_ENDINGS = (".yaml", ".yml")


class Sweep:
    """A sweep to be, by its spec, or one that is there, by its name or folder.

    Args:
        what: a spec's file (`search_spaces/quickstart.yaml`), a spec as a mapping with the file's keys, a checked
            one, or the name or folder of a sweep. The task of a mapping lies in the current folder, or is installed.
        set: `key=value` texts that override keys of a file or mapping, as `--set` does.
        home: the folder of the sweeps; None takes `sweeps` in the current folder.
        name: of a sweep to be; None takes the spec's, counted up where it is taken.

    Raises:
        UserError: one line with the place, the rule, the value and the remedy; so do all methods.
    """

    def __init__(
        self,
        what: str | Path | Mapping[str, Any] | SweepSpec,
        *,
        set: Sequence[str] = (),  # as the option is called
        home: str | Path | None = None,
        name: str | None = None,
    ) -> None:
        self._home = home_folder(None if home is None else Path(home))
        self._name = name
        self._folder: SweepFolder | None = None
        self._spec: SweepSpec | None = None
        if isinstance(what, SweepSpec):
            self._spec = what
        elif isinstance(what, Mapping):
            self._spec = spec_of_mapping(what, set)
        elif Path(what).suffix in SPEC_ENDINGS:
            self._spec = load_spec(Path(what), set)
        else:
            self._folder = find_sweep(str(what), self._home)
            if set or name is not None:
                raise UserError(
                    f"`{what}` is there, with a spec and a name of its own: change its spec by resume(set=...)"
                )

    @property
    def name(self) -> str:
        """The sweep's name, as it is once it has started."""
        if self._folder is not None:
            return self._folder.name
        assert self._spec is not None
        return self._spec.name if self._name is None else self._name

    @property
    def folder(self) -> Path:
        """Where its records and results lie."""
        return self._there().path

    @property
    def spec(self) -> SweepSpec:
        """The checked spec, as it is by now."""
        if self._folder is not None:
            return spec_of(self._folder)
        assert self._spec is not None
        return self._spec

    def run(
        self,
        *,
        or_resume: bool = False,
        learn_from: Sequence[str] = (),
        executor: str = "ray",
        ray_address: str | None = None,
        cpus: int | None = None,
        gpus: int | None = None,
        show: bool = True,
    ) -> SweepResult:
        """Starts the sweep, sees it to its end and maps it. Interrupted, it returns, with `finished` False.

        Args:
            or_resume: whether to go on with the sweep of this name, if there is one.
            learn_from: earlier sweeps to learn from.
            executor: `ray`, or `in-process`: one trial after another, for a debugger.
            ray_address: a Ray cluster to run on; None starts one on this machine.
            cpus: processors of that one; None takes all.
            gpus: its GPUs; None takes all.
            show: whether the table of the running sweep is shown.
        """
        if self._spec is None:
            raise UserError(f"the sweep `{self.name}` is there already: go on with it by resume()")
        running = _running(executor, ray_address=ray_address, cpus=cpus, gpus=gpus, show=show)
        outcome = start(
            self._spec,
            home=self._home,
            name=self._name,
            or_resume=or_resume,
            learn_from=learn_from,
            running=running,
        )
        self._folder, self._spec = SweepFolder(home=self._home, name=outcome.result.sweep), None
        return outcome.result

    def resume(
        self,
        *,
        set: Sequence[str] = (),  # as the option is called
        retry_failed: bool = False,
        executor: str = "ray",
        ray_address: str | None = None,
        cpus: int | None = None,
        gpus: int | None = None,
        show: bool = True,
    ) -> SweepResult:
        """Goes on with a sweep that was interrupted, or is to have more: `resume(set=["search.trials=200"])`.

        Args:
            set: `key=value` texts that change its spec from here on.
            retry_failed: whether failed trials are tried again, too.
            executor: the others are those of `run`.
        """
        running = _running(executor, ray_address=ray_address, cpus=cpus, gpus=gpus, show=show)
        return go_on(self._there(), retry_failed=retry_failed, assignments=set, running=running).result

    def status(self) -> dict[str, Any]:
        """How the sweep stands, whoever runs it: state, trials, best, epochs."""
        return facts_of(self._there())

    def trials(self) -> pd.DataFrame:
        """A row for each trial, by its number, as it stood at its last epoch: the columns of `observations`."""
        return self.observations().groupby("trial").tail(1).set_index("trial")

    def observations(self) -> pd.DataFrame:
        """A row for each trial and epoch: status, params.*, config.*, metrics.*; docs/landscape.md names them all."""
        return observations_of(self._there().path).to_pandas()

    def best(self) -> dict[str, Any] | None:
        """The best trial so far: trial, score (the objective), params, config; None where none has a result.

        Of two objectives the first decides: it is an end of `front()`.
        """
        return best_of(self._there())

    def front(self) -> list[dict[str, Any]]:
        """The completed trials that none beats in both objectives, the best in the first one first.

        Each with its trial, scores (metric -> value), params, config. With one objective: the best one alone.
        """
        return front_of(self._there())

    def report(self) -> LandscapeReport:
        """Maps the sweep, running or finished: where the report and its numbers lie, and what it says in sentences."""
        return map_sweep(self._there(), self.spec)

    def export(self, *, top: int | None = None, out: str | Path = "configs") -> list[Path]:
        """Writes the best configs, best first, ready for `ubn-sweep train`.

        Args:
            top: how many; None takes 3, and with two objectives the whole front.
            out: the folder for the files.
        """
        return export(self._there(), top=top, out=Path(out))

    def __repr__(self) -> str:
        where = "not started" if self._folder is None else str(self._folder.path)
        return f"Sweep({self.name!r}, {where})"

    def _there(self) -> SweepFolder:
        if self._folder is None:
            raise UserError(f"the sweep `{self.name}` has not been started: run() it first")
        return self._folder


def _running(
    executor: str, *, ray_address: str | None, cpus: int | None, gpus: int | None, show: bool
) -> Running:
    if executor not in ("ray", "in-process"):
        raise UserError(f"executor: is `ray` or `in-process`, but got `{executor}`")
    return Running(executor=executor, ray_address=ray_address, cpus=cpus, gpus=gpus, shown=show)
