"""A sampler that a spec names as `module:Class`: one of Optuna's, of another package, or of the user's own."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from optuna.samplers import BaseSampler

from ubn_sweep.errors import UserError, known
from ubn_sweep.sweep.spec.spec import SearchConfig, is_own
from ubn_sweep.training.modules import import_named


def own_sampler(search: SearchConfig) -> BaseSampler:
    """A new one, made from `search.sampler_options`, and from `search.seed` where it takes a seed.

    Raises:
        UserError: there is no such class, it is no sampler, or it does not take the options.
    """
    kind = _found(search.sampler, search.sampler_folder)
    taken = inspect.signature(kind).parameters
    takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in taken.values())
    unknown = [name for name in search.sampler_options if name not in taken and not takes_any]
    if unknown:
        raise UserError(
            f"`{search.sampler}` takes no option `{unknown[0]}`; it takes {known(list(taken)) or 'none'}"
        )
    options: dict[str, Any] = {"seed": search.seed} if "seed" in taken else {}
    try:
        sampler: BaseSampler = kind(**{**options, **search.sampler_options})
    except Exception as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"`{search.sampler}` cannot be made ({type(error).__name__}: {reason}): mend search.sampler_options"
        ) from error
    return sampler


def _found(name: str, folder: str | None) -> type[BaseSampler]:
    assert is_own(name)
    module_name, _, attribute = name.partition(":")
    current = str(Path.cwd())
    module = import_named(
        module_name,
        [current] if folder is None else [current, folder],
        key="search.sampler",
        places="the current folder, beside the spec, or be installed",
    )
    found = getattr(module, attribute, None)
    if not (inspect.isclass(found) and issubclass(found, BaseSampler)):
        samplers = [
            key
            for key, value in vars(module).items()
            if inspect.isclass(value) and issubclass(value, BaseSampler)
        ]
        raise UserError(
            f"`{name}` must be a subclass of optuna.samplers.BaseSampler; `{module_name}` has "
            f"{known(samplers) or 'none'}"
        )
    return found
