"""What `dataset.name` may be: a built-in data set, or `module:Class`. Imports none of them."""

from __future__ import annotations

from ubn_sweep.schema import did_you_mean

BUILT_IN = {
    "digits": "ubn_sweep.training.data.digits:Digits",
    "cifar10": "ubn_sweep.training.data.cifar:Cifar10",
    "cifar100": "ubn_sweep.training.data.cifar:Cifar100",
    "mnist": "ubn_sweep.training.data.mnist:Mnist",
    "fashionmnist": "ubn_sweep.training.data.mnist:FashionMnist",
    "imagefolder": "ubn_sweep.training.data.folder:ImageFolder",
    "parquet": "ubn_sweep.training.data.parquet:Parquet",
}
"""The registry: name -> its class, which is imported when a config names it."""


def check_name(name: str) -> str:
    """Whether a name could be one; a user's own module is looked for later, when the data is.

    Raises:
        ValueError: it is neither built in nor written `module:Class`.
    """
    if name in BUILT_IN or all(name.partition(":")):
        return name
    known = ", ".join(f"'{item}'" for item in BUILT_IN)
    raise ValueError(
        f"should be {known} or `module:Class` of your own, but got {name!r}{did_you_mean(name, list(BUILT_IN))}"
    )
