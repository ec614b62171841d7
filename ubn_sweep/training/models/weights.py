"""Pretrained weights out of a file, for a network with BatchNorm2d: they are read before layers are converted."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ubn_sweep.errors import UserError

WRAPPERS = ("state_dict", "model", "model_state_dict")
"""Under which name training scripts save the weights beside other things."""
AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")
"""Classifiers inside of GoogLeNet and Inception that are built for their first training alone."""


def load_weights(model: nn.Module, file: str) -> None:
    """Takes over all weights and statistics; a classifier for other classes starts anew.

    The classifier is the last Linear or Conv2d of the model. The file is what torch.save writes of a state_dict, also
    one under `state_dict` or `model`; nothing in it is executed.

    Raises:
        UserError: the file is absent or damaged, or belongs to another network.
    """
    weights, own = _read(Path(file).expanduser()), model.state_dict()
    classifier = _classifier(model)
    taken = {key: value for key, value in weights.items() if not key.startswith(AUXILIARY)}
    for key in [*own, *(key for key in taken if key not in own)]:
        shapes = [tuple(state[key].shape) if key in state else None for state in (own, taken)]
        counts_batches = key.endswith("num_batches_tracked") and shapes[1] is None
        if shapes[0] == shapes[1] or counts_batches:
            continue
        if not key.startswith(f"{classifier}."):
            raise UserError(
                f"model.weights: `{file}` must hold the weights of the model that model.name names, but of `{key}` "
                f"the model has {_shown(shapes[0])}, the file {_shown(shapes[1])}: take the weights of this very "
                "model, with its stem and channels"
            )
        taken.pop(key, None)
    model.load_state_dict({**own, **taken})


def _read(path: Path) -> dict[str, Tensor]:
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"model.weights: there is no file `{path}`: give the path of one") from error
    except (RuntimeError, EOFError, OSError, ValueError, pickle.UnpicklingError) as error:
        raise UserError(
            f"model.weights: `{path}` cannot be read as weights that torch.save wrote: save a state_dict"
        ) from error
    for name in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise UserError(f"model.weights: `{path}` must hold names and tensors: save model.state_dict()")
    return {str(key).removeprefix("module."): value for key, value in content.items()}  # DDP's prefix


def _classifier(model: nn.Module) -> str:
    names = [name for name, module in model.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    return names[-1] if names else ""


def _shown(shape: tuple[int, ...] | None) -> str:
    return "nothing" if shape is None else f"shape {shape}"
