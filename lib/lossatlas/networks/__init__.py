"""What is looked at: networks, the losses they are trained on, and their training."""

from lossatlas.networks.classification import SCORES, classification_scores
from lossatlas.networks.models import MODELS, build_model, fit_convexified
from lossatlas.networks.pretrained import PRETRAINED, load_pretrained
from lossatlas.networks.text_sampling import sample_text
from lossatlas.networks.training import Recipe, Run, fit

__all__ = [
    "MODELS",
    "PRETRAINED",
    "SCORES",
    "Recipe",
    "Run",
    "build_model",
    "classification_scores",
    "fit",
    "fit_convexified",
    "load_pretrained",
    "sample_text",
]
