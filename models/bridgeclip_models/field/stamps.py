"""Small shapes on facets, as lists of pixels and their coverage: discs (pores, bolts), strokes (joints, cracks).

Coverage is what a pixel's square sees of the shape: a crack of 0.2 mm at 0.8 mm a pixel darkens its pixels by a
quarter.
"""

from dataclasses import dataclass

import numpy as np

from .canvas import Canvas

_CHUNK = 400_000  # pixels that are computed at a time
_PIECE_PX = 1.5  # shortest straight piece of a stroke; on wide strokes, half the width
_REACH_MAX = 320  # px; half the size of the largest disc or line


@dataclass(frozen=True)
class Stamp:
    """Pixels of a shape."""

    index: np.ndarray  # flat index of the pixel, int64
    alpha: np.ndarray  # coverage, 0 to 1
    place: np.ndarray  # discs: distance from the centre in radii; strokes: distance from the middle line in mm
    along: np.ndarray  # discs: number of the disc; strokes: share of the length, 0 to 1


_EMPTY = Stamp(np.empty(0, np.int64), *(np.empty(0, np.float32) for _ in range(3)))


def discs(canvas: Canvas, number: int, u: np.ndarray, v: np.ndarray, radius: np.ndarray) -> Stamp:
    """Returns the pixels of discs with centres (u, v) and radii in mm; a pixel of two discs occurs twice."""
    projection = canvas.projections[number]
    u, v = canvas.flat(number, np.asarray(u, float)), np.asarray(v, float)
    x, y = projection.pixels(u, v)
    pitch = _pitch(projection, x, y)
    radius = np.broadcast_to(radius, u.shape)
    reach = np.ceil(radius / pitch * 1.25 + 0.6)
    height, width = canvas.shape
    keep = np.flatnonzero(
        (x > -reach) & (x < width + reach) & (y > -reach) & (y < height + reach) & (reach < _REACH_MAX)
    )
    parts = []
    sizes = (2 ** np.ceil(np.log2(np.maximum(reach[keep], 1)))).astype(int)
    for size in np.unique(sizes):
        group = keep[sizes == size]
        step = max(1, _CHUNK // (2 * int(size) + 1) ** 2)
        for start in range(0, len(group), step):
            some = group[start : start + step]
            parts.append(
                _disc_pixels(
                    canvas, number, u[some], v[some], radius[some], x[some], y[some], pitch[some], int(size), some
                )
            )
    return _joined(parts)


def _disc_pixels(canvas: Canvas, number: int, u, v, radius, x, y, pitch, size: int, names) -> Stamp:
    offsets = np.arange(-size, size + 1)
    columns = np.rint(x).astype(np.int64)[:, None, None] + offsets[None, None, :]
    rows = np.rint(y).astype(np.int64)[:, None, None] + offsets[None, :, None]
    here_u, here_v = _surface(canvas.projections[number], columns, rows)
    distance = np.hypot(here_u - u[:, None, None], here_v - v[:, None, None])
    alpha = np.clip((radius[:, None, None] - distance) / pitch[:, None, None] + 0.5, 0, 1)
    alpha = alpha * np.minimum(1, np.pi * (radius / pitch) ** 2)[:, None, None]
    chosen = (alpha > 0.004) & _shown(canvas, number, rows, columns)
    disc, *_ = np.nonzero(chosen)
    index = (rows * canvas.shape[1] + columns)[chosen]
    place = (distance / radius[:, None, None])[chosen]
    return Stamp(index, alpha[chosen].astype(np.float32), place.astype(np.float32), names[disc].astype(np.float32))


def stroke(canvas: Canvas, number: int, u: np.ndarray, v: np.ndarray, width) -> Stamp:
    """Returns the pixels of a line through points (u, v) that is `width` mm wide: a number, or one for each point."""
    projection = canvas.projections[number]
    width = np.broadcast_to(np.asarray(width, float), np.shape(u))
    share, u, v, width, du, dv = _dense(canvas, number, np.asarray(u, float), np.asarray(v, float), width)
    if not len(u):
        return _EMPTY
    x, y = projection.pixels(u, v)
    pitch = _pitch(projection, x, y)
    size = int(np.ceil(np.max(width / pitch) / 2 * 1.1 + 0.8 + np.max(np.hypot(du, dv) / pitch) / 2))
    chunk = max(1, _CHUNK // (2 * size + 1) ** 2)
    parts = [
        _stroke_pixels(
            canvas, number, *(part[start : start + chunk] for part in (share, u, v, width, du, dv, x, y, pitch)), size
        )
        for start in range(0, len(u), chunk)
    ]
    return _strongest(_joined(parts))


def _dense(canvas: Canvas, number: int, u, v, width) -> tuple[np.ndarray, ...]:
    """Returns the straight pieces of a line that are in the picture, by their middles.

    They are share of the length, u, v, width, and how far the piece leads along u and v.
    """
    u = canvas.flat(number, u)
    x, y = canvas.projections[number].pixels(u, v)
    length = np.hypot(np.diff(x), np.diff(y))
    far = 4 * max(canvas.shape)
    pitch = _pitch(canvas.projections[number], x, y)
    half = np.maximum(width / pitch / 2, 1e-3)
    spacing = np.maximum(_PIECE_PX, np.minimum(half[:-1], half[1:]))
    count = np.clip(np.ceil(length / spacing), 1, far).astype(int)
    segment = np.repeat(np.arange(len(count)), count)
    first = np.cumsum(count) - count
    t = (np.arange(len(segment)) - first[segment] + 0.5) / count[segment]
    points = [values[segment] + t * np.diff(values)[segment] for values in (u, v, width)]
    total = np.concatenate(([0], np.cumsum(np.hypot(np.diff(u), np.diff(v)))))
    share = (total[segment] + t * np.diff(total)[segment]) / max(total[-1], 1e-9)
    px, py = canvas.projections[number].pixels(points[0], points[1])
    height, wide = canvas.shape
    border = _REACH_MAX
    inside = (px > -border) & (px < wide + border) & (py > -border) & (py < height + border)
    inside &= points[2] / _pitch(canvas.projections[number], px, py) < 2 * _REACH_MAX
    ways = [np.diff(values)[segment] / count[segment] for values in (u, v)]
    return tuple(values[inside] for values in (share, *points, *ways))


def _stroke_pixels(canvas: Canvas, number: int, share, u, v, width, du, dv, x, y, pitch, size: int) -> Stamp:
    offsets = np.arange(-size, size + 1)
    columns = np.rint(x).astype(np.int64)[:, None, None] + offsets[None, None, :]
    rows = np.rint(y).astype(np.int64)[:, None, None] + offsets[None, :, None]
    here_u, here_v = _surface(canvas.projections[number], columns, rows)
    distance = _to_piece(here_u - u[:, None, None], here_v - v[:, None, None], du[:, None, None], dv[:, None, None])
    pitch, width = pitch[:, None, None], width[:, None, None]
    alpha = np.clip((width / 2 + pitch / 2 - distance) / pitch, 0, np.minimum(1, width / pitch))
    chosen = (alpha > 0.004) & _shown(canvas, number, rows, columns)
    sample, *_ = np.nonzero(chosen)
    index = (rows * canvas.shape[1] + columns)[chosen]
    return Stamp(
        index, alpha[chosen].astype(np.float32), distance[chosen].astype(np.float32), share[sample].astype(np.float32)
    )


def _to_piece(u: np.ndarray, v: np.ndarray, du: np.ndarray, dv: np.ndarray) -> np.ndarray:
    """Returns the distance of points to the straight piece of (du, dv) whose middle is (0, 0)."""
    length = np.hypot(du, dv) + 1e-12
    along = np.clip((u * du + v * dv) / length, -length / 2, length / 2)
    return np.hypot(u - along * du / length, v - along * dv / length)


def _surface(projection, columns: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    depth = 1 / (projection.inverse[0] + projection.inverse[1] * columns + projection.inverse[2] * rows)
    u = (projection.u[0] + projection.u[1] * columns + projection.u[2] * rows) * depth
    v = (projection.v[0] + projection.v[1] * columns + projection.v[2] * rows) * depth
    return u, v


def _shown(canvas: Canvas, number: int, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    height, width = canvas.shape
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    flat = np.where(inside, rows * width + columns, 0)
    return inside & (canvas.ids.reshape(-1).take(flat) == number)


def _pitch(projection, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns mm a pixel at pixels, the geometric mean of both directions."""
    at = np.stack([np.ones_like(x), x, y])
    inverse = projection.inverse @ at
    gradients = [
        (line[1:, None] * inverse - (line @ at) * projection.inverse[1:, None]) / inverse**2
        for line in (projection.u, projection.v)
    ]
    area = gradients[0][0] * gradients[1][1] - gradients[0][1] * gradients[1][0]
    return np.sqrt(np.abs(area)) + 1e-9


def _joined(parts: list[Stamp]) -> Stamp:
    if not parts:
        return _EMPTY
    return Stamp(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("index", "alpha", "place", "along"))
    )


def _strongest(stamp: Stamp) -> Stamp:
    """Returns each pixel once, with its largest coverage."""
    if not len(stamp.index):
        return stamp
    first = int(stamp.index.min())
    order = np.argsort(stamp.alpha, kind="stable")
    last = np.full(int(stamp.index.max()) - first + 1, -1, np.int32)
    last[stamp.index[order] - first] = order  # of several writes to one place the last one counts
    chosen = last[last >= 0]
    return Stamp(stamp.index[chosen], stamp.alpha[chosen], stamp.place[chosen], stamp.along[chosen])
