"""The names of networks and heads: for configuration, which needs no torch."""

from typing import Literal

RecogniserName = Literal["conv4", "resnet10"]
HeadName = Literal["softmax", "cosface", "arcface"]
