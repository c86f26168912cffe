"""Damage to shape and function: parts that bend, break, come loose, clog, stop moving or lose their ground."""

import math

import numpy as np

from .drawing import Pen, blob, shade
from .material_damage import Spot
from .surfaces import SOIL, bolt, one_of

_FACETS = ((250, 250, 255), (38, 40, 52), (176, 182, 194), (92, 96, 110))  # brightness of neighbouring folds
_EVERY_FOURTH = 4  # takes every fourth corner of a fine outline, for large flat facets
_MATCH_MARK = (224, 40, 40)  # red paint across nut and plate, which shows if the nut has turned


def deformation(pen: Pen, rng: np.random.Generator, spot: Spot) -> None:
    """Draws a crumpled surface: bright and shadowed facets around a point that was pushed in."""
    outline = blob(rng, (spot.x, spot.y), spot.radius * 1.05, spot.radius * 0.95, 0.3)[::_EVERY_FOURTH]
    pushed_in = spot.at(*rng.uniform(-0.25, 0.25, 2).tolist())
    for index, corner in enumerate(outline):
        after = outline[(index + 1) % len(outline)]
        pen.polygon([corner, after, pushed_in], _FACETS[index % len(_FACETS)])
    pen.outline(outline, spot.radius * 0.07, (14, 14, 20))


def clogging(pen: Pen, rng: np.random.Generator, spot: Spot) -> None:
    """Draws a heap of soil and leaves in which weeds grow."""
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
    """Draws a splice plate whose bolts have backed out; one is missing, and the match marks are broken."""
    pen.rectangle(*spot.at(-1, -0.8), *spot.at(1, 0.8), (66, 72, 84))
    missing = int(rng.integers(6))
    for index in range(6):
        centre = spot.at(-0.62 + 0.62 * (index % 3), -0.4 + 0.8 * (index // 3))
        if index == missing:
            pen.ellipse(centre, spot.radius * 0.22, spot.radius * 0.22, (4, 4, 6))
            continue
        bolt(pen, centre, spot.radius * 0.25, (232, 224, 196))
        turned = (centre[0] + spot.radius * rng.uniform(-0.3, 0.3), centre[1] - spot.radius * 0.32)
        pen.line((centre, turned), spot.radius * 0.07, _MATCH_MARK)


def bearing_dysfunction(pen: Pen, rng: np.random.Generator, spot: Spot) -> None:
    """Draws rubber sheared far to one side, bulging and split, with a gap under the plate."""
    side = 1 if rng.random() < 0.5 else -1
    outline = [spot.at(side * x, y) for x, y in ((-1.0, -0.6), (0.45, -0.75), (1.1, 0.6), (-0.35, 0.7))]
    pen.rectangle(*spot.at(-1.15, -0.9), *spot.at(1.15, -0.55), (252, 228, 80))
    pen.polygon(outline, (14, 14, 20))
    for share in (-0.3, 0.05, 0.4):
        ends = (spot.at(side * (-0.8 + 0.5 * (share + 0.6)), share), spot.at(side * (0.55 + 0.45 * (share + 0.6)), share))
        pen.line(ends, spot.radius * 0.09, (90, 220, 230))
    pen.rectangle(*spot.at(-1.15, 0.66), *spot.at(1.15, 0.86), (150, 84, 44))


def fracture(pen: Pen, rng: np.random.Generator, spot: Spot) -> None:
    """Draws a part broken in two: bright torn ends, and black between them."""
    ys = np.linspace(-1, 1, 9).tolist()
    left = [spot.at(-0.28 + rng.uniform(-0.16, 0.16), y) for y in ys]
    right = [spot.at(0.28 + rng.uniform(-0.16, 0.16), y) for y in ys]
    pen.polygon([*left, *right[::-1]], (0, 0, 0))
    pen.line(left, spot.radius * 0.16, (250, 250, 255))
    pen.line(right, spot.radius * 0.16, (250, 250, 255))
    for side, torn in ((-1, left), (1, right)):
        pen.polygon([*torn, spot.at(side, 0.9), spot.at(side, -0.9)], (44, 60, 100, 130))


def pavement_defect(pen: Pen, rng: np.random.Generator, spot: Spot) -> None:
    """Draws a pothole with broken pieces in it, surrounded by alligator cracking."""
    for turn in np.linspace(0, 2 * math.pi, 11, endpoint=False).tolist():
        bends = ((share, turn + 0.2 * share) for share in (0.5, 0.8, 1.15))
        ray = [spot.at(share * math.cos(angle), share * math.sin(angle) * 0.8) for share, angle in bends]
        pen.line(ray, spot.radius * 0.06, (8, 8, 10))
    for share in (0.8, 1.0):
        outline = blob(rng, (spot.x, spot.y), spot.radius * share, spot.radius * share * 0.8, 0.1)
        pen.outline(outline, spot.radius * 0.05, (8, 8, 10))
    pen.polygon(blob(rng, (spot.x, spot.y), spot.radius * 0.68, spot.radius * 0.52, 0.2), (168, 148, 116))
    pen.polygon(blob(rng, spot.at(0.03, 0.06), spot.radius * 0.54, spot.radius * 0.4, 0.2), (26, 24, 24))
    for _ in range(7):
        centre = spot.at(*rng.uniform(-0.35, 0.35, 2).tolist())
        pen.polygon(blob(rng, centre, spot.radius * 0.08, spot.radius * 0.06), (178, 160, 130))


def scour(pen: Pen, rng: np.random.Generator, spot: Spot) -> None:
    """Draws ground washed away: turquoise foaming water in a dark hollow, with the bare piles of the footing in it."""
    pen.polygon(blob(rng, (spot.x, spot.y), spot.radius * 1.25, spot.radius * 0.95, 0.15), (30, 24, 20))
    for share in (-0.7, -0.15, 0.4):
        pen.rectangle(*spot.at(share, -0.7), *spot.at(share + 0.28, 0.5), (206, 196, 172))
    pen.polygon(blob(rng, spot.at(0, 0.45), spot.radius * 1.25, spot.radius * 0.55, 0.12), (30, 190, 196))
    for share in (0.15, 0.4, 0.65):
        foam = [spot.at(x, share + 0.08 * math.sin(x * 9 + share * 20)) for x in np.linspace(-1, 1, 12).tolist()]
        pen.line(foam, spot.radius * 0.07, (240, 255, 255))
