"""Damage of shape and function: parts that bend, break, come loose, clog, stop moving or lose their ground."""

import math

import numpy as np

from .canvas import Pen, blob, shade
from .material_damage import Spot
from .materials import SOIL, bolt, one_of


def deformation(pen: Pen, rng: np.random.Generator, spot: Spot) -> None:
    """A dent, shaded from bright to dark, with buckled edges."""
    steps = ((1.0, (28, 30, 40)), (0.86, (84, 88, 100)), (0.7, (150, 156, 168)), (0.5, (214, 220, 228)), (0.26, (255, 255, 255)))
    for share, colour in steps:
        offset = (1 - share) * 0.45
        pen.ellipse(spot.at(-offset, -offset), spot.radius * share, spot.radius * share * 0.72, colour)
    for side in (-1, 1):
        fold = [spot.at(side * (0.95 + 0.2 * math.sin(t * 5)), t) for t in np.linspace(-0.9, 0.9, 9).tolist()]
        pen.line(fold, spot.radius * 0.1, (18, 18, 24))


def clogging(pen: Pen, rng: np.random.Generator, spot: Spot) -> None:
    """A heap of soil and leaves with weeds growing in it."""
    soil = one_of(rng, SOIL)
    pen.polygon(blob(rng, spot.at(0, 0.3), spot.radius * 1.1, spot.radius * 0.72, 0.15), shade(soil, 0.72))
    for _ in range(14):
        centre = spot.at(rng.uniform(-0.9, 0.9), rng.uniform(-0.1, 0.8))
        pen.polygon(blob(rng, centre, spot.radius * 0.13, spot.radius * 0.1), shade(soil, rng.uniform(0.8, 1.35)))
    for root in np.linspace(-0.7, 0.7, 6).tolist():
        for lean in (-0.28, 0.0, 0.28):
            tip = spot.at(root + lean, rng.uniform(-1.0, -0.5))
            pen.polygon([spot.at(root - 0.05, 0.2), spot.at(root + 0.05, 0.2), tip], (64, 168, 40))


def loosening(pen: Pen, rng: np.random.Generator, spot: Spot) -> None:
    """A splice plate whose bolts have backed out; one is missing, and the match marks are broken."""
    pen.rectangle(*spot.at(-1, -0.8), *spot.at(1, 0.8), (66, 72, 84))
    missing = int(rng.integers(6))
    for index in range(6):
        centre = spot.at(-0.62 + 0.62 * (index % 3), -0.4 + 0.8 * (index // 3))
        if index == missing:
            pen.ellipse(centre, spot.radius * 0.22, spot.radius * 0.22, (4, 4, 6))
            continue
        bolt(pen, centre, spot.radius * 0.25, (232, 224, 196))
        pen.line((centre, (centre[0] + spot.radius * rng.uniform(-0.3, 0.3), centre[1] - spot.radius * 0.32)), spot.radius * 0.07, (224, 40, 40))


def bearing_dysfunction(pen: Pen, rng: np.random.Generator, spot: Spot) -> None:
    """Rubber sheared far to one side, bulging and split, with a gap under the plate."""
    side = 1 if rng.random() < 0.5 else -1
    outline = [spot.at(side * x, y) for x, y in ((-1.0, -0.6), (0.45, -0.75), (1.1, 0.6), (-0.35, 0.7))]
    pen.rectangle(*spot.at(-1.15, -0.9), *spot.at(1.15, -0.55), (252, 228, 80))
    pen.polygon(outline, (14, 14, 20))
    for share in (-0.3, 0.05, 0.4):
        ends = (spot.at(side * (-0.8 + 0.5 * (share + 0.6)), share), spot.at(side * (0.55 + 0.45 * (share + 0.6)), share))
        pen.line(ends, spot.radius * 0.09, (90, 220, 230))
    pen.rectangle(*spot.at(-1.15, 0.66), *spot.at(1.15, 0.86), (150, 84, 44))


def fracture(pen: Pen, rng: np.random.Generator, spot: Spot) -> None:
    """A part broken through: two bright torn ends apart, black between them."""
    ys = np.linspace(-1, 1, 9).tolist()
    left = [spot.at(-0.28 + rng.uniform(-0.16, 0.16), y) for y in ys]
    right = [spot.at(0.28 + rng.uniform(-0.16, 0.16), y) for y in ys]
    pen.polygon([*left, *right[::-1]], (0, 0, 0))
    pen.line(left, spot.radius * 0.16, (250, 250, 255))
    pen.line(right, spot.radius * 0.16, (250, 250, 255))
    for side, torn in ((-1, left), (1, right)):
        pen.polygon([*torn, spot.at(side, 0.9), spot.at(side, -0.9)], (44, 60, 100, 130))


def pavement_defect(pen: Pen, rng: np.random.Generator, spot: Spot) -> None:
    """A pothole with broken pieces in it, amid alligator cracking."""
    for turn in np.linspace(0, 2 * math.pi, 11, endpoint=False).tolist():
        rays = [spot.at(share * math.cos(turn + 0.2 * share), share * math.sin(turn + 0.2 * share) * 0.8) for share in (0.5, 0.8, 1.15)]
        pen.line(rays, spot.radius * 0.06, (8, 8, 10))
    for share in (0.8, 1.0):
        pen.outline(blob(rng, (spot.x, spot.y), spot.radius * share, spot.radius * share * 0.8, 0.1), spot.radius * 0.05, (8, 8, 10))
    pen.polygon(blob(rng, (spot.x, spot.y), spot.radius * 0.68, spot.radius * 0.52, 0.2), (168, 148, 116))
    pen.polygon(blob(rng, spot.at(0.03, 0.06), spot.radius * 0.54, spot.radius * 0.4, 0.2), (26, 24, 24))
    for _ in range(7):
        centre = spot.at(*rng.uniform(-0.35, 0.35, 2).tolist())
        pen.polygon(blob(rng, centre, spot.radius * 0.08, spot.radius * 0.06), (178, 160, 130))


def scour(pen: Pen, rng: np.random.Generator, spot: Spot) -> None:
    """Ground washed away: turquoise foaming water in a dark hollow, with the bare piles of the footing in it."""
    pen.polygon(blob(rng, (spot.x, spot.y), spot.radius * 1.25, spot.radius * 0.95, 0.15), (30, 24, 20))
    for share in (-0.7, -0.15, 0.4):
        pen.rectangle(*spot.at(share, -0.7), *spot.at(share + 0.28, 0.5), (206, 196, 172))
    pen.polygon(blob(rng, spot.at(0, 0.45), spot.radius * 1.25, spot.radius * 0.55, 0.12), (30, 190, 196))
    for share in (0.15, 0.4, 0.65):
        foam = [spot.at(x, share + 0.08 * math.sin(x * 9 + share * 20)) for x in np.linspace(-1, 1, 12).tolist()]
        pen.line(foam, spot.radius * 0.07, (240, 255, 255))
