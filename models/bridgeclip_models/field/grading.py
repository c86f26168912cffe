"""Ratings and measures as inspectors give them: they follow what is seen, and disagree.

The ratings of one member by several inspectors spread over several classes (FHWA-RD-01-020, Reliability of Visual
Inspection, 2001). So the severity is rated with an error, and the measure is drawn from shares that depend on rating,
damage and member. The shares are those of `profile.labels`, which has the frequencies of the published data.
"""

from dataclasses import dataclass

import numpy as np

from ..captions import categories
from ..profile.labels import DAMAGE_SEVERITY, DAMAGES, MEASURE_SHARES, RATING_BOUNDS, damage_chances

RATING_ERROR = 0.4  # deviation of an inspector's severity from that of the damage
_DECIDEDNESS = 1.7  # exponent of the shares: how far inspectors agree on a measure
_STRUCTURAL = {"main girder", "cross girder", "deck slab", "pier", "bearing", "top slab", "unseating prevention system"}
_OVER_PEOPLE = {
    "deck slab",
    "railing",
    "curb",
    "guardrail",
    "attached equipment",
    "parapet",
    "drainage facility",
    "top slab",
}
# How many times more often a measure is chosen for a kind of damage.
_FACTORS: dict[str, dict[str, float]] = {
    "soil/debris clogging": {"M": 9},
    "loosening / dislodgement": {"M": 3, "E2": 3},
    "fatigue cracking": {"S1": 7},
    "fracture": {"S1": 3, "E1": 3},
    "scour": {"S1": 5, "C2": 2},
    "delamination": {"E2": 5, "S2": 2},
    "spalling / rebar exposure": {"C1": 1.8, "E2": 2},
    "cracking": {"S2": 3, "C1": 1.3},
    "water leakage / efflorescence": {"S1": 1.8, "C1": 1.4},
    "corrosion": {"C1": 1.5, "C2": 1.5},
    "deterioration of anti-corrosion function": {"B": 2, "M": 1.8},
    "pavement defect": {"M": 4},
    "bearing dysfunction": {"C2": 2, "S1": 2},
}


@dataclass(frozen=True)
class Finding:
    """One damage, as it counts for the grade."""

    kind: str
    member: str
    severity: float


def rating(findings: list[Finding], rng: np.random.Generator) -> str:
    """Returns the soundness rating: that of the worst damage, by its size and by what its member carries."""
    names = categories()["soundness"].classes
    if not findings:
        return names[0] if rng.random() < 0.93 else names[1]
    worst = max(
        f.severity + DAMAGE_SEVERITY[DAMAGES.index(f.kind)] + (0.25 if f.member in _STRUCTURAL else -0.2)
        for f in findings
    )
    return names[int(np.searchsorted(RATING_BOUNDS, worst + rng.normal(0, RATING_ERROR)))]


def measure(soundness: str, findings: list[Finding], rng: np.random.Generator) -> str:
    """Returns the measure that an inspector chooses."""
    classes = categories()["measure"].classes
    if not findings:
        return classes[0] if rng.random() < 0.9 else classes[1]
    shares = MEASURE_SHARES[categories()["soundness"].classes.index(soundness)].copy()
    worst = max(findings, key=lambda finding: finding.severity)
    for name, factor in _FACTORS.get(worst.kind, {}).items():
        shares[classes.index(name)] *= factor
    if worst.member not in _OVER_PEOPLE:
        shares[classes.index("E2")] *= 0.2
    if worst.member in _STRUCTURAL:
        shares[classes.index("C2")] *= 1.8
    shares = shares**_DECIDEDNESS
    return classes[int(rng.choice(len(classes), p=shares / shares.sum()))]


def chances(member: str) -> dict[str, float]:
    """Returns how probable each kind of damage is on a member."""
    row = damage_chances()[categories()["damage_location"].classes.index(member)]
    return dict(zip(DAMAGES, row.tolist(), strict=True))
