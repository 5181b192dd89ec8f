from __future__ import annotations

import numpy as np
import pytest
import torch

from lossatlas import datasets
from wrong_calls import cases, check, functions_without_wrong_calls

PAIR = torch.arange(5.0), torch.arange(5)

WRONG = {
    "fixed_sample": [
        ("n=0: expected a whole number of at least 1, or None", lambda: datasets.fixed_sample(PAIR, 0)),
        ("n=2.5", lambda: datasets.fixed_sample(PAIR, 2.5)),
        ("n=True", lambda: datasets.fixed_sample(PAIR, True)),
        ("n='a'", lambda: datasets.fixed_sample(PAIR, "a")),
        ("seed='a'", lambda: datasets.fixed_sample(PAIR, 2, seed="a")),
        ("seed=-1", lambda: datasets.fixed_sample(PAIR, 2, seed=-1)),
        ("split=3: expected a pair", lambda: datasets.fixed_sample(3, 2)),
        ("split=.*: expected a pair", lambda: datasets.fixed_sample((*PAIR, PAIR[0]), 2)),
    ],
    "load_dataset": [
        ("dataset 'mnits' is unknown: expected one of .*mnist", lambda: datasets.load_dataset("mnits")),
        ("dataset None is unknown", lambda: datasets.load_dataset(None)),
        (r"dataset \['digits'\] is unknown", lambda: datasets.load_dataset(["digits"])),
        ("sequence_length=5: digits has no sequences", lambda: datasets.load_dataset("digits", sequence_length=5)),
        ("sequence_length=0", lambda: datasets.load_dataset("shakespeare", sequence_length=0)),
        ("sequence_length='9'", lambda: datasets.load_dataset("shakespeare", sequence_length="9")),
        ("root=3: expected a path", lambda: datasets.load_dataset("digits", root=3)),
    ],
}


def test_every_public_function_has_wrong_calls():
    assert not functions_without_wrong_calls(datasets, WRONG, takes_anything=set())


@pytest.mark.parametrize("pattern, call", cases(WRONG))
def test_a_wrong_call_is_refused_with_a_reason(pattern, call):
    check(pattern, call)


def test_numpy_scalars_are_taken_for_what_they_are():
    one, other = datasets.fixed_sample(PAIR, np.int64(3), seed=np.int32(1)), datasets.fixed_sample(PAIR, 3, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
