"""Datasets: scaling and splits by handmade values, and the real ones wherever a source answers."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.preprocessing import StandardScaler

from lossatlas.datasets import DATASETS, Dataset, DatasetUnavailable, cache, fixed_sample, formats, load, load_dataset

# --- scaling and splitting --------------------------------------------------------------------------------


def test_seismic_bumps_is_scaled_as_documented():
    rows = (
        b"a,b,W,20000,500,-50,25,c,7,1,2,3,4,5,6,8,15000,10000,1\nd,a,N,100000,1000,100,-100,a,0,0,0,0,0,0,0,0,0,0,0\n"
    )
    inputs, targets = formats.decode_seismic(rows)
    expected = [
        [0, 1, 0, 0.2, 0.5, -0.5, 0.25, 2, 7, 1, 2, 3, 4, 5, 6, 8, 1.5, 1.0],
        [3, 0, 1, 1.0, 1.0, 1.0, -1.0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ]
    np.testing.assert_allclose(inputs, expected, rtol=1e-6)
    assert targets.tolist() == [[1], [0]]


def test_windows_do_not_overlap_and_targets_follow():
    text = np.arange(11)
    inputs, targets = load.windows(text, 3)
    assert inputs.tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert torch.equal(targets, inputs + 1)
    assert load.windows(np.arange(4), 3)[1].tolist() == [[1, 2, 3]]
    with pytest.raises(ValueError, match="sequence_length=11"):
        load.windows(text, 11)


def test_a_split_is_a_shuffled_partition_and_the_same_every_time():
    rows = np.arange(2584)
    train, test = load.shuffle_and_split(rows, rows * 2)
    assert (len(train[0]), len(test[0])) == (1938, 646)
    assert sorted(torch.cat([train[0], test[0]]).tolist()) == rows.tolist()
    assert torch.equal(train[1], train[0] * 2) and torch.equal(test[1], test[0] * 2)
    assert train[0].tolist() != sorted(train[0].tolist())
    again, _ = load.shuffle_and_split(rows, rows * 2)
    assert torch.equal(train[0], again[0])


def test_fixed_sample():
    split = (torch.arange(100), torch.arange(100) + 1000)
    inputs, targets = fixed_sample(split, 30)
    assert len(set(inputs.tolist())) == 30 and torch.equal(targets, inputs + 1000)
    assert torch.equal(inputs, fixed_sample(split, 30, seed=0)[0])
    assert torch.equal(inputs[:10], fixed_sample(split, 10)[0])
    assert not torch.equal(inputs, fixed_sample(split, 30, seed=1)[0])
    for n in (None, 100, 1000):
        assert torch.equal(fixed_sample(split, n)[0], split[0])
    for n in (0, -3, 2.5, True):
        with pytest.raises(ValueError, match="n="):
            fixed_sample(split, n)


# --- scikit-learn's own -----------------------------------------------------------------------------------


def by_rows(inputs, targets) -> np.ndarray:
    """Samples with their targets in an order of their own, to compare sets of them."""
    table = np.column_stack([np.asarray(inputs, float).reshape(len(inputs), -1), np.asarray(targets, float)])
    return table[np.lexsort(table.T)]


def test_digits_are_scikit_learns():
    data, bunch = load_dataset("digits"), load_digits()
    assert data.train[0].shape == (1347, 1, 8, 8) and data.test[0].shape == (450, 1, 8, 8)
    assert data.train[0].dtype == torch.float32 and data.train[1].dtype == torch.int64
    both = [torch.cat(parts) for parts in zip(data.train, data.test, strict=True)]
    np.testing.assert_array_equal(by_rows(both[0] * 16, both[1]), by_rows(bunch.images, bunch.target))
    assert data.classes == tuple("0123456789") and data.source == "scikit-learn"
    assert data.loss == "cross_entropy"


def test_breast_cancer_is_scikit_learns_standardised_by_the_train_split():
    data, bunch = load_dataset("breast-cancer"), load_breast_cancer()
    train, test = load.shuffle_and_split(bunch.data, bunch.target[:, None])
    everything = by_rows(torch.cat([train[0], test[0]]), torch.cat([train[1], test[1]]))
    np.testing.assert_array_equal(everything, by_rows(bunch.data, bunch.target))
    scaler = StandardScaler().fit(train[0].numpy())
    for ours, raw in ((data.train, train), (data.test, test)):
        np.testing.assert_allclose(ours[0], scaler.transform(raw[0].numpy()), rtol=1e-5, atol=1e-5)
        assert torch.equal(ours[1], raw[1].float())
    assert data.train[0].dtype == data.train[1].dtype == torch.float32
    assert (data.train[1].shape, data.test[1].shape) == ((426, 1), (143, 1))
    assert data.classes == ("malignant", "benign") and data.loss == "bce_with_logits"


def test_an_attribute_that_does_not_vary_stays_finite():
    split = torch.tensor([[1.0, 5.0], [3.0, 5.0]]), torch.zeros(2, 1)
    (inputs, _), _ = load.standardise(split, split)
    assert inputs.tolist() == [[-1, 0], [1, 0]]


# --- what cannot be asked ---------------------------------------------------------------------------------


def test_an_unknown_name_lists_the_valid_ones():
    with pytest.raises(ValueError, match="'minst'") as caught:
        load_dataset("minst")
    assert all(name in str(caught.value) for name in DATASETS)


def test_sequence_length_is_for_sequences_only():
    with pytest.raises(ValueError, match="digits has no sequences"):
        load_dataset("digits", sequence_length=30)


@pytest.mark.parametrize("length", [0, -1, 2.5, True])
def test_a_sequence_length_that_makes_no_sense(length):
    with pytest.raises(ValueError, match="sequence_length="):
        load_dataset("shakespeare", sequence_length=length)


# --- the real files ---------------------------------------------------------------------------------------


def real(name: str, **options) -> Dataset:
    try:
        return load_dataset(name, **options)
    except DatasetUnavailable as error:
        if os.environ.get("CI") and name != "fashion-mnist":  # no chapter uses it
            pytest.fail(f"CI requires the real datasets: {error}")
        pytest.skip(str(error))


@pytest.mark.parametrize(
    ("ci", "name", "outcome"),
    [
        ("", "mnist", pytest.skip.Exception),
        ("true", "mnist", pytest.fail.Exception),
        ("true", "fashion-mnist", pytest.skip.Exception),
    ],
)
def test_a_missing_real_dataset_is_skipped_but_fails_in_ci_if_chapters_need_it(monkeypatch, ci, name, outcome):
    def unavailable(root):
        raise DatasetUnavailable("name not known")

    monkeypatch.setitem(load.LOADERS, name, unavailable)
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="name not known"):
        real(name)


def check_images(data, *, train: list[int], test: list[int], mean: list[float], deviation: list[float]) -> None:
    """Counts of each class, and the channels' mean and deviation over the train split as published."""
    inputs, targets = data.train
    assert targets.bincount().tolist() == train and data.test[1].bincount().tolist() == test
    assert inputs.dtype == torch.float32 and targets.dtype == torch.int64
    assert inputs.min() == 0 and inputs.max() == 1 and len(data.classes) == 10
    np.testing.assert_allclose(inputs.mean((0, 2, 3)), mean, atol=1e-4)
    np.testing.assert_allclose(inputs.std((0, 2, 3)), deviation, atol=1e-4)


