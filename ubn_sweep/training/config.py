"""The schema of one training run: presets, trials and exported configs all have it.

Nothing here imports torch, so that a service can validate configs without it.
Source of the fields: what arXiv 2311.15993, tables 2 to 7, varies or states.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

FORBID_UNKNOWN_KEYS: dict[str, Any] = {"extra": "forbid"}

DatasetName = Literal["digits", "cifar10", "cifar100", "imagefolder", "parquet"]
ModelName = Literal[
    "resnet8",
    "resnet20",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "wide_resnet50_2",
]
NormName = Literal["ubn", "bn", "in", "gn", "rbn", "bnet", "iebn"]
DATASETS_WITH_A_FOLDER = ("cifar10", "cifar100", "imagefolder", "parquet")


def _require(holds: bool, rule: str, value: object, remedy: str) -> None:
    if not holds:
        raise ValueError(f"`{rule}` must hold, but got {value}: {remedy}")


@dataclass(frozen=True, kw_only=True)
class DatasetConfig:
    """Which images, and how they are split. The test set is never seen before the final training."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID_UNKNOWN_KEYS

    name: DatasetName = "digits"
    root: str | None = None
    """Folder of the data; for `parquet`, one that holds train-*.parquet and test-*.parquet."""
    download: bool = False
    """Lets torchvision download `cifar10` and `cifar100` into `root`."""
    validation_fraction: float = 0.2
    """Share of the (subset of the) training set that is held out, class by class."""
    train_examples: int | None = None
    """Size of a class-balanced subset of the training set, validation included; null takes all of it."""
    test_examples: int | None = None
    """Size of a class-balanced subset of the test set; null takes all of it."""
    split_seed: int = 0
    """Decides the subset and the validation split, so that all trials of a sweep share them."""
    augmentation: Literal["none", "crop_flip", "resized_crop_flip"] = "none"
    image_size_px: int | None = None
    """Images are resized to this square; null keeps their size (`imagefolder` needs a value)."""

    def __post_init__(self) -> None:
        _require(
            0.0 < self.validation_fraction < 1.0,
            "0 < validation_fraction < 1",
            self.validation_fraction,
            "0.1 to 0.2 is usual",
        )
        for name in ("train_examples", "test_examples", "image_size_px"):
            value = getattr(self, name)
            _require(value is None or value >= 1, f"{name} >= 1", value, "give a count, or null")
        if self.name == "imagefolder" and self.image_size_px is None:
            raise ValueError("`imagefolder` needs image_size_px, but got null: 224 is usual")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A residual network: resnet8 and resnet20 are He et al.'s CIFAR networks, the others torchvision's."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID_UNKNOWN_KEYS

    name: ModelName = "resnet8"
    width: int = 16
    """Channels of the first stage of resnet8 and resnet20; the others have their own."""
    stem: Literal["auto", "cifar", "imagenet"] = "auto"
    """cifar: a 3x3 convolution and no pooling, for small images; auto decides by the image size (64 px)."""

    def __post_init__(self) -> None:
        _require(self.width >= 1, "width >= 1", self.width, "16 is usual")


