"""How well a classifier tells the classes apart, also where one of them is rare."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from lossatlas.networks.losses import make_score

SCORES = ("loss", "accuracy", "balanced_accuracy", "auc")
CLASSIFICATION = ("bce_with_logits", "cross_entropy")


def classification_scores(
    model: nn.Module, split: tuple[Tensor, Tensor], *, loss: str, batch: int = 1000
) -> xr.Dataset:
    """The scores of a model on a split (inputs, targets), in eval mode; the model stays as it was.

    - `loss`: mean over the samples; `accuracy`: share of right predictions.
    - `balanced_accuracy`: the share of right predictions within each class of the split, averaged over
      the classes; the same prediction for every sample gets one over the number of classes.
    - `auc`: the chance that a random sample of a class gets a higher score for that class than a random one of
      the others (ties count half), averaged over the classes of the split; 0.5 for a constant prediction, NaN
      where the split holds one class alone.

    `loss` is "bce_with_logits" (one logit a sample) or "cross_entropy" (one a class). Raises ValueError for
    any other, and for models with more than one prediction a sample.
    """
    if loss not in CLASSIFICATION:
        raise ValueError(f"loss={loss!r}: expected one of {CLASSIFICATION}")
    inputs, targets = split
    was_training = model.training
    model.eval()
    with torch.no_grad():
        outputs = torch.cat([model(part) for part in inputs.split(batch)]).double()
    model.train(was_training)
    binary = loss == "bce_with_logits"
    if outputs.dim() != 2 or (binary and outputs.shape[1] != 1):
        expected = "(N, 1)" if binary else "(N, C)"
        raise ValueError(f"the model's outputs have shape {tuple(outputs.shape)}; expected {expected}: {loss}")
    losses, right = (values.numpy() for values in make_score(loss)(outputs, targets))
    labels = targets.flatten().numpy().astype(int)
    # For two classes the logit ranks as the probability does, and does not saturate.
    ranking = {1: outputs[:, 0]} if binary else dict(enumerate(outputs.softmax(1).unbind(1)))
    present = np.unique(labels)
    ranked = [c for c in ranking if c in present] if len(present) > 1 else []
    areas = [roc_auc_score(labels == c, ranking[c].numpy()) for c in ranked]
    found = {
        "loss": losses.mean(),
        "accuracy": right.mean(),
        "balanced_accuracy": np.mean([right[labels == c].mean() for c in present]),
        "auc": np.mean(areas) if areas else np.nan,
    }
    return xr.Dataset({name: float(found[name]) for name in SCORES}, attrs={"n_samples": len(labels)})
