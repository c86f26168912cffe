"""What is behind and around a member: sky, trees, water, ground, the darkness under a deck."""

import numpy as np

from . import materials
from .canvas import Canvas

# Top and horizon colour: clear, hazy, overcast, evening.
SKIES = (
    ((92, 142, 206), (192, 214, 236)),
    ((152, 178, 204), (220, 226, 230)),
    ((176, 180, 184), (214, 216, 216)),
    ((150, 152, 178), (236, 212, 184)),
)
SKY_BANDS = 12


def sky(canvas: Canvas, rng: np.random.Generator, horizon: float) -> None:
    """A sky from the upper edge to `horizon`, in bands too fine to see after the lens."""
    top, low = SKIES[rng.integers(len(SKIES))]
    edges = np.linspace(canvas.top, horizon, SKY_BANDS + 1)
    for band, (y0, y1) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        mix = band / (SKY_BANDS - 1)
        colour = tuple(round(a + (b - a) * mix) for a, b in zip(top, low, strict=True))
        canvas.rectangle(canvas.left, y0, canvas.right, y1 + 0.01, colour)


def trees(canvas: Canvas, rng: np.random.Generator, base: float, height: float) -> None:
    """A row of tree crowns standing on y = base."""
    x = canvas.left
    while x < canvas.right:
        radius = height * rng.uniform(0.35, 0.6)
        canvas.cover(canvas.blob(x, base - radius, radius, radius, 0.9, 0.1), materials.LEAVES, anywhere=True)
        x += radius * 1.2
    canvas.rectangle(canvas.left, base - height * 0.35, canvas.right, base, materials.LEAVES, 0.8)


def outdoors(canvas: Canvas, rng: np.random.Generator, horizon: float) -> None:
    """Sky down to the horizon, often with trees before it, and grass or water below."""
    sky(canvas, rng, horizon)
    if rng.random() < 0.6:
        trees(canvas, rng, horizon, rng.uniform(0.12, 0.3))
    if rng.random() < 0.5:
        water(canvas, horizon)
    else:
        canvas.rectangle(canvas.left, horizon, canvas.right, canvas.bottom, materials.GRASS, rng.uniform(0.8, 1.1))


def water(canvas: Canvas, y: float) -> None:
    """Water from y down to the lower edge, with bright ripples."""
    canvas.rectangle(canvas.left, y, canvas.right, canvas.bottom, materials.WATER)
    for _ in range(14):
        x, ripple = canvas.rng.uniform(canvas.left, canvas.right), canvas.rng.uniform(y, canvas.bottom)
        length = canvas.rng.uniform(0.04, 0.16)
        canvas.line([(x, ripple), (x + length, ripple)], 0.005, (158, 182, 184))


def ground(canvas: Canvas, rng: np.random.Generator, y: float) -> None:
    """Bare or grown ground from y down to the lower edge."""
    paint = materials.GRASS if rng.random() < 0.5 else materials.ROCK
    canvas.rectangle(canvas.left, y, canvas.right, canvas.bottom, paint, rng.uniform(0.8, 1.05))


def underside(canvas: Canvas) -> None:
    """The darkness under a deck."""
    canvas.rectangle(canvas.left, canvas.top, canvas.right, canvas.bottom, materials.SHADE)


def verge(canvas: Canvas, rng: np.random.Generator, y: float) -> None:
    """What one sees beyond the edge of a road: sky, or a slope with trees, down to y."""
    sky(canvas, rng, y)
    trees(canvas, rng, y, rng.uniform(0.15, 0.35))
