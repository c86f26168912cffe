"""Damage of concrete and asphalt. Sizes in mm.

Crack widths follow inspection practice: fine below 0.2 mm, 0.2 to 0.3 mm to be watched, above 0.3 mm to be treated
(MLIT's Bridge Periodic Inspection Guideline; ACI 224R gives 0.15 to 0.4 mm). Cover of reinforcement is 20 to 50 mm, and
bars are 13 to 32 mm thick.
"""

import numpy as np

from .canvas import Canvas
from .shapes import Spot, crooked, draw_line, edge, patch_around, ragged, runs
from .stamps import discs

_CRACK = (0.022, 0.021, 0.019)
_RUST_DARK, _RUST = (0.075, 0.034, 0.018), (0.24, 0.10, 0.035)
_LIME = (0.62, 0.61, 0.57)


def crack_width(spot: Spot) -> float:
    """Returns the width of the main crack: 0.25 mm for a middling one, twice that per 1.1 deviations."""
    return float(np.clip(0.25 * 2 ** (spot.severity / 1.1), 0.1, 3.0))


def cracking(canvas: Canvas, rng: np.random.Generator, spot: Spot) -> None:
    """Paints cracks: a main one with branches, several in parallel, or a net (alkali-silica reaction, drying)."""
    width = crack_width(spot) * (8 if canvas.projections[spot.number].facet.material == "asphalt" else 1)
    style = rng.choice(("single", "parallel", "net"), p=(0.5, 0.25, 0.25))
    if style == "net":
        _net(canvas, rng, spot, width * 0.8)
        return
    angle = rng.choice((0, np.pi / 2, np.pi / 4, -np.pi / 4)) + rng.normal(0, 0.2)
    count = 1 if style == "single" else int(rng.integers(2, 5))
    for index in range(count):
        offset = (index - (count - 1) / 2) * spot.extent / (count + 1)
        shift = np.array([-np.sin(angle), np.cos(angle)]) * offset
        half = np.array([np.cos(angle), np.sin(angle)]) * spot.reach * rng.uniform(0.7, 1)
        middle = np.array([spot.u, spot.v]) + shift
        line = crooked(rng, tuple(middle - half), tuple(middle + half), 0.09)
        _crack(canvas, rng, spot.number, line, width)
        for _ in range(int(rng.integers(0, 3))):
            at = int(rng.integers(40, len(line[0]) - 40))
            turn = angle + rng.choice((-1, 1)) * rng.uniform(0.4, 1.2)
            reach = spot.extent * rng.uniform(0.08, 0.3)
            end = (line[0][at] + np.cos(turn) * reach, line[1][at] + np.sin(turn) * reach)
            _crack(canvas, rng, spot.number, crooked(rng, (line[0][at], line[1][at]), end, 0.12), width * 0.6)


def _crack(
    canvas: Canvas, rng: np.random.Generator, number: int, line: tuple[np.ndarray, np.ndarray], width: float
) -> None:
    """Draws one crack, which tapers to its ends; dirt or lime marks its edges."""
    share = np.linspace(0, 1, len(line[0]))
    widths = width * np.minimum(1, 0.35 + 3 * np.minimum(share, 1 - share)) * np.exp(rng.normal(0, 0.25, len(share)))
    halo = rng.choice((0, 1, 2), p=(0.25, 0.55, 0.2))
    if halo:
        draw_line(
            canvas, number, line, 6 + 8 * width, (0.05, 0.047, 0.04) if halo == 1 else _LIME, rng.uniform(0.05, 0.22), 0
        )
    draw_line(canvas, number, line, widths, _CRACK, 0.93, 0.5 * width)


def _net(canvas: Canvas, rng: np.random.Generator, spot: Spot, width: float) -> None:
    """Draws a net of cracks along the borders of cells around scattered points."""
    count = int(rng.integers(9, 26))
    radius = np.sqrt(rng.uniform(0, 1, count)) * spot.reach
    angle = rng.uniform(0, 2 * np.pi, count)
    places = np.stack([spot.u + radius * np.cos(angle), spot.v + 0.8 * radius * np.sin(angle)], axis=1)
    distance = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    drawn = set()
    for index in range(count):
        for other in np.argsort(distance[index])[1:4]:
            pair = (min(index, int(other)), max(index, int(other)))
            if pair not in drawn:
                drawn.add(pair)
                line = crooked(rng, tuple(places[pair[0]]), tuple(places[pair[1]]), 0.1)
                _crack(canvas, rng, spot.number, line, width * rng.uniform(0.4, 1))


