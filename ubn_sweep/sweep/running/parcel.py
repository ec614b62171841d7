"""A sweep on its way to a cluster: one folder with the whole spec, and the user's own modules."""

from __future__ import annotations

import dataclasses
import json
import os
from contextlib import suppress
from pathlib import Path

from ubn_sweep import schema
from ubn_sweep.dotted import value_at
from ubn_sweep.errors import UserError
from ubn_sweep.files import write_text
from ubn_sweep.records.environment import describe_environment, other_versions
from ubn_sweep.sweep.running.copies import written_passwords
from ubn_sweep.sweep.running.own_code import files_of, own_modules, stage
from ubn_sweep.sweep.spec.spec import SweepSpec
from ubn_sweep.training.fields import PATH, metadata_of

SPEC_FILE = "spec.yaml"
SENDER_FILE = "sender.json"
"""Versions of the sender's Python and libraries."""


def pack(spec: SweepSpec, into: Path) -> Path:
    """Fills a folder, from which `ubn-sweep run spec.yaml` does there what it would do here.

    What the spec extends, `--set` and files of points are in it: nothing else of this machine's is needed.

    Raises:
        UserError: the spec holds a password or a path that only this machine knows, or the modules are too large.
    """
    for key in written_passwords(spec):
        raise UserError(
            f"{key} has its password written out, which would travel: write ${{NAME}}, and send it by `--env NAME`"
        )
    task = spec.find_task()
    plain = schema.to_plain(spec.base)
    for key in metadata_of(task.Config, PATH):
        with suppress(KeyError):
            path = value_at(plain, key)
            if path is not None and not Path(path).is_absolute():
                raise UserError(
                    f"{key}: is `{path}`, from a folder of this machine's: give the whole path that the cluster's "
                    "nodes have"
                )
    with suppress(UserError):  # the data lies there, not here; looking for it imports a data set of one's own
        task.check(spec.base)
    modules = own_modules(_folders(spec))
    files_of(modules)  # raises where they are too large
    stage(modules, into)
    search = dataclasses.replace(spec.search, sampler_folder=None)
    whole = dataclasses.replace(spec, task_folder=None, search=search)
    sender = describe_environment()
    write_text(into / SENDER_FILE, json.dumps({key: sender[key] for key in ("python", "versions")}))
    return write_text(into / SPEC_FILE, schema.dump_yaml(schema.to_plain(whole)))


def unlike_the_sender(parcel: Path) -> str | None:
    """A line where the environment here is not the sender's; None where it is, or is not known."""
    try:
        sent = json.loads((parcel / SENDER_FILE).read_text())
        others = other_versions(sent, describe_environment())
    except (OSError, ValueError, AttributeError, TypeError):
        return None
    if not others:
        return None
    return (
        f"the cluster has other versions than the sender ({', '.join(others)}): what is suggested and trained may "
        "differ; install the same where that matters"
    )


def taken_environment(names: tuple[str, ...]) -> dict[str, str]:
    """The variables that shall travel, with their values.

    Raises:
        UserError: one is not set here.
    """
    absent = [name for name in names if name not in os.environ]
    if absent:
        raise UserError(f"--env: `{absent[0]}` is not set here: export {absent[0]}=... first")
    return {name: os.environ[name] for name in names}


def _folders(spec: SweepSpec) -> list[Path]:
    given = (spec.task_folder, spec.search.sampler_folder)
    return [Path.cwd(), *(Path(folder) for folder in given if folder is not None)]
