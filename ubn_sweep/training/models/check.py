"""Looks whether what a model needs is there. Needs no torch, unless a user's own module does."""

from __future__ import annotations

from pathlib import Path

from ubn_sweep.errors import UserError
from ubn_sweep.training.models.config import ModelConfig
from ubn_sweep.training.models.names import is_own
from ubn_sweep.training.models.own import find_function


def check_model(model: ModelConfig) -> None:
    """Whether a user's own function, and the file of weights, are there; nothing is built.

    Raises:
        UserError: one is not.
    """
    if is_own(model.name):
        find_function(model)
    if model.weights is not None and not Path(model.weights).expanduser().is_file():
        raise UserError(f"model.weights: there is no file `{model.weights}`: give the path of one")