def spalling(canvas: Canvas, rng: np.random.Generator, spot: Spot) -> None:
    """Paints concrete that fell off: a rough hollow with bars, rust, and runs below."""
    wide, high = spot.reach, spot.reach * rng.uniform(0.4, 1.0)
    if rng.random() < 0.4:
        wide, high = high, wide
    if rng.random() < 0.6:
        runs(canvas, spot, rng, 0.6 * wide, spot.extent * rng.uniform(0.5, 1.6), _RUST, rng.uniform(0.15, 0.5))
    patch = patch_around(canvas, spot, 1.5 * wide, 1.5 * wide, 1.5 * high, 1.5 * high)
    if patch is None:
        return
    field = ragged(patch, rng, spot, wide, high, 0.27)
    alpha = edge(field, patch, min(wide, high), 2)
    depth = float(np.clip(rng.uniform(12, 30) + 6 * spot.severity, 6, 60))
    stones = patch.noise(rng, 28, 2, 0.2)
    base = np.array((0.27, 0.25, 0.21)) * rng.uniform(0.55, 1.25)
    shade = 1 + np.float32(0.28) * stones
    canvas.paint(patch, alpha * np.float32(0.95), base[:, None, None] * np.maximum(shade, 0.2))
    canvas.raise_by(
        patch,
        -np.clip(field * np.float32(min(wide, high)) * np.float32(1.1), 0, depth) + alpha * np.float32(1.6) * stones,
    )
    _bars(canvas, rng, spot, wide, high, patch, field)


def _bars(
    canvas: Canvas, rng: np.random.Generator, spot: Spot, wide: float, high: float, patch, field: np.ndarray
) -> None:
    """Draws reinforcement where the hollow is deep enough."""
    diameter, spacing = float(rng.choice((13, 16, 19, 22, 25))), rng.uniform(100, 220)
    inside = np.clip((field - 0.16) * 8, 0, 1)
    along_u = rng.random() < 0.5
    for across in (False, True) if rng.random() < 0.5 else (True,):
        horizontal = along_u != across
        half = high if horizontal else wide
        start = rng.uniform(0, spacing)
        for offset in np.arange(start - spacing * np.ceil(half / spacing), half, spacing):
            d = (patch.v - np.float32(spot.v + offset)) if horizontal else (patch.u - np.float32(spot.u + offset))
            d = d + np.float32(2) * patch.noise(rng, 300, 60, 0.5) if patch.pitch < 4 else d
            round_ = np.sqrt(np.clip(1 - (d / np.float32(diameter / 2)) ** 2, 0, 1))
            alpha = np.clip((diameter / 2 - np.abs(d)) / np.float32(patch.pitch) + 0.5, 0, 1) * inside
            rust = np.array(_RUST_DARK)[:, None, None] * (1 + 0.5 * patch.noise(rng, 20, 2, 0.3))
            canvas.paint(patch, alpha, np.maximum(rust * rng.uniform(0.8, 2.2), 0.01))
            canvas.raise_by(patch, round_ * alpha * np.float32(diameter * 0.8))
            stain = np.clip(1 - np.abs(d) / np.float32(2.2 * diameter), 0, 1) * inside * np.float32(0.4)
            canvas.paint(patch, stain, _RUST)


def delamination(canvas: Canvas, rng: np.random.Generator, spot: Spot) -> None:
    """Paints cover that has come loose: a slight bulge, a crack around a part of it, moisture at its border."""
    wide, high = spot.reach, spot.reach * rng.uniform(0.5, 0.95)
    patch = patch_around(canvas, spot, 1.4 * wide, 1.4 * wide, 1.4 * high, 1.4 * high)
    if patch is None:
        return
    field = ragged(patch, rng, spot, wide, high, 0.16, 40)
    dome = np.clip(field * 2.2, 0, 1)
    canvas.raise_by(patch, dome * (2 - dome) * np.float32(np.clip(5 + 3 * spot.severity, 2, 16)))
    ring = np.exp(-((field / np.float32(0.07)) ** 2))
    canvas.paint(patch, ring * np.float32(rng.uniform(0.03, 0.25)), (0.05, 0.045, 0.038))
    canvas.scale(patch, 1 + np.clip(field * 3, 0, 1) * np.float32(rng.choice((-0.14, 0.13))))
    start = rng.uniform(0, 2 * np.pi)
    angle = np.linspace(start, start + rng.uniform(2, 5.5), 200)
    wave = 1 + 0.07 * np.cumsum(rng.normal(0, 0.12, 200))
    line = (spot.u + 0.92 * wide * wave * np.cos(angle), spot.v + 0.92 * high * wave * np.sin(angle))
    draw_line(canvas, spot.number, line, float(np.clip(0.5 + 0.3 * spot.severity, 0.2, 2.5)), _CRACK, 0.9, 0.6)


