"""He et al.'s residual networks for CIFAR (arXiv 1512.03385, section 4.2): resnet8, resnet20, ..."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class BasicBlock(nn.Module):
    """relu(x' + norm2(conv2(relu(norm1(conv1(x)))))).

    x' is x without parameters (option A): where the block halves the image, every second pixel of x, with
    zeros for the new channels.

    Shapes: x (N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.new_channels = out_channels - in_channels
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        if self.stride != 1:
            x = x[:, :, :: self.stride, :: self.stride]
        if self.new_channels:
            before = self.new_channels // 2
            x = F.pad(x, (0, 0, 0, 0, before, self.new_channels - before))
        return F.relu(y + x)


class SmallResNet(nn.Module):
    """A stem, three stages of `blocks` blocks with 1, 2 and 4 times `width` channels, a linear classifier.

    It has 6 * blocks + 2 layers with weights. Shapes: x (N, in_channels, H, W) -> logits (N, num_classes).
    """

    def __init__(
        self, blocks: int, width: int, *, num_classes: int, in_channels: int, cifar_stem: bool
    ) -> None:
        super().__init__()
        self.stem = _cifar_stem(in_channels, width) if cifar_stem else _imagenet_stem(in_channels, width)
        self.stage1 = _stage(width, width, blocks, stride=1)
        self.stage2 = _stage(width, 2 * width, blocks, stride=2)
        self.stage3 = _stage(2 * width, 4 * width, blocks, stride=2)
        self.classifier = nn.Linear(4 * width, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.stage3(self.stage2(self.stage1(self.stem(x))))
        logits: Tensor = self.classifier(x.mean((2, 3)))
        return logits


def _cifar_stem(in_channels: int, width: int) -> nn.Sequential:
    stem = nn.Sequential()
    stem.add_module("conv", nn.Conv2d(in_channels, width, 3, padding=1, bias=False))
    stem.add_module("norm", nn.BatchNorm2d(width))
    stem.add_module("relu", nn.ReLU())
    return stem


def _imagenet_stem(in_channels: int, width: int) -> nn.Sequential:
    stem = _cifar_stem(in_channels, width)
    stem.conv = nn.Conv2d(in_channels, width, 7, stride=2, padding=3, bias=False)
    stem.add_module("pool", nn.MaxPool2d(3, stride=2, padding=1))
    return stem


def _stage(in_channels: int, out_channels: int, blocks: int, *, stride: int) -> nn.Sequential:
    first = BasicBlock(in_channels, out_channels, stride)
    return nn.Sequential(first, *(BasicBlock(out_channels, out_channels, 1) for _ in range(blocks - 1)))
