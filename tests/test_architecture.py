"""Who may import whom: the rules that keep the rooms apart, checked on the source."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    # room -> rooms of ubn_sweep that it may import besides itself and the plain modules at the top
    "nn": set(),
    "training": {"nn"},
    "tracking": set(),
    "sweep": {"tracking", "training"},
    "landscape": {"tracking", "training"},
    "export": {"tracking", "training", "landscape"},
}
PLAIN = {"errors", "schema", "overrides", "privacy", "__init__"}
OWNER = {
    # heavy dependency -> the places in ubn_sweep that may import it
    "ray": {"sweep"},
    "mlflow": {"tracking"},
    "matplotlib": {"landscape", "export"},
    "torch": {"nn", "training"},
    "torchvision": {"training"},
    "pydantic": {"schema", "sweep"},
    "yaml": {"schema", "overrides"},
    "optuna": {"sweep", "landscape"},
    "rich": {"live", "commands", "cli"},
    "click": {"cli"},
}


def modules():
    return sorted((ROOT / "ubn_sweep").rglob("*.py"))


def imports(path):
    """All modules that a file imports, those inside functions included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module == "ubn_sweep")


def room(path):
    parts = path.relative_to(ROOT / "ubn_sweep").parts
    return parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path):
    mine = room(path)
    for name in imports(path):
        if not name.startswith("ubn_sweep.") or mine not in MAY_IMPORT:
            continue
        other = name.split(".")[1]
        if other[0] == "_":
            continue
        assert other in {mine, *PLAIN, *MAY_IMPORT[mine]}, f"{path}: {mine} may not import {other}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_heavy_dependencies_have_one_owner(path):
    for name in imports(path):
        owners = OWNER.get(name.split(".")[0])
        assert owners is None or room(path) in owners, f"{path} may not import {name}"


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
        "ubn_sweep.commands",
        "ubn_sweep.sweep.spec",
        "ubn_sweep.sweep.launch",
        "ubn_sweep.landscape",
    ],
)
def test_the_service_side_needs_no_torch(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules or 'ray' in sys.modules or 'mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
