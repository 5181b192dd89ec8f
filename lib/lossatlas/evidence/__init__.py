"""Whether a claim holds over training seeds: statistics and verdicts."""

from lossatlas.evidence.claims import SEEDS, Claim, Verdict, claim, judge
from lossatlas.evidence.correlation import Trend, trend
from lossatlas.evidence.paired import paired_claim, paired_difference
from lossatlas.evidence.pairs import pseudovalues
from lossatlas.evidence.records import by_condition, from_records, plain, to_records
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
    "claim",
    "difference",
    "from_records",
    "holm",
    "judge",
    "mean_interval",
    "paired_claim",
    "paired_difference",
    "plain",
    "pseudovalues",
    "to_records",
    "trend",
    "variance_components",
]
