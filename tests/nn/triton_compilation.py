"""Compiles every Triton kernel for compute capability 9.0, in half and single precision; needs no GPU.

    python -m tests.nn.triton_compilation            a table of registers and spills

Exits with an error where a kernel does not compile, or keeps registers in memory (spills).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from ubn_sweep.nn.kernels.cuda import triton_backward as backward
from ubn_sweep.nn.kernels.cuda import triton_depthwise as depthwise
from ubn_sweep.nn.kernels.cuda import triton_finalize as finalize
from ubn_sweep.nn.kernels.cuda import triton_forward as forward
from ubn_sweep.nn.kernels.cuda import triton_small as small

DATA = {"x", "y", "g", "gy", "gx"}
DIVISIBLE = {"C", "HW", "CHW"}
NUMBERS = {*DIVISIBLE, "N", "H", "W", "M", "run", "segments", "samples", "slots", "parts"}
HOST_NUMBERS = {
    "threshold",
    "similarity_momentum",
    "momentum",
    "eps",
    "unbias",
    "elements",
    "constant_flow",
}
OTHERS = {"tracked": "*i64", "is_open": "*i1"}
ROW: dict[str, Any] = {"KERNEL": 3, "ROWS": 4, "CL": True, "BX": 8, "BC": 64}
CUOBJDUMP = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"

CASES: list[tuple[Any, dict[str, Any]]] = [
    (forward.moments_kernel, {"CL": True, "BP": 64, "BC": 64}),
    (forward.moments_kernel, {"CL": False, "BP": 1024, "BC": 4}),
    (forward.directions_kernel, {"WHOLE": False, "BN": 8, "BP": 512}),
    (forward.directions_kernel, {"WHOLE": True, "BN": 8, "BP": 512}),
    (forward.rectify_kernel, {"INSTANCE": False, "PER_SAMPLE": False, "CL": True, "BP": 64, "BC": 64}),
    (backward.reduce_kernel, {"CL": True, "BP": 64, "BC": 64}),
    (backward.combine_kernel, {"CL": True, "BP": 64, "BC": 64}),
    (depthwise.rectify_depthwise_kernel, {"INSTANCE": False, **ROW}),
    (depthwise.combine_depthwise_kernel, ROW),
    (depthwise.reduce_depthwise_kernel, {"INSTANCE": False, **ROW}),
    (small.norms_kernel, {"BC": 1024}),
    (small.similarity_kernel, {"B": 1024}),
    (small.decide_kernel, {"GATED": True, "CUMULATIVE": True, "num_warps": 1}),
    (small.settle_kernel, {"BN": 256, "BC": 16, "num_warps": 8}),
    (small.slots_kernel, {"TAPS": 9, "BS": 32, "BC": 64}),
    (
        finalize.finalize_kernel,
        {"weight": None, "grad_weight": None, "grad_bias": None, "INSTANCE": False, "BN": 128, "BC": 16}
        | {"num_warps": 8},
    ),
    (finalize.finalize_kernel, {"flow": None, "INSTANCE": True, "BN": 128, "BC": 16, "num_warps": 8}),
]


def type_of(name: str, constants: dict[str, Any], half: str) -> str:
    if name in constants:
        return "constexpr"
    if name in HOST_NUMBERS:
        return "fp64"
    return OTHERS.get(name, "i32" if name in NUMBERS else half if name in DATA else "*fp32")


def compile_for_hopper(kernel: Any, constants: dict[str, Any], data: str) -> Any:
    options = {"num_warps": constants.get("num_warps", 4)}
    constants = {name: value for name, value in constants.items() if name != "num_warps"}
    signature = {name: type_of(name, constants, data) for name in kernel.arg_names}
    aligned = {
        (i,): [["tt.divisibility", 16]]
        for i, (name, kind) in enumerate(signature.items())
        if kind.startswith("*") or (kind == "i32" and name in DIVISIBLE)
    }
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants, attrs=aligned)
    return triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options)


def resources(cubin: bytes) -> dict[str, int]:
    """Registers per thread, bytes of stack and of shared memory."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        printed = subprocess.run(
            [str(CUOBJDUMP), "-res-usage", file.name], capture_output=True, text=True, check=True
        ).stdout
    return {name: int(value) for name, value in re.findall(r"(REG|STACK|SHARED):(\d+)", printed)}


def main() -> None:
    spilled = []
    for kernel, constants in CASES:
        for data in ("*bf16", "*fp32"):
            if data == "*fp32" and not DATA & set(kernel.arg_names):
                continue
            found = resources(compile_for_hopper(kernel, constants, data).asm["cubin"])
            print(f"{kernel.__name__:26s} {data} {found} {constants}", flush=True)
            if found["STACK"] > 0:
                spilled.append(kernel.__name__)
    if spilled:
        sys.exit(f"registers in memory: {spilled}")


if __name__ == "__main__":
    assert os.environ.get("TRITON_INTERPRET") != "1"
    main()
