"""What occurs where and how often: the tables from which scenes are drawn at random.

The frequencies are uneven, as in inspection records, but invented; none is measured. Weights are relative to the others
in their table.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from . import concretework, functional_damage, material_damage, roadwork, steelwork
from .drawing import Pen
from .material_damage import Spot

DrawMember = Callable[[Pen, np.random.Generator], None]
DrawDamage = Callable[[Pen, np.random.Generator, Spot], None]


@dataclass(frozen=True)
class Member:
    """A location of damage: how it is drawn, how often it is photographed, and which kinds of damage occur there."""

    draw: DrawMember
    weight: float
    damages: dict[str, float]  # damage -> weight


DAMAGES: dict[str, DrawDamage] = {
    "cracking": material_damage.cracking,
    "spalling / rebar exposure": material_damage.spalling,
    "corrosion": material_damage.corrosion,
    "delamination": material_damage.delamination,
    "water leakage / efflorescence": material_damage.leakage,
    "deformation / defect": functional_damage.deformation,
    "soil/debris clogging": functional_damage.clogging,
    "loosening / dislodgement": functional_damage.loosening,
    "deterioration of anti-corrosion function": material_damage.peeling_paint,
    "bearing dysfunction": functional_damage.bearing_dysfunction,
    "fracture": functional_damage.fracture,
    "fatigue cracking": material_damage.fatigue_cracking,
    "pavement defect": functional_damage.pavement_defect,
    "scour": functional_damage.scour,
    "other": material_damage.discolouration,
}

_CONCRETE = {"cracking": 5, "spalling / rebar exposure": 4, "delamination": 3, "water leakage / efflorescence": 4, "other": 1}
_STEEL = {
    "corrosion": 5, "deterioration of anti-corrosion function": 4, "fatigue cracking": 2, "fracture": 0.5,
    "loosening / dislodgement": 0.5, "deformation / defect": 2,
}
_FITTING = {
    "corrosion": 3, "deformation / defect": 4, "loosening / dislodgement": 1.2, "fracture": 1,
    "deterioration of anti-corrosion function": 2,
}
_ROAD = {"pavement defect": 6, "cracking": 2, "deformation / defect": 2, "soil/debris clogging": 1}
_BEARING = {"bearing dysfunction": 5, "corrosion": 3, "soil/debris clogging": 2, "loosening / dislodgement": 0.5}
_JOINT = {"soil/debris clogging": 3, "deformation / defect": 2, "fracture": 0.7, "water leakage / efflorescence": 2}
_FLOOR = {"cracking": 3, "soil/debris clogging": 2, "spalling / rebar exposure": 2, "scour": 2}

MEMBERS: dict[str, Member] = {
    "main girder": Member(steelwork.main_girder, 13, _STEEL | {"other": 1}),
    "cross girder": Member(steelwork.cross_girder, 6, _STEEL),
    "deck slab": Member(concretework.deck_slab, 13, _CONCRETE),
    "vertical wall": Member(concretework.vertical_wall, 6, _CONCRETE | {"scour": 1}),
    "wing wall": Member(concretework.wing_wall, 4, _CONCRETE | {"deformation / defect": 1}),
    "parapet": Member(concretework.parapet, 4, _CONCRETE | {"soil/debris clogging": 2}),
    "pier": Member(concretework.pier, 10, _CONCRETE | {"scour": 2}),
    "bearing": Member(steelwork.bearing, 7, _BEARING),
    "expansion joint": Member(roadwork.expansion_joint, 5, _JOINT),
    "pavement": Member(roadwork.pavement, 5, _ROAD),
    "drainage facility": Member(roadwork.drainage, 4, {"soil/debris clogging": 5, "corrosion": 2, "fracture": 0.5, "other": 1}),
    "railing": Member(steelwork.railing, 4, _FITTING),
    "guardrail": Member(steelwork.guardrail, 3.5, _FITTING),
    "curb": Member(roadwork.curb, 3.5, {"cracking": 3, "spalling / rebar exposure": 3, "delamination": 2, "other": 1}),
    "attached equipment": Member(steelwork.attached_equipment, 3, _FITTING | {"other": 1}),
    "top slab": Member(concretework.top_slab, 3, _CONCRETE),
    "bottom slab": Member(concretework.bottom_slab, 3, _FLOOR),
    "side wall": Member(concretework.side_wall, 3, _CONCRETE),
    "unseating prevention system": Member(steelwork.unseating_prevention, 2.5, _FITTING),
    "other": Member(concretework.masonry, 3, {"deformation / defect": 2, "cracking": 2, "soil/debris clogging": 1, "other": 2}),
}

SOUNDNESS_WEIGHTS = {"I": 0.17, "II": 0.42, "III": 0.365, "IV": 0.045}

# Half the width of a damage by rating, as a share of the picture's short side.
EXTENT = {"I": 0.105, "II": 0.15, "III": 0.22, "IV": 0.36}

TWO_DAMAGES = 0.2  # share of the photos that show two kinds of damage
TWO_LOCATIONS = 0.1


def draw_from(rng: np.random.Generator, weights: dict[str, float]) -> str:
    """Returns one key, chosen at random by the weights."""
    shares = np.cumsum(list(weights.values()))
    return list(weights)[int(np.searchsorted(shares, rng.random() * shares[-1], side="right"))]