@dataclass(frozen=True, kw_only=True)
class NormConfig:
    """The normalization layer, as ubn_sweep.nn.UnifiedBatchNorm2d takes it.

    Fields that have no effect are null: the threshold and its momentum where the gate is off, the kernel
    size where the affine step is not depthwise, all but the name for a named relative of UBN.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID_UNKNOWN_KEYS

    name: NormName = "ubn"
    gate: bool | None = True
    """Whether the feature condensation threshold gates the running statistics."""
    threshold: float | None = 0.15
    momentum: float | None = 0.1
    """Of the running statistics, PyTorch's convention: new = (1 - momentum) * old + momentum * observed."""
    similarity_momentum: float | None = 0.1
    """Of the running similarity, the same convention."""
    centering: bool | None = True
    scaling: Literal["representative", "instance"] | None = "representative"
    affine: Literal["pointwise", "depthwise"] | None = "depthwise"
    kernel_size: int | None = 3

    def __post_init__(self) -> None:
        if self.name != "ubn":
            # The name decides the rectifiers; batch-statistics layers keep their momentum.
            self._null(
                "gate", "threshold", "similarity_momentum", "centering", "scaling", "affine", "kernel_size"
            )
            if self.name in ("gn", "in"):
                self._null("momentum")
            else:
                self._check_momentum("momentum")
            return
        for name in ("gate", "centering", "affine"):
            _require(getattr(self, name) is not None, f"{name} is given for ubn", None, "leave the key out")
        self._check_momentum("momentum")
        if self.gate:
            _require(self.threshold is not None, "threshold is a number where the gate is on", None, "0.15")
            self._check_momentum("similarity_momentum")
        else:
            self._null("threshold", "similarity_momentum")
        if self.affine == "depthwise":
            size = self.kernel_size
            _require(
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

    def _check_momentum(self, name: str) -> None:
        value = getattr(self, name)
        _require(value is not None and 0.0 <= value <= 1.0, f"0 <= {name} <= 1", value, "0.1 is usual")


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """The optimizer and the shape of its learning rate over the epochs."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID_UNKNOWN_KEYS

    name: Literal["sgd", "adamw"] = "sgd"
    lr: float = 0.1
    """The highest learning rate, at the batch size given: it is not rescaled."""
    momentum: float = 0.9
    """SGD's; adamw ignores it."""
    nesterov: bool = False
    weight_decay: float = 5e-4
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    step_epochs: tuple[int, ...] = ()
    """Epochs after which `step` multiplies the learning rate by step_factor."""
    step_factor: float = 0.1
    warmup_epochs: float = 0.0
    """Linear warm-up from 0."""
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        _require(self.lr > 0.0, "lr > 0", self.lr, "0.1 is usual for sgd, 0.001 for adamw")
        _require(0.0 <= self.momentum < 1.0, "0 <= momentum < 1", self.momentum, "0.9 is usual")
        _require(self.weight_decay >= 0.0, "weight_decay >= 0", self.weight_decay, "0.0005 is usual")
        _require(self.warmup_epochs >= 0.0, "warmup_epochs >= 0", self.warmup_epochs, "0 switches it off")
        _require(
            0.0 <= self.label_smoothing < 1.0, "0 <= label_smoothing < 1", self.label_smoothing, "0 is off"
        )
        if self.schedule == "step" and not self.step_epochs:
            raise ValueError("the `step` schedule needs step_epochs, but got none: give [100, 150], say")
        _require(
            not (self.nesterov and self.momentum == 0.0),
            "nesterov has momentum > 0",
            self.momentum,
            "raise it",
        )


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How long and how a run trains."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID_UNKNOWN_KEYS

    epochs: int = 12
    """The full budget; early stopping may end a trial before."""
    batch_size: int = 64
    eval_batch_size: int = 512
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16 trains under autocast; statistics stay in float32."""
    channels_last: bool = False

    def __post_init__(self) -> None:
        _require(self.epochs >= 1, "epochs >= 1", self.epochs, "give the full budget in epochs")
        _require(self.batch_size >= 2, "batch_size >= 2", self.batch_size, "batch statistics need two images")
        _require(self.eval_batch_size >= 1, "eval_batch_size >= 1", self.eval_batch_size, "512 is usual")


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where an exported config came from, and what the sweep promised of it."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID_UNKNOWN_KEYS

    sweep: str
    sweep_id: str
    trial: int
    status: str
    epoch: int
    """The epoch that the promise was measured at."""
    promised_val_top1: float
    """Share of the validation images, 0 to 1."""
    val_top1_spread: float | None = None
    """Standard deviation over the repeats; null for a single one."""
    validation_examples: int | None = None
    candidates: int | None = None
    """How many finished trials it was chosen from: the best of many looks better than it is."""
    run_id: str | None = None
    tracking_uri: str | None = None
    git_revision: str | None = None
    exported_at: str | None = None


@dataclass(frozen=True, kw_only=True)
class TrialConfig:
    """Everything that one training run depends on."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID_UNKNOWN_KEYS

    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    norm: NormConfig = field(default_factory=NormConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    seed: int = 0
    """Of the weights, the order of the images and the augmentation."""
    repeats: int = 1
    """Seeds seed, seed + 1, ... trained epoch by epoch beside each other and judged by their mean."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    provenance: Provenance | None = None

    def __post_init__(self) -> None:
        _require(self.seed >= 0, "seed >= 0", self.seed, "take any natural number")
        _require(self.repeats >= 1, "repeats >= 1", self.repeats, "1 trains one seed")
