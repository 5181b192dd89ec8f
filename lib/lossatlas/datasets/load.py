"""Datasets as tensors in memory: how they are scaled and split, and what they are trained with.

Where their files come from is :mod:`lossatlas.datasets.cache`; digits and breast-cancer come with scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lossatlas._checks import path_like, whole_number
from lossatlas.datasets.cache import DatasetUnavailable, find_files
from lossatlas.datasets.formats import decode_cifar, decode_idx, decode_seismic
from lossatlas.datasets.variations import MADE_AFTER, VARIATIONS, varied

__all__ = ["DATASETS", "Dataset", "DatasetUnavailable", "fixed_sample", "load_dataset"]

SPLIT_SEED = 0  # of the shuffle before a 75/25 split
TRAIN_SHARE = 0.75
SHAKESPEARE_TRAIN_SHARE = 0.9
SEQUENCE_LENGTH = 45

Split = tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class Dataset:
    """A dataset in memory: ``train`` and ``test`` are (inputs, targets), samples along dimension 0.

    ``classes``: class names (for characters the vocabulary); ``source``: where the files came from this time;
    ``scaling``: one sentence; ``citation``: source and licence; ``loss``: what its models are trained with.
    """

    name: str
    train: Split = field(repr=False)
    test: Split = field(repr=False)
    classes: tuple[str, ...]
    source: str
    scaling: str
    citation: str
    loss: str


def load_dataset(name: str, *, sequence_length: int | None = None, root: str | Path | None = None) -> Dataset:
    """Return the dataset of a name (one of ``DATASETS``).

    ==============  ============================  ===================  =================
    name            inputs                        targets              loss
    ==============  ============================  ===================  =================
    mnist           float32 (N, 1, 28, 28)        int64 (N,)           cross_entropy
    fashion-mnist   float32 (N, 1, 28, 28)        int64 (N,)           cross_entropy
    mnist-rand      float32 (N, 1, 28, 28)        int64 (N,)           cross_entropy
    mnist-rot       float32 (N, 1, 28, 28)        int64 (N,)           cross_entropy
    mnist-img       float32 (N, 1, 28, 28)        int64 (N,)           cross_entropy
    mnist-img-rot   float32 (N, 1, 28, 28)        int64 (N,)           cross_entropy
    cifar10         float32 (N, 3, 32, 32)        int64 (N,)           cross_entropy
    digits          float32 (N, 1, 8, 8)          int64 (N,)           cross_entropy
    shakespeare     int64 (N, L), characters      int64 (N, L), next   cross_entropy
    seismic-bumps   float32 (N, 18)               float32 (N, 1)       bce_with_logits
    breast-cancer   float32 (N, 30)               float32 (N, 1)       bce_with_logits
    ==============  ============================  ===================  =================

    ``sequence_length``: L, for shakespeare only (default 45). ``root``: the folder of the cache (default:
    ``data/raw`` of the project, or of the working directory for a package installed without one). Files come
    from there, from the folders of ``LOSSATLAS_DATA``, or from the network (`lossatlas.datasets.cache`).
    Raises ValueError for an unknown name or a sequence length that does not fit, DatasetUnavailable where no
    source answers.
    """
    if not isinstance(name, str) or name not in LOADERS:
        raise ValueError(f"dataset {name!r} is unknown: expected one of {DATASETS}")
    if root is not None:
        path_like(root, "root")
    if name != "shakespeare":
        if sequence_length is not None:
            raise ValueError(f"sequence_length={sequence_length!r}: {name} has no sequences, only shakespeare has")
        return LOADERS[name](root)
    return _shakespeare(root, sequence_length=SEQUENCE_LENGTH if sequence_length is None else sequence_length)


def fixed_sample(split: Split, n: int | None, *, seed: int = 0) -> Split:
    """Return ``n`` samples of a split, drawn without replacement; for ``None``, or more than it has, the whole split.

    The same seed gives the same samples, and the first of a larger sample are those of a smaller one. Classes
    are not balanced.

    Raises
    ------
    ValueError
        If ``n`` is not a whole number of at least one.

    Examples
    --------
    >>> inputs, targets = fixed_sample(load_dataset("digits").test, 5)
    >>> inputs.shape
    torch.Size([5, 1, 8, 8])
    """
    if not isinstance(split, tuple | list) or len(split) != 2:
        raise ValueError(f"split={split!r:.80}: expected a pair of tensors (inputs, targets)")
    inputs, targets = split
    seed = whole_number(seed, "seed", least=0)
    if n is None:
        return inputs, targets
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise ValueError(f"n={n!r}: expected a whole number of at least 1, or None for every sample")
    if n >= len(inputs):
        return inputs, targets
    chosen = torch.from_numpy(np.random.default_rng(seed).permutation(len(inputs))[:n])
    return inputs[chosen], targets[chosen]


def shuffle_and_split(inputs: np.ndarray, targets: np.ndarray) -> tuple[Split, Split]:
    """Train (75%, rounded down) and test parts after a shuffle by NumPy's default generator, seed 0."""
    order = np.random.default_rng(SPLIT_SEED).permutation(len(inputs))
    cut = int(TRAIN_SHARE * len(inputs))
    parts = [(torch.from_numpy(inputs[rows]), torch.from_numpy(targets[rows])) for rows in (order[:cut], order[cut:])]
    return parts[0], parts[1]


