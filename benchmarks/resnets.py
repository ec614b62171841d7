"""ResNet-18 and ResNet-50 in a few lines, so that the benchmarks need torch alone."""

from __future__ import annotations

from torch import Tensor, nn


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    return [convolution, nn.BatchNorm2d(outputs)]


class Block(nn.Module):
    """relu(body(x) + shortcut(x)), the body two 3x3 convolutions or a bottleneck of 1x1, 3x3, 1x1."""

    def __init__(self, inputs: int, width: int, stride: int, *, bottleneck: bool) -> None:
        super().__init__()
        outputs = 4 * width if bottleneck else width
        if bottleneck:
            sizes = [(inputs, width, 1, 1), (width, width, 3, stride), (width, outputs, 1, 1)]
        else:
            sizes = [(inputs, width, 3, stride), (width, outputs, 3, 1)]
        layers: list[nn.Module] = []
        for size in sizes:
            layers += [*_convolution(*size), nn.ReLU(inplace=True)]
        self.body = nn.Sequential(*layers[:-1])
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Sequential() if same else nn.Sequential(*_convolution(inputs, outputs, 1, stride))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.body(x) + self.shortcut(x))


def resnet(depth: int, *, classes: int, small_images: bool) -> nn.Sequential:
    """ResNet-18 or -50; `small_images` takes the CIFAR stem: a 3x3 convolution and no pooling."""
    repeats = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}[depth]
    layers: list[nn.Module]
    if small_images:
        layers = [*_convolution(3, 64, 3), nn.ReLU(inplace=True)]
    else:
        layers = [*_convolution(3, 64, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for stage, count in enumerate(repeats):
        for i in range(count):
            stride = 2 if stage > 0 and i == 0 else 1
            width = 64 * 2**stage
            layers.append(Block(channels, width, stride, bottleneck=depth == 50))
            channels = 4 * width if depth == 50 else width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))
