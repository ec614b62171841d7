"""DatasetConfig -> its data set, built in or a user's own."""

from __future__ import annotations

import inspect
from pathlib import Path

from ubn_sweep.errors import UserError, known
from ubn_sweep.training.data.config import DatasetConfig
from ubn_sweep.training.data.dataset import Dataset
from ubn_sweep.training.data.names import BUILT_IN, check_name
from ubn_sweep.training.modules import import_named


def find_dataset(config: DatasetConfig) -> Dataset:
    """The data set that a config names. A user's own module lies in the current folder, or is installed.

    Raises:
        UserError: there is no such data set, module or class, the module cannot be imported, the class lacks a
            method, or `dataset.options` is not as the class states it.
    """
    return dataset_class(config.name)(config)


def dataset_class(name: str) -> type[Dataset]:
    """The class of a built-in name or of `module:Class`.

    Raises:
        UserError: as find_dataset says.
    """
    try:
        check_name(name)
    except ValueError as error:
        raise UserError(f"dataset.name: {error}") from error
    module_name, _, attribute = BUILT_IN.get(name, name).partition(":")
    # A built-in class is found like any other; the current folder could not hide it.
    folders = [] if name in BUILT_IN else [str(Path.cwd())]
    places = "the current folder or be installed"
    module = import_named(module_name, folders, key="dataset.name", places=places)
    found = getattr(module, attribute, None)
    if found is None:
        own = [
            key for key, value in vars(module).items() if _is_dataset(value) and not inspect.isabstract(value)
        ]
        raise UserError(
            f"dataset.name: `{module_name}` has no data set `{attribute}`; it has {known(own) or 'none'}"
        )
    if not _is_dataset(found):
        raise UserError(
            f"dataset.name: `{name}` must be a subclass of ubn_sweep.training.data.in_memory.InMemoryDataset (or of "
            f"dataset.Dataset), but is {found!r}: make it one"
        )
    if inspect.isabstract(found):
        lacking = ", ".join(f"`{method}`" for method in sorted(found.__abstractmethods__))
        raise UserError(f"dataset.name: `{name}` lacks {lacking}: add it, as docs/datasets.md says")
    return found


def _is_dataset(value: object) -> bool:
    return inspect.isclass(value) and issubclass(value, Dataset)
