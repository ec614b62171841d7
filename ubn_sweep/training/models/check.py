"""Looks whether what a model needs is there. Needs no torch, unless a user's own module or timm does."""

from __future__ import annotations

from pathlib import Path

from ubn_sweep.errors import UserError
from ubn_sweep.training.models.config import ModelConfig
from ubn_sweep.training.models.names import is_own, is_timm
from ubn_sweep.training.models.own import find_function
from ubn_sweep.training.models.timm_models import find_timm


def check_model(model: ModelConfig) -> None:
    """Whether a user's own function, a model of timm's, and the file of weights, are there; nothing is built.

    Raises:
        UserError: one is not.
    """
    if is_own(model.name):
        find_function(model)
    if is_timm(model.name):
        find_timm(model.name)
    if model.weights is not None and not Path(model.weights).expanduser().is_file():
        raise UserError(f"model.weights: there is no file `{model.weights}`: give the path of one")
