"""Where the fast kernels cannot work, the plain ones do: told once, chosen by a switch, or by size."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ubn_sweep.nn import kernels
from ubn_sweep.nn.kernels import kernels_for, plain
from ubn_sweep.nn.kernels.interface import Rectifiers


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device, on which Triton works")
def test_triton_that_cannot_work_is_told_once_and_done_without() -> None:
    """Here it finds no driver; without a C compiler it fails at the same place."""
    pytest.importorskip("triton", reason="Triton comes with PyTorch for Linux")
    kernels._cuda.cache_clear()
    with pytest.warns(
        UserWarning, match="Triton cannot be used .* install a C compiler such as gcc, or set"
    ) as told:
        assert kernels._cuda() is None
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert kernels._cuda() is None


def test_the_switch_takes_pytorchs_own_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.zeros(2, 3, 4, 4)
    for value, expected in (("plain", True), ("", False)):
        monkeypatch.setenv("UBN_SWEEP_KERNELS", value)
        kernels._switched_off.cache_clear()
        assert (kernels_for(x) is plain) == expected
    kernels._switched_off.cache_clear()


@pytest.mark.parametrize(("side", "fits"), [(1600, True), (3200, False)])
def test_maps_beyond_a_grid_are_not_taken(side: int, fits: bool) -> None:
    tensors = pytest.importorskip(
        "ubn_sweep.nn.kernels.cuda.tensors", reason="Triton comes with PyTorch for Linux"
    )
    x = torch.empty((1, 64, side, side), device="meta").to(memory_format=torch.channels_last)
    layer = Rectifiers(None, None, None, torch.empty((64, 1, 3, 3), device="meta"), None, False)
    assert tensors.programs_of_an_image(x, 3) == side // 8 * (side // 16)
    assert tensors.takes_layer(x, layer) == fits


@pytest.mark.parametrize(("side", "fits"), [(4096, True), (6000, False)])
def test_images_beyond_32_bits_are_not_taken(side: int, fits: bool) -> None:
    tensors = pytest.importorskip(
        "ubn_sweep.nn.kernels.cuda.tensors", reason="Triton comes with PyTorch for Linux"
    )
    assert tensors.is_dense(torch.empty((2, 64, side, side), device="meta")) == fits


def test_the_similarity_is_not_left_to_autocast() -> None:
    """Half precision ends at 65504: |u|**2 of 512 similar images lies beyond."""
    seen = {}

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen[func.overloadpacket.__name__] = torch.is_autocast_enabled("cpu")
            return func(*args, **(kwargs or {}))

    x = torch.rand(512, 4, 2, 2, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", dtype=torch.float16), Watch():
        c = plain.similarity(x, *plain.moments(x))
    assert not seen["mv"]
    assert not seen["dot"]
    assert c.item() == pytest.approx(plain.similarity(x, *plain.moments(x)).item())
