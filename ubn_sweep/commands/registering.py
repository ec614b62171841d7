"""`train --register NAME`: the trained model as the next version of a name in MLflow's registry."""

from __future__ import annotations

from ubn_sweep.commands.final_copies import address_of
from ubn_sweep.commands.final_run import FinalJob
from ubn_sweep.commands.live import warn
from ubn_sweep.errors import UserError
from ubn_sweep.records.events import FinalStarted
from ubn_sweep.records.final_training import FinalTraining
from ubn_sweep.records.folder import FinalFolder
from ubn_sweep.records.journal import stream
from ubn_sweep.tracking.mlflow.registry import register
from ubn_sweep.tracking.mlflow.runs import final_run_id
from ubn_sweep.training.provenance import Provenance
from ubn_sweep.training.trained import trained_in


def register_trained(job: FinalJob, folder: FinalFolder, name: str) -> str | None:
    """The version that the model of a folder has in the registry; None, with a line, where its run is not in the store.

    Raises:
        UserError: the task does not say how its model is loaded, it cannot be exported, or the store refuses it.
    """
    record = FinalTraining(stream(folder.path))
    assert record.start is not None
    uri = address_of(job.uri)
    run_id = _run_in(uri, record.start)
    if run_id is None:
        warn(
            f"the model is not registered, since its run is not in MLflow: type the same again when {job.uri} answers"
        )
        return None
    task, config, checkpoint = trained_in(folder.path)
    tests = record.tested.metrics if record.tested is not None else {}
    return register(
        uri,
        name=name,
        run_id=run_id,
        final_id=record.start.final_id,
        model=task.load_model(config, checkpoint),
        example=task.model_input(config, checkpoint),
        tags={**_origin(config.provenance), "ubn_sweep.seed": config.seed, **tests},
    )


def _run_in(uri: str, started: FinalStarted) -> str | None:
    try:
        return final_run_id(uri, started.final_id)
    except UserError:
        raise
    except Exception:  # whatever a store that is out of reach makes its client raise
        return None


def _origin(origin: Provenance | None) -> dict[str, object]:
    if origin is None:
        return {}
    return {
        "ubn_sweep.sweep": origin.sweep,
        "ubn_sweep.sweep_id": origin.sweep_id,
        "ubn_sweep.trial": origin.trial,
    }