def leakage(canvas: Canvas, rng: np.random.Generator, spot: Spot) -> None:
    """Paints water that seeps out of a crack or joint: wet concrete, and lime along the crack and in runs."""
    wide = spot.reach * rng.uniform(0.6, 1.0)
    facet = canvas.projections[spot.number].facet
    wet = (0.035, 0.034, 0.03)
    if abs(facet.normal[2]) > 0.6:
        patch = patch_around(canvas, spot, 1.5 * wide, 1.5 * wide, 1.5 * wide, 1.5 * wide)
        if patch is None:
            return
        field = ragged(patch, rng, spot, wide, wide * rng.uniform(0.4, 0.9), 0.5)
        canvas.paint(patch, np.clip(field * 4, 0, 1) * np.float32(rng.uniform(0.2, 0.6)), wet)
        ring = np.exp(-(((field - 0.05) / np.float32(0.09)) ** 2)) * np.float32(rng.uniform(0, 0.6))
        crust = np.clip(patch.noise(rng, 0.5 * wide, 3, 0.6) + field * 1.5 - np.float32(rng.uniform(0.6, 1.3)), 0, 1)
        canvas.paint(patch, np.maximum(ring, np.minimum(crust * 1.6, 0.92)), _LIME)
        canvas.raise_by(patch, crust * np.float32(6))
    else:
        runs(canvas, spot, rng, wide, spot.extent * rng.uniform(0.8, 1.6), wet, rng.uniform(0.3, 0.75))
        runs(
            canvas,
            spot,
            rng,
            wide * rng.uniform(0.2, 0.7),
            spot.extent * rng.uniform(0.4, 1.2),
            _LIME,
            rng.uniform(0.3, 1.0),
        )
    angle = rng.normal(0, 0.25)
    half = np.array([np.cos(angle), np.sin(angle)]) * wide * 0.9
    line = crooked(rng, (spot.u - half[0], spot.v - half[1]), (spot.u + half[0], spot.v + half[1]), 0.08)
    draw_line(
        canvas,
        spot.number,
        line,
        rng.uniform(6, 30) * np.exp(rng.normal(0, 0.5, len(line[0]))),
        _LIME,
        rng.uniform(0.3, 0.9),
        -3,
    )
    draw_line(canvas, spot.number, line, rng.uniform(0.2, 0.8), _CRACK, 0.8, 0)


def broken_edge(canvas: Canvas, rng: np.random.Generator, spot: Spot) -> None:
    """Paints a piece that was knocked off concrete: clean, rough, without bars."""
    wide, high = spot.reach, spot.reach * rng.uniform(0.35, 0.8)
    patch = patch_around(canvas, spot, 1.5 * wide, 1.5 * wide, 1.5 * high, 1.5 * high)
    if patch is None:
        return
    field = ragged(patch, rng, spot, wide, high, 0.3)
    stones = patch.noise(rng, 30, 2, 0.25)
    alpha = edge(field, patch, min(wide, high), 2)
    canvas.paint(
        patch,
        alpha * np.float32(0.9),
        np.array((0.36, 0.34, 0.3))[:, None, None] * rng.uniform(0.6, 1.1) * np.maximum(1 + 0.2 * stones, 0.3),
    )
    canvas.raise_by(patch, -np.clip(field * np.float32(high), 0, 70) + alpha * stones * np.float32(2))


def honeycomb(canvas: Canvas, rng: np.random.Generator, spot: Spot) -> None:
    """Paints stones without mortar between them (a rock pocket), or a discoloured area."""
    patch = patch_around(canvas, spot, *(1.4 * spot.reach,) * 4)
    if patch is None:
        return
    field = ragged(patch, rng, spot, spot.reach, spot.reach * rng.uniform(0.5, 1), 0.5)
    if rng.random() < 0.5:
        colour = ((0.05, 0.045, 0.035), (0.28, 0.16, 0.08), (0.07, 0.09, 0.035))[int(rng.integers(3))]
        canvas.paint(patch, np.clip(field * 2.5, 0, 1) * np.float32(rng.uniform(0.3, 0.65)), colour)
        return
    stones = patch.noise(rng, 24, 2.5, 0.2)
    gaps = np.clip(-stones * 1.5 - 0.2, 0, 1) * np.clip(field * 5, 0, 1)
    canvas.paint(patch, gaps * np.float32(0.9), (0.04, 0.037, 0.032))
    canvas.raise_by(patch, np.clip(field * 5, 0, 1) * stones * np.float32(3))


