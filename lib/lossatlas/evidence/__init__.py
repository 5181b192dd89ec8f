"""Whether a claim holds over training seeds: statistics, verdicts, and their outcomes in words."""

from lossatlas.evidence.claims import SEEDS, Claim, Verdict, claim, judge
from lossatlas.evidence.correlation import Trend, trend
from lossatlas.evidence.paired import paired_difference
from lossatlas.evidence.records import by_condition, from_records, plain, to_records
from lossatlas.evidence.sentences import changes_in_words, in_words, spread_in_words, trends_in_words
from lossatlas.evidence.statistics import (
    Effect,
    Mean,
    VarianceComponents,
    difference,
    holm,
    mean_interval,
    variance_components,
)

__all__ = [
    "SEEDS",
    "Claim",
    "Effect",
    "Mean",
    "Trend",
    "VarianceComponents",
    "Verdict",
    "by_condition",
    "changes_in_words",
    "claim",
    "difference",
    "from_records",
    "holm",
    "in_words",
    "judge",
    "mean_interval",
    "paired_difference",
    "plain",
    "spread_in_words",
    "to_records",
    "trend",
    "trends_in_words",
    "variance_components",
]
