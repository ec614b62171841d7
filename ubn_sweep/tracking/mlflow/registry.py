"""A trained model in MLflow's registry: as a graph that loads without this package, with signature and example."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ubn_sweep.errors import UserError
from ubn_sweep.records.environment import describe_environment
from ubn_sweep.tracking.delivery.follower import describe
from ubn_sweep.tracking.mlflow.client import connect
from ubn_sweep.tracking.mlflow.entries import TAG_FINAL_ID, quoted, texts

if TYPE_CHECKING:
    from mlflow import MlflowClient

PLACE = "model"
"""Of the files, among the run's artifacts."""


def register(
    tracking_uri: str,
    *,
    name: str,
    run_id: str,
    final_id: str,
    model: Any,
    example: Any,
    tags: Mapping[str, Any],
) -> str:
    """Puts a model onto its run and makes it the next version of a name; that version. What has one keeps it.

    Args:
        model: a torch.nn.Module in evaluation mode.
        example: its input, an array of two items or more, since the first dimension is the one that may vary.

    Raises:
        UserError: the model cannot be exported as a graph, or the store is out of reach.
    """
    try:
        client = connect(tracking_uri)
        _ensure(client, name)
        there = client.search_model_versions(f"name = {quoted(name)}")
        for version in there:
            if version.tags.get(TAG_FINAL_ID) == final_id:
                return str(version.version)
        with tempfile.TemporaryDirectory() as folder:
            _save(model, Path(folder) / PLACE, example)
            client.log_artifacts(run_id, str(Path(folder) / PLACE), artifact_path=PLACE)
        source = f"{client.get_run(run_id).info.artifact_uri}/{PLACE}"
        made = client.create_model_version(name, source, run_id, tags=texts({TAG_FINAL_ID: final_id, **tags}))
    except UserError:
        raise
    except Exception as error:  # whatever a store that is out of reach makes its client raise
        raise UserError(
            f"--register: `{name}` could not be written ({describe(error)}): see that the store runs, and type the "
            "same again"
        ) from error
    return str(made.version)


def _ensure(client: MlflowClient, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _save(model: Any, path: Path, example: Any) -> None:
    import mlflow.pytorch

    versions = describe_environment()["versions"]
    try:
        with _quietly():
            mlflow.pytorch.save_model(
                model,
                str(path),
                input_example=example,
                # A graph, not a pickle: loading it runs no code of anybody's.
                serialization_format="pt2",
                pip_requirements=[f"{item}=={versions[item]}" for item in ("torch", "numpy")],
            )
    except Exception as error:  # torch.export raises kinds of its own, and what the model raises
        raise UserError(
            f"--register: the model cannot be exported as a graph ({describe(error)}): its checkpoint loads by "
            "`ubn_sweep.training.trained.load_trained`"
        ) from error


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """MLflow and torch.export tell of what nobody can mend."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)
