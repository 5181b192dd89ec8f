"""Scores of a classifier that stay meaningful if one class is rare."""

from __future__ import annotations

import math
import warnings

import numpy as np
import torch
import xarray as xr
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from torch import Tensor, nn

from lossatlas._checks import instance_of, one_of
from lossatlas.networks.losses import make_score

SCORES = ("loss", "accuracy", "balanced_accuracy", "auc")
CLASSIFICATION = ("bce_with_logits", "cross_entropy")


def classification_scores(
    model: nn.Module, split: tuple[Tensor, Tensor], *, loss: str, batch: int = 1000
) -> xr.Dataset:
    """Return the scores of a model on a split, in eval mode; the model stays as it was.

    Parameters
    ----------
    model
        A classifier with one logit a sample ("bce_with_logits") or one a class ("cross_entropy").
    split
        (inputs, targets).
    loss
        ``"bce_with_logits"`` or ``"cross_entropy"``.
    batch
        Samples in one pass.

    Returns
    -------
    Dataset
        ``loss``, the mean over the samples; ``accuracy``, the share of right predictions; ``balanced_accuracy``, the
        share of right predictions within each class of the split, averaged over the classes; ``auc``, the area under
        the ROC curve of each class against the others, averaged over the classes of the split (NaN if the split holds
        one class alone or a score is not finite).

    Raises
    ------
    ValueError
        If ``loss`` is another one, the model gives more than one prediction a sample, or an argument is no model or
        no pair.

    Examples
    --------
    >>> import lossatlas as la
    >>> data = la.load_dataset("digits")
    >>> model = la.build_model("feedforward", data, depth=2, width=8)
    >>> list(classification_scores(model, data.test, loss=data.loss).data_vars)
    ['loss', 'accuracy', 'balanced_accuracy', 'auc']
    """
    instance_of(model, "model", nn.Module, "a torch.nn.Module")
    one_of(loss, "loss", CLASSIFICATION)
    if not isinstance(split, tuple | list) or len(split) != 2:
        raise ValueError(f"split={split!r:.80}: expected a pair of tensors (inputs, targets)")
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
    values, correct = make_score(loss)(outputs, targets)
    assert correct is not None  # both losses are those of classifiers
    losses, right = values.numpy(), correct.numpy()
    labels = targets.flatten().numpy().astype(int)
    predicted = (outputs[:, 0] > 0 if binary else outputs.argmax(1)).numpy().astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of predicted classes that the split does not hold
        balanced = balanced_accuracy_score(labels, predicted)
    found = {
        "loss": losses.mean(),
        "accuracy": right.mean(),
        "balanced_accuracy": balanced,
        "auc": _area(outputs, labels, binary=binary),
    }
    return xr.Dataset({name: float(found[name]) for name in SCORES}, attrs={"n_samples": len(labels)})


def _area(outputs: Tensor, labels: np.ndarray, *, binary: bool) -> float:
    """Return the area under the ROC curve, averaged over the classes of the split; NaN if it is not defined."""
    present = np.unique(labels)
    if len(present) < 2 or not outputs.isfinite().all():
        return math.nan
    if binary:  # a logit ranks as its probability does, and does not saturate
        return roc_auc_score(labels, outputs[:, 0].numpy())
    shares = outputs.softmax(1).numpy()[:, present]
    return roc_auc_score(labels[:, None] == present, shares, average="macro")
