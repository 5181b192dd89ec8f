"""Whether a claim holds over training seeds: statistics, verdicts, and what came of them in words."""

from lossatlas.evidence.claims import Claim, Verdict, by_condition, from_records, judge, possible, to_records
from lossatlas.evidence.sentences import changes_in_words, in_words, spread_in_words, trends_in_words
from lossatlas.evidence.statistics import (
    Effect,
    Mean,
    Trend,
    VarianceComponents,
    difference,
    holm,
    mean_interval,
    trend,
    variance_components,
)

__all__ = [
    "Claim",
    "Effect",
    "Mean",
    "Trend",
    "VarianceComponents",
    "Verdict",
    "by_condition",
    "changes_in_words",
    "difference",
    "from_records",
    "holm",
    "in_words",
    "judge",
    "mean_interval",
    "possible",
    "spread_in_words",
    "to_records",
    "trend",
    "trends_in_words",
    "variance_components",
]
