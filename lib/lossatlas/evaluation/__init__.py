"""The loss of a network at every point of a line or plane."""

from lossatlas.evaluation.surface import evaluate

__all__ = ["evaluate"]
