"""Planes whose loss draws a picture: multi-point optimization (Skorokhodov and Burtsev 2019)."""

from lossatlas.patterns.fitting import Pattern, fit
from lossatlas.patterns.measuring import fidelity
from lossatlas.patterns.pictures import SHAPES, picture, random_mask
from lossatlas.patterns.recipe import PatternRecipe

__all__ = ["SHAPES", "Pattern", "PatternRecipe", "fidelity", "fit", "picture", "random_mask"]
