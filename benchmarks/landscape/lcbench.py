"""LCBench's tasks with three of its hyperparameters in the threshold's role."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.landscape.truth import Task
from benchmarks.search.problems import Params, lcbench

AXES = ("learning_rate", "max_dropout", "weight_decay")
AT_ONCE = 4000


def lcbench_tasks(folder: Path, names: list[str], axes: tuple[str, ...] = AXES) -> list[Task]:
    """Each task once for each axis. The surrogate has no noise: its last value is the truth."""
    session, codes, order, last = _session(folder)

    def finals_of(code: int) -> Any:
        def finals(configs: list[Params]) -> np.ndarray:
            x = np.array([[last, *(config[name] for name in order)] for config in configs], np.float32)
            parts = [x[i : i + AT_ONCE] for i in range(0, len(x), AT_ONCE)]
            answers = [
                session.run(None, {"x_cat": np.full((len(part), 1), code, np.int32), "x_cont": part})[0][:, 1]
                for part in parts
            ]
            return np.concatenate(answers).astype(float)

        return finals

    problems = lcbench(folder, names)
    return [
        Task(problem=problem, over=axis, finals=finals_of(codes[problem.name]))
        for axis in axes
        for problem in problems
    ]


def _session(folder: Path) -> tuple[Any, dict[str, int], tuple[str, ...], int]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options)
    codes = json.loads((folder / "encoding.json").read_text())["OpenML_task_id"]
    described = json.loads((folder / "config_space.json").read_text())["hyperparameters"]
    last = next(entry["upper"] for entry in described if entry["name"] == "epoch")
    order = (
        "batch_size", "learning_rate", "momentum", "weight_decay", "num_layers", "max_units", "max_dropout",
    )  # fmt: skip
    return session, codes, order, last
