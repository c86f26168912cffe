"""Inside a box culvert: top slab, bottom slab and side wall are the same box from different viewpoints."""

import numpy as np

from .. import materials
from ..canvas import Canvas
from .face import Face

# Half size of the far opening and the length of a fillet, in units.
OPENING = (0.16, 0.12)
FILLET = 0.05
DAYLIGHT = (226, 234, 226)


def top_slab(canvas: Canvas, rng: np.random.Generator, kind: str) -> Face:
    """Looking up: the ceiling fills the picture, the opening lies low."""
    paint = _box(canvas, rng, kind, (rng.uniform(-0.08, 0.08), 0.4), {"ceiling"})
    return Face(0, -0.1, 0.36, 0.3, paint)


def bottom_slab(canvas: Canvas, rng: np.random.Generator, kind: str) -> Face:
    """Looking down: the floor with its film of water fills the picture, the opening lies high."""
    paint = _box(canvas, rng, kind, (rng.uniform(-0.08, 0.08), -0.4), {"floor"})
    film = canvas.blob(rng.uniform(-0.3, 0.3), 0.16, 0.62, 0.22, 0.9, 0.5)
    canvas.cover(film, materials.WATER, 0.6)
    for _ in range(8):
        x, y = rng.uniform(-0.5, 0.4), rng.uniform(-0.1, 0.45)
        canvas.line([(x, y), (x + rng.uniform(0.05, 0.16), y)], 0.005, (206, 218, 218))
    return Face(0, 0.1, 0.36, 0.3, paint)


def side_wall(canvas: Canvas, rng: np.random.Generator, kind: str) -> Face:
    """Looking aside: one wall with its construction joint fills the picture, the opening lies at the edge."""
    side = int(rng.choice((-1, 1)))
    paint = _box(canvas, rng, kind, (side * 0.45, rng.uniform(-0.05, 0.05)), {"left"} if side > 0 else {"right"})
    joint = side * rng.uniform(-0.2, 0.0)
    canvas.line([(joint, -0.36), (joint, 0.36)], 0.014, (58, 57, 54))
    return Face(side * -0.12, 0, 0.34, 0.3, paint)


def _box(canvas: Canvas, rng: np.random.Generator, kind: str, eye: tuple[float, float], member: set[str]) -> materials.Material:
    """Ceiling, floor and both walls around the far opening at `eye`; those named in `member` are inspected."""
    paint = materials.substrate(kind, rng)
    x0, x1, y0, y1 = eye[0] - OPENING[0], eye[0] + OPENING[0], eye[1] - OPENING[1], eye[1] + OPENING[1]
    left, right, top, bottom = canvas.left, canvas.right, canvas.top, canvas.bottom
    # Near edges of the ceiling and the floor: the side that the camera turns to runs out of the picture.
    near_top, near_bottom = max(top, min(y0 - 0.02, -0.44)), min(bottom, max(y1 + 0.02, 0.44))
    faces = {
        "left": ([(left, near_top), (x0, y0), (x0, y1), (left, near_bottom)], 0.78),
        "right": ([(right, near_top), (x1, y0), (x1, y1), (right, near_bottom)], 0.72),
        "ceiling": ([(left, near_top), (left, top), (right, top), (right, near_top), (x1, y0), (x0, y0)], 0.56),
        "floor": ([(left, near_bottom), (left, bottom), (right, bottom), (right, near_bottom), (x1, y1), (x0, y1)], 0.96),
    }
    if "ceiling" in member:
        faces = _widened(faces, near_top, +0.52, ("left", "right", "ceiling"), (x0, x1, y0))
    if "floor" in member:
        faces = _widened(faces, near_bottom, -0.52, ("left", "right", "floor"), (x0, x1, y1))
    for name, (points, shade) in faces.items():
        canvas.polygon(points, paint, shade + (0.2 if name in member else 0), member=name in member)
    canvas.rectangle(x0, y0, x1, y1, DAYLIGHT)
    canvas.rectangle(x0, (y0 + y1) / 2 + 0.03, x1, y1, materials.GRASS)
    for corner, far in (((left, near_top), (x0, y0)), ((right, near_top), (x1, y0))):
        if not member & {"ceiling"}:
            canvas.line([corner, far], FILLET / 2, (128, 126, 120))
    return paint


def _widened(faces, near: float, drop: float, names: tuple[str, str, str], far: tuple[float, float, float]):
    """Moves the near corners of a slab by `drop` along the picture's edge, so that it fills most of the view."""
    moved = dict(faces)
    for name in names:
        points, shade = faces[name]
        moved[name] = ([(x, y + drop) if y == near and abs(x) > abs(far[0]) and abs(x) > abs(far[1]) else (x, y) for x, y in points], shade)
    return moved
