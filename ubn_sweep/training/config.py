"""Sections of trial configs that several tasks have in common: presets, trials and exported configs share them.

Nothing here imports torch, so that a service can validate configs without it.
Source of the fields: what arXiv 2311.15993, tables 2 to 7, varies or states.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ubn_sweep.schema import OMIT_EMPTY, require
from ubn_sweep.training.data.config import DatasetConfig as DatasetConfig

NormName = Literal["ubn", "bn", "in", "gn", "ln", "rbn", "bnet", "iebn"]
WITHOUT_MOMENTUM: tuple[NormName, ...] = ("in", "gn", "ln")
"""They keep no running statistics that it could move."""


@dataclass(frozen=True, kw_only=True)
class NormConfig:
    """The normalization layer, as ubn_sweep.nn.UnifiedBatchNorm2d takes it.

    Fields that have no effect are null: the threshold and its momentum where the gate is off, the kernel
    size where the affine step is not depthwise, all but the name for a named relative of UBN.
    """

    name: NormName = field(default="ubn", metadata={"title": "layer"})
    gate: bool | None = field(default=True, metadata={"title": "statistics gate"})
    """Whether the feature condensation threshold gates the running statistics."""
    threshold: float | None = 0.15
    momentum: float | None = 0.1
    """Of the running statistics, PyTorch's convention: new = (1 - momentum) * old + momentum * observed."""
    similarity_momentum: float | None = field(default=0.1, metadata={"short": "sim. mom."})
    """Of the running similarity, the same convention."""
    centering: bool | None = True
    scaling: Literal["representative", "instance"] | None = "representative"
    affine: Literal["pointwise", "depthwise"] | None = "depthwise"
    kernel_size: int | None = field(default=3, metadata={"short": "kernel"})
    synchronized: bool | None = field(default=False, metadata={"title": "statistics of all workers"})
    """Whether the workers of a trial normalize by the statistics of their joint batch, or each by those of its own."""

    def __post_init__(self) -> None:
        if self.name != "ubn":
            # The name decides the rectifiers; batch-statistics layers keep their momentum.
            self._null(
                "gate", "threshold", "similarity_momentum", "centering", "scaling", "affine", "kernel_size"
            )
            if self.name in WITHOUT_MOMENTUM:
                self._null("momentum", "synchronized")
            else:
                self._check_given("synchronized")
                self._check_momentum("momentum")
            return
        for name in ("gate", "centering", "affine", "synchronized"):
            self._check_given(name)
        self._check_momentum("momentum")
        if self.gate:
            require(self.threshold is not None, "threshold is a number where the gate is on", None, "0.15")
            self._check_momentum("similarity_momentum")
        else:
            self._null("threshold", "similarity_momentum")
        if self.affine == "depthwise":
            size = self.kernel_size
            require(
                size is not None and size >= 1 and size % 2 == 1,
                "kernel_size is odd and positive",
                size,
                "take 1, 3, 5 or 7",
            )
        else:
            self._null("kernel_size")

    def _null(self, *names: str) -> None:
        for name in names:
            object.__setattr__(self, name, None)

    def _check_given(self, name: str) -> None:
        given = getattr(self, name) is not None
        require(given, f"{name} is given for {self.name}", None, "leave the key out")

    def _check_momentum(self, name: str) -> None:
        value = getattr(self, name)
        require(value is not None and 0.0 <= value <= 1.0, f"0 <= {name} <= 1", value, "0.1 is usual")


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """The optimizer and the shape of its learning rate over the epochs."""

    name: Literal["sgd", "adamw"] = "sgd"
    lr: float = 0.1
    """The highest learning rate."""
    lr_at_batch_size: int | None = field(default=None, metadata={OMIT_EMPTY: True})
    """The batch size that `lr` is meant for: it grows in proportion to the images of a step; null takes it as it is."""
    momentum: float = 0.9
    """SGD's; adamw ignores it."""
    nesterov: bool = False
    weight_decay: float = 5e-4
    norm_weight_decay: float | None = None
    """Of the normalization layers' parameters; null treats them as all others."""
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    step_epochs: tuple[int, ...] = ()
    """Epochs after which `step` multiplies the learning rate by step_factor."""
    step_factor: float = 0.1
    warmup_epochs: float = 0.0
    """Linear warm-up from 0."""
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        require(self.lr > 0.0, "lr > 0", self.lr, "0.1 is usual for sgd, 0.001 for adamw")
        at = self.lr_at_batch_size
        require(at is None or at >= 1, "lr_at_batch_size >= 1", at, "give a batch size, or null")
        require(0.0 <= self.momentum < 1.0, "0 <= momentum < 1", self.momentum, "0.9 is usual")
        require(self.weight_decay >= 0.0, "weight_decay >= 0", self.weight_decay, "0.0005 is usual")
        own = self.norm_weight_decay
        require(
            own is None or own >= 0.0, "norm_weight_decay >= 0", own, "0 takes it off, null is as the others"
        )
        require(self.warmup_epochs >= 0.0, "warmup_epochs >= 0", self.warmup_epochs, "0 switches it off")
        require(
            0.0 <= self.label_smoothing < 1.0, "0 <= label_smoothing < 1", self.label_smoothing, "0 is off"
        )
        if self.schedule == "step" and not self.step_epochs:
            raise ValueError("the `step` schedule needs step_epochs, but got none: give [100, 150], say")
        require(
            not (self.nesterov and self.momentum == 0.0),
            "nesterov has momentum > 0",
            self.momentum,
            "raise it",
        )


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How long and how a run trains."""

    epochs: int = 12
    """The full budget; early stopping may end a trial before."""
    batch_size: int = field(default=64, metadata={"short": "batch"})
    """Of one worker: where several train together, a step sees as many times so many."""
    eval_batch_size: int = 512
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """The others train under autocast, float16 with a scaled loss; statistics stay in float32."""
    channels_last: bool = False

    def __post_init__(self) -> None:
        require(self.epochs >= 1, "epochs >= 1", self.epochs, "give the full budget in epochs")
        require(self.batch_size >= 2, "batch_size >= 2", self.batch_size, "batch statistics need two images")
        require(self.eval_batch_size >= 1, "eval_batch_size >= 1", self.eval_batch_size, "512 is usual")
