"""What `model.name` may be: a built-in network, one of torchvision's or timm's, or `module:function`. Imports none."""

from __future__ import annotations

from ubn_sweep.schema import did_you_mean

SMALL_RESNETS = {"resnet8": 1, "resnet20": 3}
"""Name -> blocks in each of the three stages."""
_TORCHVISION = """
alexnet convnext_base convnext_large convnext_small convnext_tiny densenet121 densenet161 densenet169 densenet201
efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4 efficientnet_b5 efficientnet_b6
efficientnet_b7 efficientnet_v2_l efficientnet_v2_m efficientnet_v2_s googlenet inception_v3 maxvit_t mnasnet0_5
mnasnet0_75 mnasnet1_0 mnasnet1_3 mobilenet_v2 mobilenet_v3_large mobilenet_v3_small regnet_x_16gf regnet_x_1_6gf
regnet_x_32gf regnet_x_3_2gf regnet_x_400mf regnet_x_800mf regnet_x_8gf regnet_y_128gf regnet_y_16gf regnet_y_1_6gf
regnet_y_32gf regnet_y_3_2gf regnet_y_400mf regnet_y_800mf regnet_y_8gf resnet101 resnet152 resnet18 resnet34 resnet50
resnext101_32x8d resnext101_64x4d resnext50_32x4d shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5
shufflenet_v2_x2_0 squeezenet1_0 squeezenet1_1 swin_b swin_s swin_t swin_v2_b swin_v2_s swin_v2_t vgg11 vgg11_bn vgg13
vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn vit_b_16 vit_b_32 vit_h_14 vit_l_16 vit_l_32 wide_resnet101_2 wide_resnet50_2
"""
TORCHVISION = tuple(_TORCHVISION.split())
"""torchvision's classifiers. Without importing torch, a misspelt name is told when a config is read."""
TIMM_PREFIX = "timm/"
"""Before the name of one of timm's models, which needs the package timm: `timm/res2net50_26w_4s`."""


def is_timm(name: str) -> bool:
    """Whether it is written `timm/NAME`."""
    return name.startswith(TIMM_PREFIX) and len(name) > len(TIMM_PREFIX)


def is_own(name: str) -> bool:
    """Whether it is written `module:function`."""
    return all(name.partition(":"))


def check_name(name: str) -> str:
    """Whether a name could be one; a user's own module is looked for later.

    Raises:
        ValueError: it is neither built in, nor torchvision's, nor written `timm/NAME` or `module:function`.
    """
    if name in SMALL_RESNETS or name in TORCHVISION or is_timm(name) or is_own(name):
        return name
    near = did_you_mean(name, [*SMALL_RESNETS, *TORCHVISION])
    raise ValueError(
        "should be 'resnet8', 'resnet20', a classifier of torchvision's ('resnet18', 'vgg11_bn', ...), `timm/NAME` of "
        f"timm's or `module:function` of your own, but got {name!r}{near}"
    )
