"""Main girder, cross girder and deck slab, seen from below."""

import numpy as np

from .. import backgrounds, materials
from ..canvas import Canvas
from .face import Face


def main_girder(canvas: Canvas, rng: np.random.Generator, kind: str) -> Face:
    """A girder from its side and a little from below: deck, top flange, web, bottom flange, then the open view."""
    paint = materials.substrate(kind, rng)
    backgrounds.outdoors(canvas, rng, rng.uniform(0.45, 0.52))
    low = 0.3 + rng.uniform(-0.03, 0.03)
    deck = materials.vary(materials.CONCRETES[0], rng)
    canvas.rectangle(canvas.left, canvas.top, canvas.right, -0.4, deck, 0.5)
    canvas.rectangle(canvas.left, -0.37, canvas.right, low, paint, 0.92, member=True)
    if kind == "concrete":
        _concrete_bulb(canvas, paint, low)
    else:
        _flanges_and_stiffeners(canvas, rng, paint, low)
    return Face(0, (low - 0.37) / 2, canvas.right, (low + 0.37) / 2, paint)


def _concrete_bulb(canvas: Canvas, paint: materials.Material, low: float) -> None:
    """The haunch under the deck and the thick bulb of a prestressed girder."""
    canvas.rectangle(canvas.left, -0.41, canvas.right, -0.33, paint, 0.62, member=True)
    canvas.rectangle(canvas.left, low - 0.13, canvas.right, low - 0.05, paint, 0.72, member=True)
    canvas.rectangle(canvas.left, low - 0.05, canvas.right, low + 0.1, paint, 1.08, member=True)
    canvas.line([(canvas.left, low + 0.1), (canvas.right, low + 0.1)], 0.012, (60, 58, 54))


def _flanges_and_stiffeners(canvas: Canvas, rng: np.random.Generator, paint: materials.Material, low: float) -> None:
    canvas.rectangle(canvas.left, -0.42, canvas.right, -0.35, paint, 0.62, member=True)
    spacing = rng.uniform(0.34, 0.44)
    for x in np.arange(canvas.left + rng.uniform(0, spacing), canvas.right, spacing):
        canvas.rectangle(x, -0.36, x + 0.026, low, paint, 1.12, member=True)
        canvas.rectangle(x + 0.026, -0.36, x + 0.044, low, paint, 0.6, member=True)
    canvas.rectangle(canvas.left, low, canvas.right, low + 0.075, paint, 1.14, member=True)
    canvas.rectangle(canvas.left, low + 0.075, canvas.right, low + 0.1, paint, 0.5, member=True)


def cross_girder(canvas: Canvas, rng: np.random.Generator, kind: str) -> Face:
    """A cross girder between two main girders that frame the picture left and right, dark bay behind it."""
    paint = materials.substrate(kind, rng)
    backgrounds.underside(canvas)
    canvas.rectangle(canvas.left, canvas.top, canvas.right, -0.34, materials.CONCRETES[0], 0.42)
    low = 0.2 + rng.uniform(-0.03, 0.03)
    canvas.rectangle(canvas.left, -0.2, canvas.right, low, paint, 0.9, member=True)
    canvas.rectangle(canvas.left, -0.245, canvas.right, -0.185, paint, 0.62, member=True)
    canvas.rectangle(canvas.left, low, canvas.right, low + 0.06, paint, 1.14, member=True)
    for side in (-1, 1):
        _framing_girder(canvas, paint, side, bolted=kind != "concrete")
    return Face(0, (low - 0.2) / 2, 0.36, (low + 0.2) / 2, paint)


def _framing_girder(canvas: Canvas, paint: materials.Material, side: int, *, bolted: bool) -> None:
    """The main girder's web and flange at one edge of the picture, with the gusset that takes the cross girder."""
    edge = side * canvas.right
    canvas.polygon([(edge, canvas.top), (side * 0.4, canvas.top), (side * 0.44, 0.42), (edge, 0.42)], paint, 0.74)
    canvas.polygon([(edge, 0.42), (side * 0.36, 0.42), (side * 0.4, canvas.bottom), (edge, canvas.bottom)], paint, 1.05)
    if bolted:
        canvas.polygon([(side * 0.42, -0.3), (side * 0.3, -0.2), (side * 0.3, 0.22), (side * 0.43, 0.34)], paint, 1.02)
        for y in np.linspace(-0.15, 0.18, 6):
            canvas.disc(side * 0.35, y, 0.012, (70, 74, 78))


def deck_slab(canvas: Canvas, rng: np.random.Generator, kind: str) -> Face:
    """The soffit between two girder flanges that run away from the camera, with the marks of its formwork."""
    paint = materials.substrate(kind, rng)
    steel = materials.substrate("steel", rng)
    canvas.rectangle(canvas.left, canvas.top, canvas.right, canvas.bottom, paint, 0.92, member=True)
    for y in np.arange(canvas.top + rng.uniform(0, 0.1), canvas.bottom, rng.uniform(0.12, 0.17)):
        canvas.line([(canvas.left, y), (canvas.right, y)], 0.005, (112, 109, 102))
    near, far = rng.uniform(0.4, 0.46), rng.uniform(0.3, 0.36)
    for side in (-1, 1):
        edge, corner = side * canvas.right, side * near
        canvas.polygon([(edge, canvas.bottom), (corner, canvas.bottom), (side * far, canvas.top), (edge, canvas.top)], steel, 0.66)
        web = side * 0.07
        canvas.polygon(
            [(corner, canvas.bottom), (corner + web, canvas.bottom), (side * far + web / 2, canvas.top), (side * far, canvas.top)],
            steel,
            1.1,
        )
    return Face(0, 0, 0.34, canvas.bottom, paint, vertical=True)
