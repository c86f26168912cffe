"""Concrete members, drawn into the unit square: substructures, slabs and the inside of box culverts."""

import numpy as np

from .drawing import Pen, Point, blob, shade
from .surfaces import (
    CONCRETE, DARK_CONCRETE, GIRDER_PAINT, SHADOW, SKY, SOIL, formwork, one_of, vegetation, water, weathering,
)


def deck_slab(pen: Pen, rng: np.random.Generator) -> None:
    """Draws the soffit between two girders, looking up along the bridge: panels narrow towards the far end."""
    concrete, paint = one_of(rng, CONCRETE), shade(one_of(rng, GIRDER_PAINT), 0.5)
    pen.fill(concrete)
    for y in (0.04, 0.13, 0.26, 0.45, 0.74, 1.1):
        pen.line(((-0.3, y), (1.3, y)), 0.008 + 0.008 * y, shade(concrete, 0.75))
    weathering(pen, rng, (0, 0, 1, 1), shade(concrete, 0.8))
    for side in (0, 1):
        pen.polygon([(_mirror(x, side), y) for x, y in ((-1.4, -0.6), (0.3, -0.6), (0.02, 1.4), (-1.4, 1.4))], paint)
        flange = [(_mirror(x, side), y) for x, y in ((0.27, -0.6), (0.35, -0.6), (0.12, 1.4), (0.0, 1.4))]
        pen.polygon(flange, shade(paint, 1.9))


def vertical_wall(pen: Pen, rng: np.random.Generator) -> None:
    """Draws the front of an abutment above grass."""
    formwork(pen, rng, (-1.2, -1.2, 2.2, 0.86), one_of(rng, CONCRETE))
    vegetation(pen, rng, 0.86, 2.2)


def wing_wall(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a wall with a sloping crest, against the embankment and the sky."""
    concrete = one_of(rng, CONCRETE)
    pen.fill(one_of(rng, SKY))
    slope = one_of(rng, ((96, 128, 62), (108, 134, 70)))
    pen.polygon([(-1.2, 0.3), (2.2, -0.2), (2.2, 2.2), (-1.2, 2.2)], slope)
    pen.polygon([(-1.0, -0.9), (0.08, 0.04), (1.1, 0.86), (2.0, 1.5), (-1.0, 1.5)], concrete)
    pen.line([(-1.0, -0.9), (0.08, 0.04), (1.1, 0.86), (2.0, 1.5)], 0.07, shade(concrete, 1.25))
    for y in (0.45, 0.68):
        pen.line(((-1.0, y), (y * 1.2, y)), 0.007, shade(concrete, 0.8))
    weathering(pen, rng, (0, 0.4, 0.5, 0.9), shade(concrete, 0.8))
    pen.polygon([(-1.2, 0.9), (2.2, 0.96), (2.2, 2.2), (-1.2, 2.2)], shade(slope, 0.8))


def parapet(pen: Pen, rng: np.random.Generator) -> None:
    """Draws the backwall behind a bearing seat, between two dark girder ends."""
    concrete = one_of(rng, ((188, 178, 150), (180, 170, 146)))
    formwork(pen, rng, (-1.2, 0.08, 2.2, 0.72), concrete)
    pen.band(-1.2, 0.1, SHADOW)
    pen.band(0.72, 0.82, shade(concrete, 1.25))
    pen.band(0.82, 2.2, shade(concrete, 0.6))
    for left in (-0.5, -0.02, 0.86, 1.34):
        pen.rectangle(left, 0.08, left + 0.16, 0.6, (54, 60, 74))
        pen.rectangle(left - 0.03, 0.6, left + 0.19, 0.66, (96, 104, 122))
        pen.rectangle(left + 0.02, 0.66, left + 0.14, 0.76, (30, 30, 34))


def pier(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a column with a hammerhead in a river."""
    concrete = one_of(rng, CONCRETE)
    pen.fill(one_of(rng, SKY))
    vegetation(pen, rng, 0.56, 0.7)
    water(pen, rng, 0.7, 2.2)
    pen.rectangle(0.24, 0.2, 0.76, 0.9, concrete)
    pen.rectangle(0.68, 0.2, 0.76, 0.9, shade(concrete, 0.7))
    pen.polygon([(-0.08, 0.0), (1.08, 0.0), (1.08, 0.12), (0.76, 0.26), (0.24, 0.26), (-0.08, 0.12)], shade(concrete, 1.1))
    pen.band(-1.2, 0.0, shade(one_of(rng, GIRDER_PAINT), 0.7))
    for y in (0.42, 0.62):
        pen.line(((0.24, y), (0.76, y)), 0.006, shade(concrete, 0.82))
    pen.rectangle(0.24, 0.82, 0.76, 0.9, shade(concrete, 0.62))


def top_slab(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a box culvert, looking up: the ceiling fills most of the picture."""
    _culvert(pen, rng, opening=(0.34, 0.74, 0.66, 0.92), lit="top")


def bottom_slab(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a box culvert, looking down: the wet floor fills most of the picture."""
    _culvert(pen, rng, opening=(0.34, 0.06, 0.66, 0.24), lit="bottom")


def side_wall(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a box culvert, looking to the left: that wall fills most of the picture."""
    _culvert(pen, rng, opening=(0.76, 0.36, 0.94, 0.64), lit="left")


def masonry(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a stone revetment beside the bridge, as an example of other members."""
    mortar = one_of(rng, SOIL)
    pen.fill(shade(mortar, 0.5))
    for row in range(-3, 9):
        for column in range(-3, 8):
            centre = (column * 0.22 + (row % 2) * 0.11, row * 0.17)
            stone = shade(one_of(rng, ((128, 136, 150), (150, 140, 122), (110, 118, 134))), rng.uniform(0.85, 1.15))
            pen.polygon(blob(rng, centre, 0.1, 0.078, 0.1), stone)


def _culvert(pen: Pen, rng: np.random.Generator, opening: tuple[float, float, float, float], lit: str) -> None:
    """Draws the inside of a box: four faces between the far opening (left, top, right, bottom) and the picture's edges."""
    near = ((-0.7, -0.7), (1.7, -0.7), (1.7, 1.7), (-0.7, 1.7))
    left, top, right, bottom = opening
    far = ((left, top), (right, top), (right, bottom), (left, bottom))
    concrete = one_of(rng, DARK_CONCRETE)
    tints = {"top": shade(concrete, 0.75), "right": shade(concrete, 0.55), "bottom": (84, 70, 54), "left": shade(concrete, 0.6)}
    tints[lit] = {"top": (168, 170, 176), "bottom": (136, 112, 84), "left": (186, 184, 170)}[lit]
    for index, side in enumerate(("top", "right", "bottom", "left")):
        after = (index + 1) % 4
        pen.polygon([near[index], near[after], far[after], far[index]], tints[side])
        for depth in (0.25, 0.5, 0.75):
            ends = (_between(near[index], far[index], depth), _between(near[after], far[after], depth))
            pen.line(ends, 0.008, shade(tints[side], 0.8))
    pen.polygon(far, one_of(rng, ((226, 236, 220), (214, 232, 240))))


def _between(a: Point, b: Point, share: float) -> Point:
    return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share


def _mirror(x: float, side: int) -> float:
    return 1 - x if side else x
