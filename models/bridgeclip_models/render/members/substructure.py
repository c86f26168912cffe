"""Abutment walls, piers, and the "other" structures around them."""

import numpy as np

from .. import backgrounds, materials
from ..canvas import Canvas
from .face import Face


def vertical_wall(canvas: Canvas, rng: np.random.Generator, kind: str) -> Face:
    """The abutment's front: seat and dark girder bay above, formwork panels with tie holes, ground at its foot."""
    paint = materials.substrate(kind, rng)
    canvas.rectangle(canvas.left, canvas.top, canvas.right, canvas.bottom, paint, member=True)
    canvas.rectangle(canvas.left, canvas.top, canvas.right, -0.42, materials.SHADE)
    canvas.rectangle(canvas.left, -0.42, canvas.right, -0.37, paint, 1.2, member=True)
    _formwork(canvas, rng)
    backgrounds.ground(canvas, rng, rng.uniform(0.38, 0.43))
    return Face(0, 0, canvas.right, 0.38, paint)


def _formwork(canvas: Canvas, rng: np.random.Generator) -> None:
    """Panels of 0.45 x 0.26 units with four tie holes each."""
    start = canvas.left - rng.uniform(0, 0.45)
    for x in np.arange(start, canvas.right, 0.45):
        canvas.line([(x, -0.36), (x, canvas.bottom)], 0.006, (108, 105, 99))
        for y in (-0.26, 0.0, 0.26):
            for tie in (0.11, 0.34):
                canvas.disc(x + tie, y - 0.04, 0.011, (74, 72, 68))
    for y in (-0.13, 0.13):
        canvas.line([(canvas.left, y), (canvas.right, y)], 0.006, (108, 105, 99))


def wing_wall(canvas: Canvas, rng: np.random.Generator, kind: str) -> Face:
    """The triangular wall beside the abutment, its coping falling with the slope, sky above."""
    paint = materials.substrate(kind, rng)
    side = rng.choice((-1, 1))
    backgrounds.sky(canvas, rng, 0.3)
    high, low, edge = -0.42 + rng.uniform(-0.04, 0.04), 0.32, side * canvas.right
    canvas.polygon([(edge, -0.12), (edge, canvas.bottom), (-edge, canvas.bottom), (-edge, 0.3)], materials.GRASS)
    canvas.polygon(
        [(-edge, high), (side * -0.3, high), (side * 0.52, low), (side * 0.52, canvas.bottom), (-edge, canvas.bottom)],
        paint,
        member=True,
    )
    canvas.polygon(
        [(-edge, high), (side * -0.3, high), (side * 0.55, low), (side * 0.55, low + 0.06), (side * -0.31, high + 0.07), (-edge, high + 0.07)],
        paint,
        1.2,
        member=True,
    )
    canvas.rectangle(canvas.left, 0.42, canvas.right, canvas.bottom, materials.GRASS)
    return Face(side * -0.14, 0.12, 0.34, 0.28, paint)


def parapet(canvas: Canvas, rng: np.random.Generator, kind: str) -> Face:
    """The backwall behind the bearing seat, between the ends of two girders that stand on it."""
    paint, steel = materials.substrate(kind, rng), materials.substrate("steel", rng)
    backgrounds.underside(canvas)
    canvas.rectangle(canvas.left, -0.36, canvas.right, 0.27, paint, 0.84, member=True)
    canvas.rectangle(canvas.left, 0.27, canvas.right, canvas.bottom, paint, 1.18)
    canvas.rectangle(canvas.left, 0.27, canvas.right, 0.31, paint, 0.55)
    spread = rng.uniform(0.4, 0.44)
    for side in (-1, 1):
        _girder_end(canvas, steel, side * spread)
    return Face(0, -0.04, 0.3, 0.3, paint)


def _girder_end(canvas: Canvas, steel: materials.Material, x: float) -> None:
    """An I section, end on, on its bearing."""
    canvas.rectangle(x - 0.11, -0.42, x + 0.11, -0.36, steel, 1.1)
    canvas.rectangle(x - 0.022, -0.36, x + 0.022, 0.2, steel, 0.8)
    canvas.rectangle(x - 0.11, 0.2, x + 0.11, 0.25, steel, 1.15)
    canvas.rectangle(x - 0.07, 0.25, x + 0.07, 0.34, materials.RUBBER)


def pier(canvas: Canvas, rng: np.random.Generator, kind: str) -> Face:
    """A column under its hammerhead, the open view on both sides, water or ground at its foot."""
    paint = materials.substrate(kind, rng)
    foot = rng.uniform(0.36, 0.42)
    backgrounds.outdoors(canvas, rng, foot)
    half = rng.uniform(0.24, 0.29)
    canvas.rectangle(canvas.left, canvas.top, canvas.right, -0.47, materials.SHADE)
    canvas.tube((0, -0.36), (0, foot + 0.05), half, paint, member=True, strips=11)
    canvas.polygon([(-0.6, -0.47), (0.6, -0.47), (0.6, -0.38), (half, -0.26), (-half, -0.26), (-0.6, -0.38)], paint, 0.8, member=True)
    return Face(0, 0.04, half, 0.3, paint, vertical=True)


def other_structure(canvas: Canvas, rng: np.random.Generator, kind: str) -> Face:
    """Slope protection before the abutment: staggered concrete blocks with grown joints."""
    paint = materials.substrate(kind, rng)
    canvas.rectangle(canvas.left, canvas.top, canvas.right, canvas.bottom, materials.GRASS, 0.7)
    length, height = rng.uniform(0.2, 0.25), rng.uniform(0.11, 0.14)
    for row, y in enumerate(np.arange(canvas.top, canvas.bottom, height)):
        start = canvas.left - length * (0.5 if row % 2 else 0)
        for x in np.arange(start, canvas.right, length):
            corners = [(x, y + 0.02), (x + 0.02, y), (x + length - 0.02, y), (x + length - 0.018, y + height - 0.018), (x, y + height - 0.018)]
            canvas.polygon(corners, paint, rng.uniform(0.8, 1.12), member=True)
    return Face(0, 0, canvas.right, canvas.bottom, paint)
