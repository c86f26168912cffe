"""Damage to the material itself: concrete that cracks and falls off, steel that rusts and loses its paint.

Every function draws into a `Spot`. Sizes are shares of its radius, so that only the extent determines the severity.
"""

import math
from dataclasses import dataclass

import numpy as np

from .drawing import Pen, Point, blob, shade
from .surfaces import RUST

_CHALK = (252, 252, 250)


@dataclass(frozen=True)
class Spot:
    """Position and extent of a damage on its member."""

    x: float
    y: float
    radius: float

    def at(self, dx: float, dy: float) -> Point:
        """Returns a point that is given in radii from the centre."""
        return self.x + dx * self.radius, self.y + dy * self.radius

    def offset(self, point: Point) -> Point:
        """Returns a point in radii from the centre: the inverse of `at`."""
        return (point[0] - self.x) / self.radius, (point[1] - self.y) / self.radius


def cracking(pen: Pen, rng: np.random.Generator, spot: Spot) -> None:
    """Draws open cracks that branch across the spot, black between pale broken edges."""
    stem = _jagged(rng, spot, (-1, rng.uniform(-0.5, 0.1)), (1, rng.uniform(-0.1, 0.5)))
    lines = [stem]
    for node, end in ((3, (rng.uniform(-0.7, -0.2), 1.0)), (5, (rng.uniform(0.1, 0.6), -1.0)), (7, (0.8, 0.95))):
        lines.append([stem[node], *_jagged(rng, spot, spot.offset(stem[node]), end)])
    width = 0.014 + 0.045 * spot.radius
    for line in lines:
        pen.line(line, width * 2.2, (214, 212, 204, 150))
    for line in lines:
        pen.line(line, width, (16, 16, 18))


def spalling(pen: Pen, rng: np.random.Generator, spot: Spot) -> None:
    """Draws a hollow where the cover has fallen off: pale broken rim, dark ground, rusty bars across."""
    radius = spot.radius
    pen.polygon(blob(rng, (spot.x, spot.y), radius * 1.05, radius * 0.95), (226, 216, 192))
    pen.polygon(blob(rng, (spot.x, spot.y + radius * 0.04), radius * 0.86, radius * 0.76), (92, 82, 72))
    for share in (-0.45, 0.0, 0.45):
        reach = math.sqrt(0.75 - share**2)
        for line in ((spot.at(share, -reach), spot.at(share, reach)), (spot.at(-reach, share), spot.at(reach, share))):
            pen.line(line, radius * 0.15, (58, 30, 18))
            pen.line(line, radius * 0.09, (206, 92, 30))


def corrosion(pen: Pen, rng: np.random.Generator, spot: Spot) -> None:
    """Draws merging blotches of orange and brown rust."""
    pen.polygon(blob(rng, (spot.x, spot.y), spot.radius, spot.radius * 0.9, 0.35), (*RUST, 225))
    for colour in ((204, 112, 36), (104, 52, 28), (222, 136, 48), (122, 58, 24), (196, 100, 30)):
        for _ in range(5):
            centre = spot.at(*rng.uniform(-0.75, 0.75, 2).tolist())
            size = spot.radius * rng.uniform(0.1, 0.26)
            pen.polygon(blob(rng, centre, size, size * 0.8, 0.4), colour)


def delamination(pen: Pen, rng: np.random.Generator, spot: Spot) -> None:
    """Draws concrete that sounds hollow: a bulge with a shadow below, hatched by the inspector in white chalk."""
    outline = blob(rng, (spot.x, spot.y), spot.radius * 0.95, spot.radius * 0.9, 0.12)
    pen.polygon([(x + spot.radius * 0.1, y + spot.radius * 0.14) for x, y in outline], (30, 30, 40, 170))
    pen.polygon(outline, (150, 156, 178))
    for share in np.linspace(-1.2, 1.2, 7).tolist():
        reach = math.sqrt(max(0.0, 1.5 - share**2 * 0.8)) * 0.52
        ends = (spot.at(share * 0.5 - reach, share * 0.5 + reach), spot.at(share * 0.5 + reach, share * 0.5 - reach))
        pen.line(ends, spot.radius * 0.07, _CHALK)
    pen.outline(outline, spot.radius * 0.09, _CHALK)


