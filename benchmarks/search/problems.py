"""Problems whose learning curves are known: LCBench's surrogate, and tables given as JSON."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

Params = dict[str, Any]
Curves = npt.NDArray[np.float64]
Finals = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One hyperparameter; `when` names the values of other parameters under which it exists."""

    distribution: BaseDistribution
    when: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def is_active(self, params: Params) -> bool:
        return all(params.get(name) in values for name, values in self.when.items())


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A search space, and the whole learning curve of any configuration in it (higher is better)."""

    name: str
    space: Mapping[str, Parameter]  # parents come before the parameters that depend on them
    curves: Callable[[Sequence[Params]], Curves]  # n configurations -> (n, max_epochs)
    max_epochs: int
    best: float  # the best final value of many random configurations
    median: float
    worst: float
    finals: Callable[[Sequence[Params]], Finals]
    """n configurations -> (n,): what they are worth at the end, without the noise of the curves where that is known."""

    def regret(self, final_value: float) -> float:
        """(best - value) / (best - median): 0 is the best of random, 1 the median; negative is possible.

        What will have diverged by the end counts as the worst that did not.
        """
        value = final_value if math.isfinite(final_value) else self.worst
        return (self.best - value) / (self.best - self.median)

    @property
    def worst_regret(self) -> float:
        """Where nothing is known yet, or all has diverged."""
        return self.regret(self.worst)

    def suggest(self, trial: optuna.Trial) -> Params:
        """Define by run: asks for the parameters that exist, in order."""
        params: Params = {}
        for name, parameter in self.space.items():
            if parameter.is_active(params):
                params[name] = _ask(trial, name, parameter.distribution)
        return params


def _ask(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(
            name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    assert isinstance(distribution, FloatDistribution)
    return trial.suggest_float(
        name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
    )


def sample(space: Mapping[str, Parameter], n: int, seed: int) -> list[Params]:
    """n independent random configurations."""
    rng = np.random.default_rng(seed)
    configs = []
    for _ in range(n):
        params: Params = {}
        for name, parameter in space.items():
            if parameter.is_active(params):
                params[name] = _draw(parameter.distribution, rng)
        configs.append(params)
    return configs


def _draw(distribution: BaseDistribution, rng: np.random.Generator) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(rng.integers(len(distribution.choices)))]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high, step = distribution.low, distribution.high, distribution.step
    value = (
        math.exp(rng.uniform(math.log(low), math.log(high))) if distribution.log else rng.uniform(low, high)
    )
    if step is not None:
        value = min(low + step * round((value - low) / step), high)
    return round(value) if isinstance(distribution, IntDistribution) else float(value)


def with_scale(
    *,
    name: str,
    space: Mapping[str, Parameter],
    curves: Callable[[Sequence[Params]], Curves],
    finals: Callable[[Sequence[Params]], Finals] | None = None,
    n: int = 1500,
) -> Problem:
    """The problem whose regret is scaled by the best and the median of n random configurations that end.

    Where nobody knows better, what a configuration is worth at the end is the last value of its curve.
    """
    configs = sample(space, n, seed=0)
    finals_of = finals if finals is not None else lambda some: curves(some)[:, -1]
    values = np.concatenate([finals_of(configs[i : i + 100]) for i in range(0, n, 100)])  # bounds the memory
    ended = values[np.isfinite(values)]
    return Problem(
        name=name,
        space=space,
        curves=curves,
        max_epochs=curves(configs[:1]).shape[1],
        best=float(ended.max()),
        median=float(np.median(ended)),  # of those that did not diverge
        worst=float(ended.min()),
        finals=finals_of,
    )


def lcbench(folder: Path, tasks: Sequence[str] | None = None) -> list[Problem]:
    """The tasks of a folder with `model.onnx`, `encoding.json`, `config_space.json` (YAHPO's layout)."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options)
    codes = json.loads((folder / "encoding.json").read_text())["OpenML_task_id"]
    described = json.loads((folder / "config_space.json").read_text())["hyperparameters"]
    ranges = {entry["name"]: entry for entry in described}
    order = (
        "batch_size",
        "learning_rate",
        "momentum",
        "weight_decay",
        "num_layers",
        "max_units",
        "max_dropout",
    )
    space = {name: Parameter(distribution=_yahpo_distribution(ranges[name])) for name in order}
    epochs = np.arange(1, ranges["epoch"]["upper"] + 1)

    def curves_of(code: int) -> Callable[[Sequence[Params]], Curves]:
        def curves(configs: Sequence[Params]) -> Curves:
            x = np.array([[config[name] for name in order] for config in configs])
            rows = np.column_stack([np.tile(epochs, len(x)), np.repeat(x, len(epochs), axis=0)])
            task = np.full((len(rows), 1), code, np.int32)
            answer = session.run(None, {"x_cat": task, "x_cont": rows.astype(np.float32)})[0]
            return answer[:, 1].reshape(len(x), len(epochs)).astype(float)

        return curves

    unknown = set(tasks if tasks is not None else ()) - set(codes)
    if unknown:
        raise ValueError(f"no such tasks: {sorted(unknown)}; there are {sorted(codes)}")
    chosen = sorted(codes, key=int) if tasks is None else tasks
    return [with_scale(name=task, space=space, curves=curves_of(codes[task])) for task in chosen]


def _yahpo_distribution(entry: Mapping[str, Any]) -> BaseDistribution:
    kind = IntDistribution if entry["type"] == "uniform_int" else FloatDistribution
    return kind(entry["lower"], entry["upper"], log=entry["log"])


def table(file: Path) -> Problem:
    """A JSON table {name, space, rows: [{params, curve}]}; a suggestion gets the curve of the nearest row.

    `space` maps a name to {type: float | int | categorical, low, high, log, step, choices, when}. Nearest:
    the smallest sum over parameters of squared differences in [0, 1] units, 1 where the parameter is a
    category that differs or exists in one of the two only.
    """
    data = json.loads(file.read_text())
    space = {name: parameter_of(entry) for name, entry in data["space"].items()}
    rows = [row["params"] for row in data["rows"]]
    known = np.array([row["curve"] for row in data["rows"]], dtype=float)
    return with_scale(name=data.get("name", file.stem), space=space, curves=nearest_of(space, rows, known))


def nearest_of(
    space: Mapping[str, Parameter], rows: Sequence[Params], known: Curves
) -> Callable[[Sequence[Params]], Curves]:
    """Curves that are those of the nearest row of a table; known (rows, epochs)."""
    encoded = np.array([_encode(space, row) for row in rows])
    is_category = np.array([isinstance(p.distribution, CategoricalDistribution) for p in space.values()])

    def curves(configs: Sequence[Params]) -> Curves:
        return np.array([known[_nearest(encoded, _encode(space, c), is_category)] for c in configs])

    return curves


def parameter_of(entry: Mapping[str, Any]) -> Parameter:
    kinds: dict[str, type[FloatDistribution | IntDistribution]] = {
        "float": FloatDistribution,
        "int": IntDistribution,
    }
    if entry["type"] == "categorical":
        return Parameter(distribution=CategoricalDistribution(entry["choices"]), when=entry.get("when", {}))
    bounds = {key: entry[key] for key in ("low", "high", "log", "step") if key in entry}
    return Parameter(distribution=kinds[entry["type"]](**bounds), when=entry.get("when", {}))


def _encode(space: Mapping[str, Parameter], params: Params) -> npt.NDArray[np.float64]:
    """One number per parameter: position in [0, 1], index of the category, NaN where it does not exist."""
    return np.array(
        [_position(p.distribution, params[k]) if k in params else np.nan for k, p in space.items()]
    )


def _position(distribution: BaseDistribution, value: Any) -> float:
    if isinstance(distribution, CategoricalDistribution):
        return float(distribution.choices.index(value))
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = distribution.low, distribution.high
    if distribution.log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (value - low) / (high - low) if high > low else 0.0


def _nearest(
    encoded: npt.NDArray[np.float64], point: npt.NDArray[np.float64], is_category: npt.NDArray[np.bool_]
) -> int:
    squared = (encoded - point) ** 2
    squared[:, is_category] = (squared[:, is_category] > 0).astype(float)
    exists_in_one = np.isnan(encoded) != np.isnan(point)
    squared = np.where(exists_in_one, 1.0, np.nan_to_num(squared))
    return int(squared.sum(axis=1).argmin())
