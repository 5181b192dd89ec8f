import numpy as np
import pytest
import xarray as xr

from effects import claim, effect_of
from lossatlas import evidence
from wrong_calls import cases, check, functions_without_wrong_calls

MEASURED = xr.DataArray(
    np.arange(10.0).reshape(2, 5), {"condition": ["a", "b"], "seed": range(5)}, ("condition", "seed"), "roughness"
)


PAIRS = xr.DataArray([1.0], {"first": ("pair", [0]), "second": ("pair", [1])}, ("pair",), "barrier")


def paired(values=MEASURED, **changes):
    options = {"a": {"condition": "a"}, "b": {"condition": "b"}, "expected": "less", "figure": "4", "compared": "b − a"}
    options |= changes
    return evidence.paired_claim(options.pop("text", "lower"), values, **options)


def made(values=MEASURED, **changes):
    options = {"a": "a", "b": "b", "expected": "greater", "figure": "figure 4"} | changes
    return evidence.claim(options.pop("text", "deeper is rougher"), values, **options)


NO_LISTS = [("'abc'", "abc"), ("None", None), (r"shape \(\)", 3.0), (r"shape \(0,\)", []), ("{'a': 1}", {"a": 1})]

WRONG = {
    "by_condition": [
        ("records: dict", lambda: evidence.by_condition({"condition": "a"}, "roughness")),
        ("records: list .*expected a list of mappings", lambda: evidence.by_condition([3], "roughness")),
        ("records: empty", lambda: evidence.by_condition([], "roughness")),
        ("no 'roughness' in one of them", lambda: evidence.by_condition([{"condition": "a"}], "roughness")),
        (
            "roughness='high'; expected a number",
            lambda: evidence.by_condition([{"condition": "a", "roughness": "high"}], "roughness"),
        ),
    ],
    "claim": [
        ("text='': expected a text", lambda: made(text="")),
        ("figure=4: expected a text", lambda: made(figure=4)),
        ("values is a list; expected an xarray.DataArray", lambda: made([1.0, 2.0])),
        ("values is a Dataset; expected an xarray.DataArray", lambda: made(MEASURED.to_dataset())),
        (r"values has dimensions .*; expected 'seed'", lambda: made(MEASURED.rename(seed="run"))),
        ("has the name None", lambda: made(MEASURED.rename(None))),
        (r"a: no condition 'c'; expected one of \['a', 'b'\]", lambda: made(a="c")),
        ("b: no labelled dimension 'plane'", lambda: made(b={"plane": 0})),
        (
            r"a leaves \('seed', 'plane'\)|a leaves \('plane', 'seed'\)|a leaves dimensions",
            lambda: made(MEASURED.expand_dims(plane=2)),
        ),
        ("expected='bigger': expected one of", lambda: made(expected="bigger")),
        ("margin=1: expected a positive number, and only", lambda: made(margin=1)),
    ],
    "difference": [
        *[(f"a.*{text}", lambda bad=bad: evidence.difference(bad, [1.0, 2.0])) for text, bad in NO_LISTS],
        ("b: shape", lambda: evidence.difference([1.0, 2.0], [[1.0]])),
        ("seed='x': expected a whole number", lambda: evidence.difference([1.0], [2.0], seed="x")),
        ("n_bootstrap=0", lambda: evidence.difference([1.0], [2.0], n_bootstrap=0)),
        ("n_permutations=1.5", lambda: evidence.difference([1.0], [2.0], n_permutations=1.5)),
    ],
    "from_records": [
        ("records: 3", lambda: evidence.from_records(3)),
        ("records", lambda: evidence.from_records([{}])),
    ],
    "holm": [
        ("p_values=.*expected values from 0 to 1", lambda: evidence.holm([0.5, 1.2])),
        ("p_values='abc'", lambda: evidence.holm("abc")),
    ],
    "judge": [
        ("claims=.*expected a list of claims", lambda: evidence.judge(claim("greater", effect_of(1)))),
        ("claims=", lambda: evidence.judge(["deeper is rougher"])),
        ("claims=", lambda: evidence.judge(None)),
    ],
    "mean_interval": [
        *[(f"values.*{text}", lambda bad=bad: evidence.mean_interval(bad)) for text, bad in NO_LISTS],
        (r"bounds=\(1, 0\): expected the least", lambda: evidence.mean_interval([1.0], bounds=(1, 0))),
        ("bounds=3", lambda: evidence.mean_interval([1.0], bounds=3)),
    ],
    "paired_claim": [
        ("text='': expected a text", lambda: paired(text="")),
        ("figure=4: expected a text", lambda: paired(figure=4)),
        ("compared='': expected a text", lambda: paired(compared="")),
        ("values is a list; expected an xarray.DataArray", lambda: paired([1.0, 2.0])),
        (r"values has dimensions .*; expected 'seed'", lambda: paired(MEASURED.rename(seed="run"))),
        (r"a: no condition 'c'; expected one of \['a', 'b'\]", lambda: paired(a={"condition": "c"})),
        ("b: no labelled dimension 'plane'", lambda: paired(b={"plane": 0})),
        ("a leaves dimensions", lambda: paired(a={})),
        ("a=.*expected labels by dimension", lambda: paired(a="a")),
        ("b=.*expected labels by dimension", lambda: paired(b=["b"])),
        ("expected='bigger': expected one of", lambda: paired(expected="bigger")),
        ("margin=1: expected a positive number, and only", lambda: paired(margin=1)),
    ],
    "pseudovalues": [
        ("values is a list; expected a DataArray or Dataset", lambda: evidence.pseudovalues([1.0])),
        ("values has coordinates .*; expected first and second", lambda: evidence.pseudovalues(MEASURED)),
        ("values has coordinates", lambda: evidence.pseudovalues(PAIRS.drop_vars("second"))),
        ("values: 2 pairs of 2 seeds", lambda: evidence.pseudovalues(xr.concat([PAIRS, PAIRS], "pair"))),
        ("values: 1 pairs of 1 seeds", lambda: evidence.pseudovalues(PAIRS.assign_coords(second=PAIRS["first"]))),
    ],
    "paired_difference": [
        ("measured is a DataArray; expected an xarray.Dataset", lambda: evidence.paired_difference(MEASURED)),
        ("labels=.*expected one dimension", lambda: evidence.paired_difference(MEASURED.to_dataset())),
        ("no labelled dimension 'split'", lambda: evidence.paired_difference(MEASURED.to_dataset(), split=("a", "b"))),
        (
            r"condition=\('a', 'c'\): expected two of \['a', 'b'\]",
            lambda: evidence.paired_difference(MEASURED.to_dataset(), condition=("a", "c")),
        ),
        ("condition='a': expected", lambda: evidence.paired_difference(MEASURED.to_dataset(), condition="a")),
    ],
    "to_records": [("verdicts=3", lambda: evidence.to_records(3)), ("verdicts=", lambda: evidence.to_records([{}]))],
    "trend": [
        *[(f"x.*{text}", lambda bad=bad: evidence.trend(bad, [1.0])) for text, bad in NO_LISTS],
        ("two lists of one length", lambda: evidence.trend([1, 2, 3], [1, 2])),
        ("seed=-1", lambda: evidence.trend([1, 2, 3], [1, 2, 3], seed=-1)),
    ],
    "variance_components": [
        (r"expected a table \(seeds, planes\)", lambda: evidence.variance_components([1, 2])),
        (r"expected a table \(seeds, planes\)", lambda: evidence.variance_components([[]])),
        ("values='abc'", lambda: evidence.variance_components("abc")),
    ],
}


def test_every_public_function_has_wrong_calls():
    assert not functions_without_wrong_calls(evidence, WRONG, takes_anything={"plain"})


@pytest.mark.parametrize("pattern, call", cases(WRONG))
def test_a_wrong_call_is_refused_with_a_reason(pattern, call):
    check(pattern, call)


def test_a_claim_is_made_of_an_effect():
    check("effect=0.5: expected an Effect", lambda: claim("greater", 0.5))