def pavement_defect(canvas: Canvas, rng: np.random.Generator, spot: Spot) -> None:
    """Paints a pothole, a net of cracks in a wheel path, or a sunken patch."""
    style = rng.choice(("pothole", "net", "ravelled"), p=(0.45, 0.35, 0.2))
    if style == "net":
        _net(canvas, rng, spot, float(np.clip(4 * 2**spot.severity, 2, 15)))
        return
    wide, high = spot.reach, spot.reach * rng.uniform(0.5, 0.95)
    patch = patch_around(canvas, spot, 1.5 * wide, 1.5 * wide, 1.5 * high, 1.5 * high)
    if patch is None:
        return
    field = ragged(patch, rng, spot, wide, high, 0.35)
    stones = patch.noise(rng, 32, 3, 0.3)
    alpha = edge(field, patch, high, 6)
    loose = np.array((0.13, 0.12, 0.105)) * rng.uniform(0.5, 1.5)
    canvas.paint(patch, alpha * np.float32(0.85), loose[:, None, None] * np.maximum(1 + 0.45 * stones, 0.2))
    deep = 45 if style == "pothole" else 8
    canvas.raise_by(patch, -np.clip(field * np.float32(high * 0.8), 0, deep) + alpha * stones * np.float32(4))


def scour(canvas: Canvas, rng: np.random.Generator, spot: Spot) -> None:
    """Paints what a stream washed out below a wall or pier: a hollow along its foot, rubbed concrete above."""
    facet = canvas.projections[spot.number].facet
    wide, high = spot.reach, spot.reach * rng.uniform(0.25, 0.5)
    foot = Spot(
        spot.number, spot.u, facet.size[1] if abs(facet.normal[2]) < 0.5 else spot.v, spot.extent, spot.severity
    )
    patch = patch_around(canvas, foot, 1.5 * wide, 1.5 * wide, 2.2 * high, 1.5 * high)
    if patch is None:
        return
    field = ragged(patch, rng, foot, wide, high, 0.3, 10)
    stones = patch.noise(rng, 30, 3, 0.3)
    worn = np.clip(field + 0.6, 0, 1) * np.clip(1.5 - field * 3, 0, 1)
    canvas.scale(patch, 1 + worn * (np.float32(0.2) * stones - np.float32(0.15)))
    canvas.raise_by(patch, worn * stones * np.float32(4))
    alpha = edge(field, patch, high, 15)
    canvas.paint(
        patch,
        alpha * np.float32(0.96),
        np.array((0.03, 0.027, 0.023))[:, None, None] * np.maximum(1 + 0.5 * stones, 0.2),
    )
    canvas.raise_by(patch, -np.clip(field * np.float32(high), 0, 250))


def clogging(canvas: Canvas, rng: np.random.Generator, spot: Spot) -> None:
    """Paints soil, sand and leaves that have gathered, with some weeds."""
    wide, high = spot.reach, spot.reach * rng.uniform(0.35, 0.9)
    patch = patch_around(canvas, spot, 1.5 * wide, 1.5 * wide, 1.5 * high, 1.5 * high)
    if patch is None:
        return
    field = ragged(patch, rng, spot, wide, high, 0.5)
    lumps = patch.noise(rng, 60, 2, 0.35)
    soil = np.array((0.15, 0.115, 0.08)) * rng.uniform(0.5, 1.4)
    alpha = np.clip(field * 5 + 0.3 * lumps, 0, 1)
    canvas.paint(patch, alpha, soil[:, None, None] * np.maximum(1 + 0.3 * lumps, 0.2))
    canvas.raise_by(patch, np.clip(field, 0, 1) * np.float32(45) + alpha * lumps * np.float32(5))
    count = int(rng.integers(0, 140))
    angle, radius = rng.uniform(0, 2 * np.pi, count), np.sqrt(rng.uniform(0, 1, count))
    u, v = spot.u + 0.85 * wide * radius * np.cos(angle), spot.v + 0.85 * high * radius * np.sin(angle)
    leaves = discs(canvas, spot.number, u, v, rng.uniform(6, 22, count))
    tints = rng.uniform(0.4, 1.6, max(count, 1))[leaves.along.astype(int)].astype(np.float32)
    canvas.paint_at(leaves.index, leaves.alpha * np.float32(0.9), [tints * c for c in (0.19, 0.13, 0.06)])
    for index in range(int(rng.integers(0, 30))):
        at = index % max(count, 1)
        if at < count:
            tip = (u[at] + rng.normal(0, 40), v[at] - rng.uniform(30, 160))
            draw_line(
                canvas,
                spot.number,
                crooked(rng, (u[at], v[at]), tip, 0.08),
                rng.uniform(2, 7),
                (0.07, 0.11, 0.03),
                0.9,
                -2,
            )
