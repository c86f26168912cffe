"""What photos of bridges show that is no damage: cables, graffiti, chalk, water, leaves, droppings, stains."""

from collections.abc import Callable

import numpy as np

from .canvas import Canvas
from .geometry import Facet
from .shapes import Spot, crooked, draw_line, edge, patch_around, ragged
from .stamps import discs

_SPRAYS = (
    (0.02, 0.02, 0.02),
    (0.5, 0.05, 0.04),
    (0.05, 0.12, 0.45),
    (0.55, 0.55, 0.55),
    (0.06, 0.3, 0.1),
    (0.6, 0.4, 0.02),
)


def chalk(canvas: Canvas, rng: np.random.Generator, spot: Spot) -> None:
    """Marks of earlier inspections, in places that have nothing to do with damage."""
    colour = ((0.7, 0.7, 0.68), (0.65, 0.6, 0.15), (0.5, 0.1, 0.08))[int(rng.choice(3, p=(0.7, 0.15, 0.15)))]
    for _ in range(int(rng.integers(1, 5))):
        start = spot.u + rng.normal(0, spot.reach), spot.v + rng.normal(0, spot.reach)
        angle = rng.choice((0, np.pi / 2, np.pi / 4)) + rng.normal(0, 0.15)
        long = spot.extent * rng.uniform(0.1, 0.7)
        end = start[0] + long * np.cos(angle), start[1] + long * np.sin(angle)
        draw_line(
            canvas, spot.number, crooked(rng, start, end, 0.03), rng.uniform(4, 10), colour, rng.uniform(0.4, 0.8), 0
        )


def graffiti(canvas: Canvas, rng: np.random.Generator, spot: Spot) -> None:
    """Loops of spray paint that are no letters."""
    colour = _SPRAYS[int(rng.integers(len(_SPRAYS)))]
    for stroke in range(int(rng.integers(2, 6))):
        t = np.linspace(0, rng.uniform(2, 7), 160)
        u = (
            spot.u
            + (stroke - 2) * 0.4 * spot.extent
            + spot.reach * 0.4 * np.sin(t * rng.uniform(0.8, 1.8) + rng.uniform(0, 6))
        )
        v = spot.v + spot.reach * 0.6 * np.sin(t * rng.uniform(0.8, 1.8) + rng.uniform(0, 6))
        draw_line(canvas, spot.number, (u, v), rng.uniform(25, 70), colour, rng.uniform(0.6, 0.9), 0)


def wet(canvas: Canvas, rng: np.random.Generator, spot: Spot) -> None:
    """Rain or dew: a dark patch with a soft border."""
    patch = patch_around(canvas, spot, *(1.4 * spot.reach,) * 4)
    if patch is not None:
        field = ragged(patch, rng, spot, spot.reach, spot.reach * 0.7, 0.5)
        canvas.scale(patch, 1 - np.float32(rng.uniform(0.2, 0.45)) * edge(field, patch, spot.reach, 25))


def leaves(canvas: Canvas, rng: np.random.Generator, spot: Spot) -> None:
    """Single leaves and twigs."""
    count = int(rng.integers(4, 40))
    u, v = spot.u + rng.normal(0, spot.extent, count), spot.v + rng.normal(0, spot.extent, count)
    stamp = discs(canvas, spot.number, u, v, rng.uniform(8, 28, count))
    tint = rng.uniform(0.5, 1.6, count)[stamp.along.astype(int)].astype(np.float32)
    canvas.paint_at(stamp.index, stamp.alpha * np.float32(0.9), [tint * c for c in (0.17, 0.13, 0.05)])


def droppings(canvas: Canvas, rng: np.random.Generator, spot: Spot) -> None:
    count = int(rng.integers(3, 25))
    u, v = spot.u + rng.normal(0, 0.7 * spot.extent, count), spot.v + rng.normal(0, 0.7 * spot.extent, count)
    stamp = discs(canvas, spot.number, u, v, rng.uniform(5, 18, count))
    canvas.paint_at(stamp.index, stamp.alpha * np.float32(0.85), (0.6, 0.6, 0.56))


def scratches(canvas: Canvas, rng: np.random.Generator, spot: Spot) -> None:
    """Fine bright scratches and fine dark lines of the formwork's grain: they resemble cracks."""
    angle = rng.uniform(0, np.pi)
    for _ in range(int(rng.integers(2, 9))):
        a = angle + rng.normal(0, 0.15)
        start = spot.u + rng.normal(0, spot.reach), spot.v + rng.normal(0, spot.reach)
        end = (
            start[0] + spot.extent * np.cos(a) * rng.uniform(0.2, 1),
            start[1] + spot.extent * np.sin(a) * rng.uniform(0.2, 1),
        )
        dark = rng.random() < 0.4
        draw_line(
            canvas,
            spot.number,
            crooked(rng, start, end, 0.008),
            rng.uniform(0.5, 3),
            (0.05, 0.05, 0.045) if dark else (0.5, 0.49, 0.47),
            rng.uniform(0.3, 0.7),
            0,
        )


def stain(canvas: Canvas, rng: np.random.Generator, spot: Spot) -> None:
    """A harmless stain: oil, tannin of leaves, dust."""
    patch = patch_around(canvas, spot, *(1.4 * spot.reach,) * 4)
    if patch is not None:
        colour = ((0.03, 0.03, 0.03), (0.16, 0.10, 0.055), (0.3, 0.28, 0.25))[int(rng.integers(3))]
        field = ragged(patch, rng, spot, spot.reach, spot.reach * rng.uniform(0.3, 1), 0.6)
        canvas.paint(patch, np.clip(field * 2, 0, 1) * np.float32(rng.uniform(0.1, 0.35)), colour)


def cable_across(canvas: Canvas, rng: np.random.Generator, spot: Spot) -> None:
    """A thin cable that is fixed to the surface and sags."""
    facet: Facet = canvas.projections[spot.number].facet
    u = np.linspace(0, facet.size[0], 400)
    v = spot.v + spot.extent * 0.1 * np.abs(np.sin(u / max(900, spot.extent) * np.pi))
    width = rng.uniform(6, 18)
    draw_line(
        canvas,
        spot.number,
        (u, v),
        width,
        (0.025, 0.025, 0.027) if rng.random() < 0.7 else (0.35, 0.35, 0.33),
        0.97,
        -width / 2,
    )
    draw_line(canvas, spot.number, (u, v + width * 1.1), width * 1.2, (0.03, 0.03, 0.03), 0.35, 0)


DISTRACTORS: dict[str, tuple[float, Callable[[Canvas, np.random.Generator, Spot], None]]] = {
    "chalk": (1.0, chalk),
    "graffiti": (0.35, graffiti),
    "water": (1.0, wet),
    "leaves": (0.7, leaves),
    "droppings": (0.6, droppings),
    "scratches": (1.2, scratches),
    "stain": (2.0, stain),
    "cable": (0.8, cable_across),
}
