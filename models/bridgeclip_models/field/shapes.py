"""Shapes that damages share: crooked lines, ragged patches, runs of water below a place."""

from dataclasses import dataclass

import numpy as np

from .canvas import Canvas, Patch
from .stamps import Stamp, stroke


@dataclass(frozen=True)
class Spot:
    """Where a damage is on its facet, in mm, and how large."""

    number: int  # of the facet
    u: float
    v: float
    extent: float  # largest size
    severity: float  # standard deviations from a middling damage of its kind

    @property
    def reach(self) -> float:
        return self.extent / 2


def crooked(
    rng: np.random.Generator, start: tuple[float, float], end: tuple[float, float], wander: float = 0.14
) -> tuple[np.ndarray, np.ndarray]:
    """Returns a line between two points that is bent at all scales (midpoint displacement)."""
    points = np.array([start, end], float)
    amount = wander * float(np.hypot(*(points[1] - points[0])))
    for _ in range(8):
        middle = (points[:-1] + points[1:]) / 2 + rng.normal(0, amount / 2, (len(points) - 1, 2))
        merged = np.empty((len(points) + len(middle), 2))
        merged[0::2], merged[1::2] = points, middle
        points, amount = merged, amount * 0.56
    return points[:, 0], points[:, 1]


def patch_around(canvas: Canvas, spot: Spot, left: float, right: float, up: float, down: float) -> Patch | None:
    """Returns the part of the facet within distances in mm from the spot."""
    return canvas.around(spot.number, np.array([spot.u - left, spot.u + right]), np.array([spot.v - up, spot.v + down]))


def ragged(
    patch: Patch,
    rng: np.random.Generator,
    spot: Spot,
    wide: float,
    high: float,
    rough: float = 0.45,
    finest: float = 3.0,
) -> np.ndarray:
    """Returns a field that is positive inside a ragged patch of half-widths `wide` and `high` mm: 1 in the middle."""
    turn = rng.uniform(0, np.pi)
    du, dv = patch.u - np.float32(spot.u), patch.v - np.float32(spot.v)
    bend = np.float32(rng.uniform(-0.35, 0.35))
    a, b = du / np.float32(wide), dv / np.float32(high)
    b = b + bend * (a * a - 0.4)
    if abs(wide - high) < 0.3 * wide:
        a, b = (
            a * np.float32(np.cos(turn)) - b * np.float32(np.sin(turn)),
            a * np.float32(np.sin(turn)) + b * np.float32(np.cos(turn)),
        )
        a = a * np.float32(rng.uniform(0.9, 1.4))
    power = np.float32(rng.uniform(1.6, 3.0))
    distance = (np.abs(a) ** power + np.abs(b) ** power) ** (1 / power)
    size = max(min(wide, high), 4 * finest)
    return 1 - distance + np.float32(0.8 * rough) * patch.noise(rng, 1.3 * size, min(finest, size / 4), 0.95)


def edge(field: np.ndarray, patch: Patch, size: float, softness: float = 0.0) -> np.ndarray:
    """Returns coverage from a `ragged` field of a patch of `size` mm: its border is a pixel wide, or `softness` mm."""
    width = max(patch.pitch, softness) / max(size, 1e-6)
    return np.clip(field / np.float32(width) + 0.5, 0, 1)


def runs(
    canvas: Canvas, spot: Spot, rng: np.random.Generator, wide: float, long: float, colour, strength: float
) -> None:
    """Paints what water carried down from a spot on a wall; on a soffit or floor, a halo."""
    facet = canvas.projections[spot.number].facet
    if abs(facet.normal[2]) > 0.6:
        patch = patch_around(canvas, spot, wide, wide, wide, wide)
        if patch is not None:
            field = ragged(patch, rng, spot, 0.8 * wide, 0.8 * wide, 0.5)
            canvas.paint(patch, np.clip(field, 0, 0.8) * np.float32(0.5 * strength), colour)
        return
    patch = patch_around(canvas, spot, wide, wide, 0.3 * wide, long)
    if patch is None:
        return
    below = patch.v - np.float32(spot.v)
    across = np.abs(patch.u - np.float32(spot.u)) / np.float32(wide)
    streaks = patch.noise(rng, max(0.6 * wide, 20), max(0.03 * wide, 2), 0.5, stretch=18)
    amount = (
        np.clip(0.75 - 0.9 * across**2 + 0.4 * streaks, 0, 1)
        * np.clip(1 - below / np.float32(long), 0, 1)
        * (below > -0.2 * wide)
    )
    canvas.paint(patch, np.minimum(amount * np.float32(strength), 0.92), colour)


def draw_line(
    canvas: Canvas, number: int, line: tuple[np.ndarray, np.ndarray], width, colour, alpha: float, depth: float
) -> Stamp:
    """Draws a line of `width` mm and lowers it by `depth` mm."""
    stamp = stroke(canvas, number, line[0], line[1], width)
    canvas.paint_at(stamp.index, stamp.alpha * np.float32(alpha), colour)
    canvas.raise_at(stamp.index, -stamp.alpha * np.float32(depth))
    return stamp