@pytest.mark.data
def test_real_mnist():
    data = real("mnist")
    assert data.train[0].shape == (60000, 1, 28, 28) and data.test[0].shape == (10000, 1, 28, 28)
    train = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    test = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    check_images(data, train=train, test=test, mean=[0.1307], deviation=[0.3081])
    assert data.train[1][:5].tolist() == [5, 0, 4, 1, 9] and data.test[1][:5].tolist() == [7, 2, 1, 0, 4]


@pytest.mark.data
def test_real_fashion_mnist():
    data = real("fashion-mnist")
    assert data.train[0].shape == (60000, 1, 28, 28) and data.test[0].shape == (10000, 1, 28, 28)
    check_images(data, train=[6000] * 10, test=[1000] * 10, mean=[0.2860], deviation=[0.3530])
    assert data.classes[data.train[1][0]] == data.classes[data.test[1][0]] == "ankle boot"


@pytest.mark.data
def test_real_cifar10():
    data = real("cifar10")
    assert data.train[0].shape == (50000, 3, 32, 32) and data.test[0].shape == (10000, 3, 32, 32)
    mean, deviation = [0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]
    check_images(data, train=[5000] * 10, test=[1000] * 10, mean=mean, deviation=deviation)
    assert [data.classes[label] for label in data.train[1][:3]] == ["frog", "truck", "truck"]
    assert (data.train[0][0, :, 0, 0] * 255).round().tolist() == [59, 62, 63]


@pytest.mark.data
def test_real_seismic_bumps():
    data = real("seismic-bumps")
    (inputs, targets), (test_inputs, test_targets) = data.train, data.test
    assert inputs.shape == (1938, 18) and test_inputs.shape == (646, 18)
    assert targets.shape == (1938, 1) and test_targets.shape == (646, 1)
    assert inputs.dtype == targets.dtype == torch.float32
    positive = targets.sum() + test_targets.sum()
    assert positive == 170 and round(100 * float(positive) / 2584, 1) == 6.6
    assert (int(targets.sum()), int(test_targets.sum())) == (
        138,
        32,
    )  # the shuffle of seed 0, as data/README says

    contents, _ = cache.find_files("seismic-bumps")
    first = contents["seismic-bumps.arff"].decode().splitlines()[0].split(",")
    assert first[:4] == ["a", "a", "N", "15180"]
    row = torch.tensor([0, 0, 1, 0.1518, 0.048, -0.72, -0.72, 0, *[0] * 10])
    assert (torch.cat([inputs, test_inputs]) - row).abs().amax(1).min() < 1e-6


@pytest.mark.data
def test_real_shakespeare():
    data = real("shakespeare", sequence_length=30)
    assert len(data.classes) == 65 and list(data.classes) == sorted(data.classes)
    contents, _ = cache.find_files("shakespeare")
    text = contents["tinyshakespeare.txt"].decode("ascii")
    cut = len(text) * 9 // 10
    for (inputs, targets), part in ((data.train, text[:cut]), (data.test, text[cut:])):
        assert inputs.shape == targets.shape == ((len(part) - 1) // 30, 30) and inputs.dtype == torch.int64
        read = "".join(data.classes[code] for code in inputs.flatten().tolist())
        following = "".join(data.classes[code] for code in targets.flatten().tolist())
        assert read == part[: len(read)] and following == part[1 : len(read) + 1]
    assert real("shakespeare").train[0].shape == (22307, 45)
