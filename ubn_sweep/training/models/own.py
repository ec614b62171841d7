"""A user's own model: `module:function`, and the keys that the function takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ubn_sweep.errors import UserError, known
from ubn_sweep.training.models.config import ModelConfig
from ubn_sweep.training.modules import import_named

GIVEN = ("num_classes", "in_channels", "image_size_px")
"""What every such function is called with, by keyword, beside the keys of `model.options`."""


def find_function(model: ModelConfig) -> Callable[..., Any]:
    """The function that a config names, known to take the keys of `model.options`.

    Raises:
        UserError: there is no such module or function, the module cannot be imported, or the function takes other
            keys.
    """
    module_name, _, attribute = model.name.partition(":")
    places = "the current folder or be installed"
    module = import_named(module_name, [str(Path.cwd())], key="model.name", places=places)
    found = getattr(module, attribute, None)
    if not callable(found):
        own = [key for key, value in vars(module).items() if inspect.isfunction(value)]
        raise UserError(
            f"model.name: `{module_name}` has no function `{attribute}`; it has {known(own) or 'none'}"
        )
    given = dict.fromkeys(GIVEN)
    repeated = sorted(given.keys() & model.options.keys())
    if repeated:
        raise UserError(
            f"model.options: `{repeated[0]}` is known from the data: remove it, and `{model.name}` is called with it"
        )
    try:
        inspect.signature(found).bind(**given, **model.options)
    except TypeError as error:
        raise UserError(
            f"model.options: `{model.name}` is called with {', '.join(GIVEN)} and the keys of model.options, "
            f"but {error}: change the keys or the function"
        ) from error
    return found
