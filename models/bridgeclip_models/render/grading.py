"""The measure that follows from what a scene shows: that of the first line which applies.

| rating | and                                                              | measure |
|--------|------------------------------------------------------------------|---------|
| IV     | over or beside traffic and people                                | E2      |
| IV     | elsewhere                                                        | E1      |
| III    | pieces that may fall (`FALLING`) over or beside traffic          | E2      |
| III    | a damage of unknown cause or depth (`TO_INVESTIGATE`)            | S1      |
| I, II  | a damage that cleaning or tightening ends (`ROUTINE`)            | M       |
| III    | a load-bearing member                                            | C2      |
| III    | elsewhere                                                        | C1      |
| II     | a damage whose growth decides (`TO_MONITOR`) on a plain wall     | S2      |
| II     | a damage that shortens the life of a load-bearing member         | C1      |
| II     | otherwise                                                        | B       |
| I      | otherwise                                                        | A       |

The rule was made for these drawings, and is simpler than an engineer's judgement.
"""

from collections.abc import Collection

THIRD_PARTY = {
    "deck slab", "curb", "railing", "guardrail", "attached equipment", "pavement", "expansion joint", "drainage facility",
    "parapet",
}
LOAD_BEARING = {"main girder", "cross girder", "deck slab", "pier", "bearing", "top slab", "unseating prevention system"}
WALLS = {"vertical wall", "wing wall", "side wall", "parapet", "pier"}

FALLING = {"delamination", "loosening / dislodgement"}
TO_INVESTIGATE = {"fatigue cracking", "scour", "fracture"}
ROUTINE = {"soil/debris clogging", "loosening / dislodgement", "pavement defect"}
TO_MONITOR = {"cracking", "delamination", "other"}
LIFE_SHORTENING = {"corrosion", "spalling / rebar exposure", "water leakage / efflorescence", "bearing dysfunction"}


def measure(soundness: str, damages: Collection[str], locations: Collection[str]) -> str:
    """Returns the component-wise measure classification, by the table in the module's description."""
    damages, locations = set(damages), set(locations)
    if soundness == "IV":
        return "E2" if locations & THIRD_PARTY else "E1"
    if soundness == "III":
        return _early_action(damages, locations)
    if damages & ROUTINE:
        return "M"
    return _preventive(damages, locations) if soundness == "II" else "A"


def _early_action(damages: set[str], locations: set[str]) -> str:
    if damages & FALLING and locations & THIRD_PARTY:
        return "E2"
    if damages & TO_INVESTIGATE:
        return "S1"
    return "C2" if locations & LOAD_BEARING else "C1"


def _preventive(damages: set[str], locations: set[str]) -> str:
    if damages & TO_MONITOR and locations & WALLS:
        return "S2"
    return "C1" if damages & LIFE_SHORTENING and locations & LOAD_BEARING else "B"