def standardise(train: Split, test: Split) -> tuple[Split, Split]:
    """Float32 inputs: each column minus the train split's mean, over its (population) deviation."""
    mean, deviation = train[0].mean(0), train[0].std(0, correction=0)
    deviation[deviation == 0] = 1
    first, second = ((((inputs - mean) / deviation).float(), targets) for inputs, targets in (train, test))
    return first, second


def windows(characters: np.ndarray, length: int) -> Split:
    """Windows (N, L) of coded characters that do not overlap, and the character after each position."""
    number = (len(characters) - 1) // length
    if number < 1:
        raise ValueError(f"sequence_length={length}: expected less than the {len(characters)} characters of a split")
    used = number * length
    inputs, targets = characters[:used], characters[1 : used + 1]
    first, second = (torch.from_numpy(part.astype(np.int64).reshape(number, length)) for part in (inputs, targets))
    return first, second


def _images(pixels: np.ndarray, labels: np.ndarray) -> Split:
    """Float images in [0, 1] and int64 labels of unsigned bytes."""
    return torch.from_numpy(pixels.astype(np.float32)).div_(255), torch.from_numpy(labels.astype(np.int64))


TEN_DIGITS = tuple("0123456789")
CLOTHES = (
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def _idx_dataset(name: str, *, classes: tuple[str, ...], citation: str) -> Callable[..., Dataset]:
    def load(root) -> Dataset:
        files, source = find_files(name, root)
        train, test = (
            _images(
                decode_idx(files[f"{part}-images-idx3-ubyte"])[:, None],
                decode_idx(files[f"{part}-labels-idx1-ubyte"]),
            )
            for part in ("train", "t10k")
        )
        scaling = "Pixels divided by 255; the official split."
        return Dataset(name, train, test, classes, source, scaling, citation, "cross_entropy")

    return load


def _mnist_variation(name: str) -> Callable[..., Dataset]:
    variation = VARIATIONS[name]

    def load(root) -> Dataset:
        needed = ["mnist", "cifar10"] if variation.background == "photographs" else ["mnist"]
        plain, *photographs = found = [LOADERS[one](root) for one in needed]
        splits = ((one.train for one in found), (one.test for one in found))
        train, test = (
            (varied(variation, images, *(others[0] for others in behind), seed=seed), labels)
            for seed, ((images, labels), *behind) in enumerate(splits)
        )
        return Dataset(
            name,
            train,
            test,
            TEN_DIGITS,
            ", ".join(dict.fromkeys(one.source for one in found)),
            f"{plain.scaling} {variation.words} Drawn with seed 0 (train) and 1 (test).",
            "; ".join([plain.citation, *(one.citation for one in photographs), MADE_AFTER]),
            "cross_entropy",
        )

    return load


def _cifar10(root) -> Dataset:
    files, source = find_files("cifar10", root)
    batches = [decode_cifar(contents) for contents in files.values()]
    train = _images(*(np.concatenate(part) for part in zip(*batches[:-1], strict=True)))
    return Dataset(
        "cifar10",
        train,
        _images(*batches[-1]),
        CIFAR_CLASSES,
        source,
        "Pixels divided by 255; the official split.",
        "CIFAR-10: Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009; "
        "no licence stated, the authors ask to cite the report",
        "cross_entropy",
    )


def _seismic_bumps(root) -> Dataset:
    files, source = find_files("seismic-bumps", root)
    train, test = shuffle_and_split(*decode_seismic(files["seismic-bumps.arff"]))
    return Dataset(
        "seismic-bumps",
        train,
        test,
        ("non-hazardous", "hazardous"),
        source,
        "Letters a-d count 0-3, shifts W and N 0 and 1; genergy/1e5, gpuls/1e3, gdenergy/100, gdpuls/100, "
        "energy/1e4, maxenergy/1e4; counts of bumps as they are; 75/25 split after a shuffle with seed 0.",
        "seismic-bumps: Sikora and Wróbel, Archives of Mining Sciences 55(1), 2010, 91-114; "
        "UCI Machine Learning Repository, data set 266, CC BY 4.0",
        "bce_with_logits",
    )


def _shakespeare(root, *, sequence_length: int) -> Dataset:
    if isinstance(sequence_length, bool) or not isinstance(sequence_length, int | np.integer) or sequence_length < 1:
        raise ValueError(f"sequence_length={sequence_length!r}: expected a whole number of at least 1")
    files, source = find_files("shakespeare", root)
    text = np.frombuffer(files["tinyshakespeare.txt"], np.uint8)  # ASCII: a byte is a character
    vocabulary, characters = np.unique(text, return_inverse=True)
    cut = int(SHAKESPEARE_TRAIN_SHARE * len(characters))
    return Dataset(
        "shakespeare",
        windows(characters[:cut], sequence_length),
        windows(characters[cut:], sequence_length),
        tuple(map(chr, vocabulary)),
        source,
        f"Characters coded by their place in the sorted vocabulary, in windows of {sequence_length} that "
        "do not overlap; the first 90% of the text is train, the rest test.",
        "Tiny Shakespeare: text in the public domain, as collected by Karpathy for char-rnn, 2015",
        "cross_entropy",
    )


def _digits(root) -> Dataset:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    train, test = shuffle_and_split((bunch.images[:, None] / 16).astype(np.float32), bunch.target.astype(np.int64))
    return Dataset(
        "digits",
        train,
        test,
        TEN_DIGITS,
        "scikit-learn",
        "Pixels divided by 16; 75/25 split after a shuffle with seed 0.",
        "Optical Recognition of Handwritten Digits: Alpaydin and Kaynak, 1998; UCI Machine Learning "
        "Repository, data set 80, CC BY 4.0, the test part as scikit-learn carries it",
        "cross_entropy",
    )


def _breast_cancer(root) -> Dataset:
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer()
    train, test = standardise(*shuffle_and_split(bunch.data, bunch.target.astype(np.float32)[:, None]))
    return Dataset(
        "breast-cancer",
        train,
        test,
        tuple(map(str, bunch.target_names)),
        "scikit-learn",
        "Each attribute minus the train split's mean over its deviation; 75/25 split after a shuffle with seed 0.",
        "Breast Cancer Wisconsin (Diagnostic): Wolberg, Mangasarian, Street and Street, 1995; UCI Machine "
        "Learning Repository, data set 17, CC BY 4.0, as scikit-learn carries it",
        "bce_with_logits",
    )


LOADERS: dict[str, Callable[..., Dataset]] = {
    "mnist": _idx_dataset(
        "mnist",
        classes=TEN_DIGITS,
        citation="MNIST: LeCun, Bottou, Bengio and Haffner, Gradient-Based Learning Applied to Document "
        "Recognition, Proceedings of the IEEE 86(11), 1998, 2278-2324; CC BY-SA 3.0",
    ),
    **{name: _mnist_variation(name) for name in VARIATIONS},
    "cifar10": _cifar10,
    "fashion-mnist": _idx_dataset(
        "fashion-mnist",
        classes=CLOTHES,
        citation="Fashion-MNIST: Xiao, Rasul and Vollgraf, arXiv:1708.07747, 2017; MIT licence",
    ),
    "seismic-bumps": _seismic_bumps,
    "shakespeare": _shakespeare,
    "digits": _digits,
    "breast-cancer": _breast_cancer,
}
DATASETS = tuple(LOADERS)
