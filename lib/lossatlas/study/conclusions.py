"""The conclusion of a chapter: its verdicts, and whether they are those that its prose states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lossatlas.evidence import SEEDS, Verdict
from lossatlas.figures import Table, claims_table, spoken

OUTCOMES = ("supported", "contradicted", "inconclusive")


class UnexpectedVerdict(ValueError):
    """The data say something else than the prose of a chapter."""


@dataclass(frozen=True)
class Conclusion:
    """Hold the verdicts of a chapter; a notebook shows them as a table."""

    verdicts: tuple[Verdict, ...]

    @property
    def table(self) -> Table:
        """The table of claims, estimates and verdicts."""
        return claims_table(self.verdicts)

    def _repr_mimebundle_(self, include=None, exclude=None):
        return self.table._repr_mimebundle_(include, exclude)


def check_verdicts(verdicts: Sequence[Verdict], expects: Mapping[str, Sequence[str]]) -> None:
    """Raise UnexpectedVerdict unless exactly the named claims are supported or contradicted.

    Parameters
    ----------
    verdicts
        Verdicts on all claims of a chapter. If one has too few seeds for a verdict, nothing is checked.
    expects
        For "supported" and "contradicted", the claims that are: a claim's text stands for all of its measures,
        "text (measure)" for one of them. Every other claim is expected to be inconclusive.

    Raises
    ------
    UnexpectedVerdict
        If an outcome is another one.
    ValueError
        If an outcome or a claim is unknown.

    Examples
    --------
    >>> check_verdicts([], {"supported": ["deeper is rougher"]})
    Traceback (most recent call last):
    ValueError: expects: no claim 'deeper is rougher'; there are []
    """
    if unknown := [outcome for outcome in expects if outcome not in OUTCOMES]:
        raise ValueError(f"expects: {unknown[0]!r} is no outcome; expected some of {OUTCOMES}")
    names = [(verdict.claim.text, _full_name(verdict)) for verdict in verdicts]
    known = {name for pair in names for name in pair}
    for name in (name for expected in expects.values() for name in expected):
        if name not in known:
            raise ValueError(f"expects: no claim {name!r}; there are {sorted(map(_full_name, verdicts))}")
    if any(min(verdict.claim.effect.n_a, verdict.claim.effect.n_b) < SEEDS for verdict in verdicts):
        return
    wrong = []
    for verdict, pair in zip(verdicts, names, strict=True):
        expected = next((outcome for outcome in OUTCOMES if set(pair) & set(expects.get(outcome, ()))), OUTCOMES[2])
        if verdict.outcome != expected:
            wrong.append(f"{pair[1]} is {verdict.outcome}, the prose says {expected}")
    if wrong:
        raise UnexpectedVerdict("; ".join(wrong))


def _full_name(verdict: Verdict) -> str:
    return f"{verdict.claim.text} ({spoken(verdict.claim.measure)})"