def leakage(pen: Pen, rng: np.random.Generator, spot: Spot) -> None:
    """Draws a dark wet patch with white lime that runs down from a joint and ends in drops."""
    pen.polygon(blob(rng, (spot.x, spot.y), spot.radius * 1.05, spot.radius, 0.2), (56, 62, 62, 200))
    pen.rectangle(*spot.at(-0.9, -0.85), *spot.at(0.9, -0.62), (244, 244, 236))
    for share in np.linspace(-0.78, 0.78, 6).tolist():
        end, width = rng.uniform(0.3, 1.1), rng.uniform(0.07, 0.13)
        foot = spot.at(share + rng.uniform(-0.05, 0.05), end)
        pen.polygon([spot.at(share - width, -0.75), spot.at(share + width, -0.75), foot], (240, 240, 230))
        pen.ellipse(foot, spot.radius * 0.06, spot.radius * 0.09, (250, 250, 246))


def peeling_paint(pen: Pen, rng: np.random.Generator, spot: Spot) -> None:
    """Draws paint lost in angular flakes: visible cream primer, and curled edges with a shadow."""
    for row in range(4):
        for column in range(4):
            x, y = spot.at(-0.75 + column * 0.5 + rng.uniform(-0.08, 0.08), -0.75 + row * 0.5 + rng.uniform(-0.08, 0.08))
            turn, size = rng.uniform(0, 2 * math.pi), spot.radius * rng.uniform(0.24, 0.36)
            corners = [(x + size * math.cos(turn + a), y + size * math.sin(turn + a)) for a in (0, 1.5, 2.6, 4.4)]
            pen.polygon([(px + size * 0.2, py + size * 0.25) for px, py in corners], (24, 28, 34, 200))
            pen.polygon(corners, (246, 226, 150))
            pen.line((corners[0], corners[3]), size * 0.14, (255, 250, 226))


def fatigue_cracking(pen: Pen, rng: np.random.Generator, spot: Spot) -> None:
    """Draws a crack along a weld, made visible by magnetic particles on white contrast paint; rust bleeds out of it."""
    pen.rectangle(*spot.at(-0.72, -1), *spot.at(0.72, 1), (246, 246, 248))
    pen.rectangle(*spot.at(-0.1, -1), *spot.at(0.1, 1), (196, 200, 208))
    for share in np.linspace(-0.6, 0.5, 5).tolist():
        width, fall = rng.uniform(0.1, 0.2), rng.uniform(0.3, 0.5)
        pen.polygon([spot.at(0, share), spot.at(width * 2, share + 0.05), spot.at(width, share + fall)], (178, 58, 30, 220))
    pen.line(_jagged(rng, spot, (0, -0.85), (0, 0.85), wander=0.09), spot.radius * 0.1, (120, 12, 20))


def discolouration(pen: Pen, rng: np.random.Generator, spot: Spot) -> None:
    """Draws violet graffiti in loops of spray paint, as an example of other damage."""
    turns = np.linspace(0, 6 * math.pi, 60)
    xs = -0.8 + 1.6 * turns / turns[-1] + 0.28 * np.cos(turns + rng.uniform(0, 6))
    ys = 0.7 * np.sin(turns) * rng.uniform(0.85, 1.1)
    loops = [spot.at(x, y) for x, y in zip(xs.tolist(), ys.tolist(), strict=True)]
    pen.line(loops, spot.radius * 0.2, (74, 20, 120))
    pen.line(loops, spot.radius * 0.12, (178, 60, 226))


def debris(pen: Pen, rng: np.random.Generator, spot: Spot, colour: tuple[int, int, int]) -> None:
    """Draws pieces on the ground below a damage."""
    for _ in range(9):
        centre = spot.at(rng.uniform(-1.1, 1.1), rng.uniform(0.9, 1.2))
        pen.polygon(blob(rng, centre, spot.radius * 0.1, spot.radius * 0.08, 0.4), shade(colour, rng.uniform(0.7, 1.2)))


def _jagged(rng: np.random.Generator, spot: Spot, start: Point, end: Point, wander: float = 0.16) -> list[Point]:
    """Returns a jagged line on the canvas, between points that are given in radii from the spot's centre."""
    nodes = 10
    xs = np.linspace(start[0], end[0], nodes) + rng.uniform(-wander, wander, nodes)
    ys = np.linspace(start[1], end[1], nodes) + rng.uniform(-wander, wander, nodes)
    return [spot.at(x, y) for x, y in zip(xs.tolist(), ys.tolist(), strict=True)]
