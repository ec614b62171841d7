"""A model of one's own: `depth` convolutions, each with its normalization."""

from torch import nn


def plain(*, num_classes, in_channels, image_size_px, depth, channels=8):
    layers = []
    for _ in range(depth):
        layers += [nn.Conv2d(in_channels, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU()]
        in_channels = channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_classes))


def nothing(*, num_classes, in_channels, image_size_px):
    return None
