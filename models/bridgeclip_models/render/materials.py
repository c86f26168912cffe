"""What bridges are made of: colour ramps with a roughness, from the darkest to the lightest grain."""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Material:
    """`dark`..`light` is the ramp of sRGB colours; `roughness` the shares of the noise octaves, coarse to fine."""

    dark: tuple[int, int, int]
    light: tuple[int, int, int]
    roughness: tuple[float, float, float, float]


def _painted(red: int, green: int, blue: int) -> Material:
    """Paint is even: two thirds of its variation is coarse soiling."""
    dark = (int(red * 0.8), int(green * 0.8), int(blue * 0.8))
    light = (min(255, int(red * 1.12)), min(255, int(green * 1.12)), min(255, int(blue * 1.12)))
    return Material(dark, light, (4, 2, 1, 1))


CONCRETES = (
    Material((122, 119, 112), (190, 187, 178), (3, 2, 2, 4)),
    Material((132, 126, 112), (200, 193, 176), (3, 2, 2, 4)),
    Material((110, 113, 113), (176, 180, 180), (3, 2, 2, 4)),
)
PAINTS = (
    _painted(112, 158, 132),  # light green
    _painted(84, 128, 172),  # blue
    _painted(206, 198, 164),  # cream
    _painted(138, 158, 170),  # grey blue
    _painted(150, 186, 190),  # pale turquoise
)
WEATHERING_STEEL = Material((50, 36, 34), (92, 66, 56), (2, 3, 2, 3))
GALVANISED = Material((142, 148, 154), (214, 219, 224), (2, 3, 1, 1))
BROWN_ALUMINIUM = _painted(122, 98, 76)
ASPHALT = Material((44, 44, 47), (102, 102, 106), (2, 1, 2, 6))
RUBBER = Material((18, 18, 20), (46, 46, 50), (1, 1, 1, 2))
PVC = _painted(172, 172, 168)

RUST = Material((72, 30, 12), (196, 104, 44), (2, 4, 4, 3))
PALE_RUST = Material((142, 70, 26), (214, 132, 66), (2, 3, 2, 1))
AGGREGATE = Material((112, 98, 78), (232, 218, 190), (1, 2, 6, 6))
BROKEN_CONCRETE = Material((168, 164, 156), (238, 234, 226), (1, 1, 3, 4))
LIME = Material((206, 206, 200), (255, 255, 252), (1, 2, 2, 1))
PRIMER = Material((198, 176, 96), (238, 222, 150), (1, 2, 1, 1))
SOIL = Material((52, 38, 24), (134, 104, 70), (2, 3, 4, 4))
ROCK = Material((66, 64, 58), (150, 146, 134), (2, 4, 3, 3))
WATER = Material((44, 70, 72), (112, 140, 138), (3, 3, 1, 0.3))
LEAVES = Material((26, 44, 18), (112, 142, 62), (2, 4, 5, 2))
GRASS = Material((58, 82, 34), (148, 168, 84), (2, 2, 5, 5))
SHADE = Material((12, 12, 14), (46, 46, 48), (4, 2, 1, 1))
VOID = (9, 9, 11)


def vary(material: Material, rng: np.random.Generator, amount: float = 0.07) -> Material:
    """The same material of another batch: up to `amount` brighter or darker, its hue a third as far."""
    gain = 1 + rng.uniform(-amount, amount) + rng.uniform(-amount, amount, 3) / 3

    def scaled(colour: tuple[int, int, int]) -> tuple[int, int, int]:
        return tuple(int(min(255, channel * factor)) for channel, factor in zip(colour, gain, strict=True))

    return replace(material, dark=scaled(material.dark), light=scaled(material.light))


def substrate(kind: str, rng: np.random.Generator) -> Material:
    """A batch of the material that the tables call `kind`."""
    choices = {
        "concrete": CONCRETES,
        "steel": PAINTS,
        "weathering steel": (WEATHERING_STEEL,),
        "galvanised": (GALVANISED,),
        "asphalt": (ASPHALT,),
    }[kind]
    return vary(choices[rng.integers(len(choices))], rng)
