"""Bridges, members and photos with their labels: which classes are frequent, and which occur together.

Frequencies have the long tail of inspection records: rating IV and the measures E1 and E2 are rare. A member has one
place, one or two kinds of damage, one rating and one measure. Its photos share them, except that a photo may miss a kind
of damage or show a part next to the member.
"""

from dataclasses import dataclass

import numpy as np

LOCATIONS = (
    "main girder", "cross girder", "deck slab", "vertical wall", "wing wall", "parapet", "pier", "bearing",
    "expansion joint", "pavement", "drainage facility", "railing", "guardrail", "curb", "attached equipment",
    "top slab", "bottom slab", "side wall", "unseating prevention system", "other",
)  # fmt: skip
LOCATION_SHARES = np.array(
    [0.22, 0.06, 0.19, 0.10, 0.04, 0.025, 0.075, 0.06, 0.035, 0.04, 0.025, 0.03, 0.018, 0.03, 0.010, 0.02, 0.007, 0.015, 0.006, 0.014]
)
# How many times more often than by its own share a kind of damage occurs at a place.
STEEL = {"corrosion": 4, "deterioration of anti-corrosion function": 4, "fatigue cracking": 4, "loosening / dislodgement": 3, "fracture": 3}
CONCRETE = {"cracking": 2, "spalling / rebar exposure": 2, "delamination": 2, "water leakage / efflorescence": 2}
FITTINGS = {"deformation / defect": 4, "corrosion": 2, "fracture": 3, "loosening / dislodgement": 3, "other": 2}
AFFINITY: dict[str, dict[str, float]] = {
    "main girder": {**STEEL, "cracking": 1.5},
    "cross girder": STEEL,
    "deck slab": {**CONCRETE, "water leakage / efflorescence": 3},
    "vertical wall": CONCRETE, "wing wall": CONCRETE, "parapet": CONCRETE, "top slab": CONCRETE, "side wall": CONCRETE,
    "bottom slab": {**CONCRETE, "scour": 20},
    "pier": {**CONCRETE, "scour": 12},
    "bearing": {"bearing dysfunction": 60, "corrosion": 5, "deterioration of anti-corrosion function": 3, "soil/debris clogging": 6},
    "expansion joint": {"soil/debris clogging": 12, "deformation / defect": 3, "other": 4, "water leakage / efflorescence": 1.5},
    "pavement": {"pavement defect": 120, "cracking": 1.5},
    "drainage facility": {"soil/debris clogging": 15, "fracture": 6, "corrosion": 3, "deformation / defect": 3},
    "railing": FITTINGS, "guardrail": FITTINGS, "attached equipment": FITTINGS, "unseating prevention system": FITTINGS,
    "curb": {**CONCRETE, "deformation / defect": 2},
}  # fmt: skip
DAMAGES = (
    "cracking", "spalling / rebar exposure", "corrosion", "delamination", "water leakage / efflorescence",
    "deformation / defect", "soil/debris clogging", "loosening / dislodgement", "deterioration of anti-corrosion function",
    "bearing dysfunction", "fracture", "fatigue cracking", "pavement defect", "scour", "other",
)  # fmt: skip
DAMAGE_SHARES = np.array([0.25, 0.21, 0.13, 0.09, 0.16, 0.05, 0.025, 0.010, 0.08, 0.007, 0.009, 0.005, 0.004, 0.007, 0.05])
# Mean severity of a kind of damage, in standard deviations.
DAMAGE_SEVERITY = np.array([0.0, 0.3, 0.1, 0.1, 0.0, 0.1, -0.5, 0.1, -0.4, 0.5, 0.7, 0.9, -0.1, 0.8, -0.3])
# Severities at which ratings II, III and IV begin.
RATING_BOUNDS = np.array([-0.85, 0.72, 2.45])
# Shares of the measures A, B, C1, C2, E1, E2, M, S1, S2 at each rating.
MEASURE_SHARES = np.array(
    [
        [0.26, 0.43, 0.05, 0.00, 0.00, 0.004, 0.20, 0.02, 0.036],
        [0.01, 0.44, 0.27, 0.02, 0.00, 0.006, 0.17, 0.04, 0.044],
        [0.00, 0.09, 0.26, 0.41, 0.006, 0.014, 0.08, 0.08, 0.06],
        [0.00, 0.00, 0.04, 0.38, 0.38, 0.10, 0.00, 0.08, 0.02],
    ]
)
SECOND_DAMAGE, SECOND_LOCATION = 0.25, 0.08  # probability that a member has a second one
PHOTO_MISSES_DAMAGE, PHOTO_SHOWS_MORE = 0.3, 0.12  # probability per photo
MEMBERS_PER_BRIDGE, PHOTOS_PER_MEMBER = 6.0, 3.0  # means
DUPLICATE = 0.25  # probability that a photo is another frame of the one before
BRIDGE_SEVERITY = 0.35  # share of the variance of severity that the members of a bridge have in common


