"""The kernels for CUDA: in Triton's interpreter, on a device where there is one, and through its compiler.

Triton reads TRITON_INTERPRET when it is imported, so the comparisons run in a process of their own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.nn.builders import DEVICE_VARIABLE

ROOT = Path(__file__).parents[2]
triton = pytest.importorskip("triton", reason="Triton comes with PyTorch for Linux")


def run(arguments: list[str], interpret: bool) -> None:
    device = {"TRITON_INTERPRET": "1" if interpret else "0", DEVICE_VARIABLE: "cpu" if interpret else "cuda"}
    environment = {**os.environ, **device, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *arguments]
    result = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=500
    )
    assert result.returncode == 0, result.stdout[-5000:] + result.stderr[-5000:]


def compare(interpret: bool) -> None:
    options = ["-q", "-x", "-p", "no:cacheprovider"]
    run(["-m", "pytest", *options, "tests/nn/triton_comparison.py"], interpret)


@pytest.mark.slow
def test_the_interpreter_agrees_in_every_size_type_and_gate() -> None:
    compare(interpret=True)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_device_agrees_with_plain_and_the_reference() -> None:
    compare(interpret=False)


@pytest.mark.slow
def test_kernels_compile_for_a_gpu() -> None:
    """For compute capability 9.0, without one: Triton's compiler refuses what its interpreter forgives."""
    run(["-m", "tests.nn.triton_compilation"], interpret=False)
