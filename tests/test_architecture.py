"""Who may import whom: the rules that keep the rooms apart, checked on the source. In words: CONTRIBUTING.md."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GROUND = {
    "errors",
    "schema",
    "source",
    "files",
    "file_lock",
    "dotted",
    "plain_json",
    "texts",
    "overrides",
    "masking",
    "certificates",
    "mounts",
    "privacy",
    "one_thread",
    "processes",
    "progress",
    "invocation",
    "version",
    "storage",
}
"""Single modules at the top, which import nothing above themselves."""
MAY_IMPORT = {
    # room -> the rooms that it may import besides itself and the ground; the longest name that fits is a file's room
    "nn": set(),
    "records": set(),
    "tracking.delivery": {"records"},
    "tracking.mlflow": {"records", "tracking.delivery", "tracking"},
    "tracking.optuna": {"records", "tracking.delivery", "tracking"},
    "tracking": {"records"},
    "training": {"nn", "records"},
    "sweep.spec": {"records", "training", "surrogate"},
    "surrogate": set(),
    "sweep.deciding": {"records", "training", "sweep.spec", "surrogate"},
    "sweep.running.ray": {
        "records", "training", "sweep.spec", "sweep.deciding", "sweep.running", "sweep.explaining",
    },
    "sweep.running": {
        "records", "training", "sweep.spec", "sweep.deciding", "sweep.running.ray",
        "tracking", "tracking.delivery", "tracking.mlflow", "tracking.optuna",
    },
    "sweep.explaining": {"records", "training", "sweep.spec", "sweep.deciding"},
    "sweep": set(),
    "landscape.views": {"records", "surrogate", "landscape"},
    "landscape.figures": {"records", "landscape", "landscape.views"},
    "landscape": {"records", "training", "landscape.views", "landscape.figures"},
    "export": {"records", "training", "landscape", "landscape.views"},
    "nulls": {"records", "landscape", "landscape.views", "surrogate", "sweep.spec", "sweep.deciding"},
    "commands": {
        "records", "training", "landscape", "export", "nulls", "tracking", "tracking.delivery", "tracking.mlflow",
        "sweep.spec", "sweep.deciding", "sweep.running", "sweep.running.ray", "sweep.explaining",
    },
    "cli": {"commands"},
    "api": {"commands", "records", "landscape", "sweep.spec", "sweep.running"},
    "maps": {"commands", "records", "landscape", "landscape.figures"},
    "__main__": {"cli"},
}  # fmt: skip
OWNER = {
    # heavy dependency -> the rooms of ubn_sweep that may import it
    "ray": {"sweep.running.ray"},
    "mlflow": {"tracking.mlflow"},
    "matplotlib": {"landscape.figures", "maps"},
    "torch": {"nn", "training"},
    "torchvision": {"training"},
    "pydantic": {"schema", "sweep.spec"},
    "yaml": {"schema", "source", "overrides"},
    "optuna": {"surrogate", "sweep.spec", "sweep.deciding", "tracking.optuna"},
    "sqlalchemy": {"tracking.mlflow"},
    "sklearn": {"sweep.deciding", "landscape.views", "training"},
    "rich": {"commands"},
    "filelock": {"file_lock"},
    "click": {"cli"},
    "jinja2": {"landscape"},
}
PRIVATE = {
    # what no public name gives, with the reason
    "ubn_sweep.nn.kernels": {
        "torch.utils._python_dispatch"
    },  # whether a dispatch mode watches the operations
}
USED_BY_RECIPES = {
    "ubn_sweep.training",
    "ubn_sweep.records",
    "ubn_sweep.nn",
    "ubn_sweep.errors",
    "ubn_sweep.sweep.running",
}
"""What a file in trainables/ may import of ubn_sweep: it reads like documentation."""


@cache
def modules():
    """{dotted name: path} of ubn_sweep."""
    found = {}
    for path in sorted((ROOT / "ubn_sweep").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imports(path):
    """All modules that a file imports, those inside functions and under TYPE_CHECKING included."""
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            assert node.level == 0, f"{path}: imports are absolute"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            submodules = [name for name in inner if name in modules()]
            names += submodules
            if len(submodules) < len(inner):
                names.append(node.module)
    return tuple(names)


def room(name):
    """The room of a module of ubn_sweep, `records` for example; None for ubn_sweep itself."""
    parts = name.split(".")[1:]
    for length in range(len(parts), 0, -1):
        candidate = ".".join(parts[:length])
        if candidate in MAY_IMPORT or candidate in GROUND:
            return candidate
    assert not parts, f"{name} lies in no room: give it a row"
    return None


def foreign(name):
    """What a module imports of other rooms without leave."""
    mine = room(name)
    allowed = {mine, None, *GROUND} if mine not in GROUND else {None, *GROUND}
    allowed |= MAY_IMPORT.get(mine, set())
    ours = [other for other in imports(modules()[name]) if other.split(".")[0] == "ubn_sweep"]
    return [f"{name}: {mine} may not import {other}" for other in ours if room(other) not in allowed]


def test_imports_point_one_way():
    assert [line for name in modules() for line in foreign(name)] == []


def heavy(name):
    """What a module imports of dependencies that are owned by other rooms."""
    mine, found = str(room(name)), []
    for other in imports(modules()[name]):
        owners = OWNER.get(other.split(".")[0])
        if owners is not None and not any(mine == owner or mine.startswith(f"{owner}.") for owner in owners):
            found.append(f"{name} may not import {other}")
    return found


def test_heavy_dependencies_have_one_owner():
    assert [line for name in modules() for line in heavy(name)] == []


def test_no_module_imports_itself_by_a_detour():
    """No circle of imports, lazy ones included: what a circle holds cannot be understood, or moved, by itself."""
    graph = {
        name: {other for other in imports(path) if other in modules() and other != name}
        for name, path in modules().items()
    }
    open_, done = [], set()

    def visit(name):
        assert name not in open_, f"circle: {' -> '.join([*open_[open_.index(name) :], name])}"
        if name in done:
            return
        open_.append(name)
        for other in sorted(graph[name]):
            visit(other)
        done.add(open_.pop())

    for name in graph:
        visit(name)


def test_every_row_is_a_room():
    for row in (*MAY_IMPORT, *{item for allowed in MAY_IMPORT.values() for item in allowed}):
        assert f"ubn_sweep.{row}" in modules(), f"{row} is no room"


@pytest.mark.parametrize("path", sorted((ROOT / "trainables").glob("*.py")), ids=lambda path: path.name)
def test_recipes_use_the_public_rooms(path):
    for name in imports(path):
        if name.split(".")[0] == "ubn_sweep":
            assert any(name == used or name.startswith(f"{used}.") for used in USED_BY_RECIPES), (
                f"{path}: {name}"
            )


def private(name):
    """What a module imports of a dependency that no public name gives."""
    known, found = PRIVATE.get(name, set()), []
    for other in imports(modules()[name]):
        parts = other.split(".")
        is_private = any(part.startswith("_") and part != "__future__" for part in parts[1:])
        if parts[0] != "ubn_sweep" and other not in known and is_private:
            found.append(f"{name} imports {other}")
    return found


def test_no_private_module_of_a_dependency():
    assert [line for name in modules() for line in private(name)] == []


def test_nn_needs_torch_alone():
    """What makes it faster is imported by the kernels alone, which do without where it is missing."""
    allowed = {"torch", "ubn_sweep", "jaxtyping"} | set(sys.stdlib_module_names)
    nn = ROOT / "ubn_sweep" / "nn"
    for path in nn.rglob("*.py"):
        faster = {"triton", "numba", "numpy"} if nn / "kernels" in path.parents else set()
        for name in imports(path):
            assert name.split(".")[0] in allowed | faster, f"{path}: {name}"


@pytest.mark.parametrize(
    "module",
    [
        "ubn_sweep.cli",
        "ubn_sweep.api",
        "ubn_sweep.commands",
        "ubn_sweep.sweep.spec.loading",
        "ubn_sweep.sweep.running.launch",
        "ubn_sweep.landscape",
    ],
)
def test_the_service_side_needs_no_torch(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules or 'ray' in sys.modules or 'mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