@dataclass(frozen=True)
class Photos:
    """The labels of photos, in the order of their members."""

    bridge: np.ndarray  # [photos], number of the bridge
    member: np.ndarray  # [photos], number of the member
    frame: np.ndarray  # [photos], number of the scene: near-duplicate frames share it
    soundness: np.ndarray  # [photos], class
    measure: np.ndarray  # [photos], class
    damage: np.ndarray  # [photos][15], bool
    location: np.ndarray  # [photos][20], bool
    severity: np.ndarray  # [photos], of the member, in standard deviations
    main_damage: np.ndarray  # [photos], class that the member has first of all
    main_location: np.ndarray  # [photos], class

    def __len__(self) -> int:
        return len(self.member)

    def rows(self, rows: np.ndarray) -> "Photos":
        """Returns some of the photos."""
        return Photos(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def photos(rng: np.random.Generator, count: int) -> Photos:
    """Returns `count` photos; the last member may have fewer than it would."""
    members = _members(rng, int(count / PHOTOS_PER_MEMBER * 1.3) + 40)
    sizes = rng.geometric(1 / PHOTOS_PER_MEMBER, len(members["bridge"]))
    member = np.repeat(np.arange(len(sizes)), sizes)[:count]
    assert len(member) == count, "the surplus of members covers the spread of their sizes"
    own = {name: values[member] for name, values in members.items()}
    frame = _frames(rng, member)
    damage, location = _shown(rng, own.pop("damage"), own.pop("location"), frame)
    return Photos(member=member, frame=frame, damage=damage, location=location, **own)


def _members(rng: np.random.Generator, count: int) -> dict[str, np.ndarray]:
    bridge = np.cumsum(rng.random(count) < 1 / MEMBERS_PER_BRIDGE)
    main_location = draw(rng, np.tile(LOCATION_SHARES, (count, 1)))
    chances = damage_chances()[main_location]
    main_damage = draw(rng, chances)
    damage, location = one_hot(main_damage, 15), one_hot(main_location, 20)
    damage |= one_hot(draw(rng, chances), 15) & (rng.random((count, 1)) < SECOND_DAMAGE)
    other = draw(rng, np.tile(LOCATION_SHARES, (count, 1)))
    location |= one_hot(other, 20) & (rng.random((count, 1)) < SECOND_LOCATION)
    shared = rng.standard_normal(bridge[-1] + 1)[bridge]
    severity = np.sqrt(BRIDGE_SEVERITY) * shared + np.sqrt(1 - BRIDGE_SEVERITY) * rng.standard_normal(count)
    severity += DAMAGE_SEVERITY[main_damage]
    soundness = np.searchsorted(RATING_BOUNDS, severity)
    shares = MEASURE_SHARES / MEASURE_SHARES.sum(axis=1, keepdims=True)
    return {
        "bridge": bridge, "main_location": main_location, "main_damage": main_damage, "damage": damage, "location": location,
        "severity": severity, "soundness": soundness, "measure": draw(rng, shares[soundness]),
    }  # fmt: skip


def damage_chances() -> np.ndarray:
    """Returns the probability of each kind of damage at each place, [20][15]."""
    boosts = [[AFFINITY.get(place, {}).get(damage, 0.3 if place in AFFINITY else 1.0) for damage in DAMAGES] for place in LOCATIONS]
    chances = np.array(boosts) * DAMAGE_SHARES
    return chances / chances.sum(axis=1, keepdims=True)


def _frames(rng: np.random.Generator, member: np.ndarray) -> np.ndarray:
    """Returns the number of the scene of each photo."""
    is_new = rng.random(len(member)) >= DUPLICATE
    is_new |= np.diff(member, prepend=-1) != 0
    return np.cumsum(is_new) - 1


def _shown(rng: np.random.Generator, damage: np.ndarray, location: np.ndarray, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns what each scene shows of the member's damage, and the parts next to it that it shows too."""
    scenes = frame[-1] + 1
    missed = (rng.random((scenes, 15)) < PHOTO_MISSES_DAMAGE)[frame]
    seen = damage & ~missed
    seen = np.where(seen.any(axis=1, keepdims=True), seen, damage)
    more = one_hot(draw(rng, np.tile(LOCATION_SHARES, (scenes, 1))), 20)
    more &= rng.random((scenes, 1)) < PHOTO_SHOWS_MORE
    return seen, location | more[frame]


def draw(rng: np.random.Generator, chances: np.ndarray) -> np.ndarray:
    """Returns a class for each row of probabilities."""
    bounds = np.cumsum(chances, axis=1)
    return np.minimum((rng.random((len(chances), 1)) * bounds[:, -1:] > bounds).sum(axis=1), chances.shape[1] - 1)


def one_hot(classes: np.ndarray, count: int) -> np.ndarray:
    return classes[:, None] == np.arange(count)
