"""The one exception that users are meant to see, as one line and exit code 2."""


class UserError(ValueError):
    """Something that the user can mend. Its text states the rule, the value, the place and the remedy."""


class DivergedError(UserError):
    """A training whose loss or weights are not finite any more."""


class ForeignCheckpointError(UserError):
    """A whole checkpoint that is another training's, or a later version's: nothing is wrong with it."""


class NothingFoundError(Exception):
    """A sweep that ended without one result: its process ends with 1, so that whoever started it notices."""


class NotReproducedError(NothingFoundError):
    """A bundle that did not train as it is recorded to have: the process ends with 1, too."""


class InterruptedSweepError(Exception):
    """Long work was stopped; its text says how to go on with it."""

    def __init__(self, text: str, *, code: int = 130) -> None:
        super().__init__(text)
        self.code = code
        """The exit code: 128 and the signal's number, as shells have it; 1 where the work stopped by itself."""


def known(names: object) -> str:
    """Lists known names, sorted, for the message about an unknown one."""
    return ", ".join(sorted(str(name) for name in names))  # type: ignore[attr-defined]
