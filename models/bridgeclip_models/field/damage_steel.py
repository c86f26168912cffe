"""Damage of steel members, their paint, their bolts and their bearings. Sizes in mm."""

import numpy as np

from .canvas import Canvas
from .damage_concrete import clogging
from .details import Bolts
from .shapes import Spot, crooked, draw_line, edge, patch_around, ragged, runs
from .stamps import discs

_DARK, _BROWN, _ORANGE = (0.05, 0.026, 0.017), (0.12, 0.05, 0.024), (0.3, 0.125, 0.04)


def corrosion(canvas: Canvas, rng: np.random.Generator, spot: Spot) -> None:
    """Paints rust of a grade that follows the severity: spots, patches, or layers with loss of section."""
    if spot.severity < -0.7:
        _rust_spots(canvas, rng, spot)
        return
    if rng.random() < 0.7:
        runs(
            canvas,
            spot,
            rng,
            spot.reach * rng.uniform(0.3, 0.9),
            spot.extent * rng.uniform(0.4, 1.3),
            _ORANGE,
            rng.uniform(0.15, 0.6),
        )
    wide, high = spot.reach, spot.reach * rng.uniform(0.35, 1.0)
    patch = patch_around(canvas, spot, 1.6 * wide, 1.6 * wide, 1.6 * high, 1.6 * high)
    if patch is None:
        return
    field = ragged(patch, rng, spot, wide, high, 0.85)
    alpha = edge(field, patch, min(wide, high), 4)
    tone = patch.noise(rng, 90, 2, 0.45)
    mix = np.clip(0.5 + 0.5 * tone - np.float32(0.12 * spot.severity), 0, 1)
    colours = [
        np.float32(d) * (1 - mix) + np.float32(o) * mix
        for d, o in zip(_DARK if spot.severity > 0.5 else _BROWN, _ORANGE, strict=True)
    ]
    canvas.paint(patch, alpha * np.float32(0.95), colours)
    rough = float(np.clip(0.5 + 0.6 * spot.severity, 0.3, 3))
    canvas.raise_by(patch, alpha * (tone * np.float32(rough) + np.float32(rough)))
    if spot.severity > 1.0:
        _section_loss(canvas, rng, patch, field)


def _rust_spots(canvas: Canvas, rng: np.random.Generator, spot: Spot) -> None:
    count = int(rng.integers(15, 120))
    u, v = spot.u + rng.normal(0, 0.45 * spot.reach, count), spot.v + rng.normal(0, 0.35 * spot.reach, count)
    radius = np.minimum(2 * rng.uniform(0.02, 1, count) ** -0.7, 0.2 * spot.reach + 2)
    stamp = discs(canvas, spot.number, u, v, radius)
    canvas.paint_at(
        stamp.index, stamp.alpha * np.clip(1.4 - stamp.place, 0, 0.95), _BROWN if rng.random() < 0.5 else _ORANGE
    )
    canvas.raise_at(stamp.index, stamp.alpha * np.float32(0.6))


def _section_loss(canvas: Canvas, rng: np.random.Generator, patch, field: np.ndarray) -> None:
    """Paints flakes that fell off, and at worst holes."""
    flakes = np.clip((patch.noise(rng, 160, 8, 0.6) + field - 1.0) * 6, 0, 1) * (field > 0)
    canvas.paint(patch, flakes * np.float32(0.8), (0.035, 0.02, 0.014))
    canvas.raise_by(patch, -flakes * np.float32(3))


def peeling_paint(canvas: Canvas, rng: np.random.Generator, spot: Spot) -> None:
    """Paints a coating that fails: chalked, flaked down to primer or steel, with first rust."""
    wide, high = spot.reach, spot.reach * rng.uniform(0.4, 1.0)
    patch = patch_around(canvas, spot, 1.5 * wide, 1.5 * wide, 1.5 * high, 1.5 * high)
    if patch is None:
        return
    field = ragged(patch, rng, spot, wide, high, 0.5)
    area = np.clip(field * 2, 0, 1)
    faded = np.float32(rng.uniform(0.0, 0.45))
    grey = canvas.albedo[1][patch.slices].copy() * np.float32(1.15) + np.float32(0.03)
    canvas.paint(patch, area * faded, [grey, grey, grey])
    flakes = (
        patch.noise(rng, rng.uniform(30, 160), 3, 0.5)
        + np.clip(field, -1, 0.8) * 1.2
        - np.float32(rng.uniform(0.6, 1.1))
    )
    alpha = np.clip(flakes * np.float32(25 / max(patch.pitch, 1)) + 0.5, 0, 1) * (field > -0.2)
    primer = ((0.26, 0.26, 0.25), (0.2, 0.07, 0.045), (0.34, 0.3, 0.22), (0.16, 0.085, 0.05))[int(rng.integers(4))]
    canvas.paint(patch, alpha * np.float32(0.95), primer)
    canvas.raise_by(patch, -alpha * np.float32(0.45))
    rust = np.clip((flakes - np.float32(rng.uniform(0.3, 1.2))) * 4, 0, 0.9)
    canvas.paint(patch, rust * alpha, _BROWN)


def fatigue_crack(canvas: Canvas, rng: np.random.Generator, spot: Spot) -> None:
    """Paints a crack that starts at a weld or bolt hole and bleeds rust."""
    angle = rng.choice((0, np.pi / 2)) + rng.normal(0, 0.2)
    half = np.array([np.cos(angle), np.sin(angle)]) * spot.reach
    line = crooked(rng, (spot.u - half[0], spot.v - half[1]), (spot.u + half[0], spot.v + half[1]), 0.05)
    draw_line(
        canvas,
        spot.number,
        line,
        rng.uniform(4, 14) * np.exp(rng.normal(0, 0.5, len(line[0]))),
        _ORANGE,
        rng.uniform(0.3, 0.8),
        0,
    )
    runs(
        canvas,
        spot,
        rng,
        spot.reach * 0.4 + 8,
        spot.extent * rng.uniform(0.3, 1.0) + 30,
        _ORANGE,
        rng.uniform(0.1, 0.5),
    )
    draw_line(
        canvas, spot.number, line, float(np.clip(0.3 * 2**spot.severity, 0.1, 1.5)), (0.012, 0.01, 0.009), 0.95, 0.4
    )


def fracture(canvas: Canvas, rng: np.random.Generator, spot: Spot) -> None:
    """Paints a member that is broken through: a gap across it, both sides out of line, bare and rusted edges."""
    facet = canvas.projections[spot.number].facet
    width, height = facet.size
    across = width <= height
    gap = float(np.clip(8 * 2**spot.severity, 4, 40))
    if across:
        half = min(width, 1.2 * spot.extent) / 2
        ends = (max(0, spot.u - half), spot.v), (min(width, spot.u + half), spot.v + rng.uniform(-0.3, 0.3) * half)
    else:
        half = min(height, 1.2 * spot.extent) / 2
        ends = (spot.u, max(0, spot.v - half)), (spot.u + rng.uniform(-0.3, 0.3) * half, min(height, spot.v + half))
    line = crooked(rng, *ends, 0.06)
    draw_line(
        canvas,
        spot.number,
        line,
        3.5 * gap,
        _ORANGE if rng.random() < 0.6 else (0.3, 0.29, 0.27),
        rng.uniform(0.4, 0.8),
        0,
    )
    draw_line(
        canvas, spot.number, line, gap * np.exp(rng.normal(0, 0.15, len(line[0]))), (0.01, 0.009, 0.008), 0.97, gap
    )


def loosening(canvas: Canvas, rng: np.random.Generator, spot: Spot) -> None:
    """Paints bolts that are missing or have turned out of a group, or a fixing that has come off."""
    facet = canvas.projections[spot.number].facet
    groups = [detail for detail in facet.details if isinstance(detail, Bolts)]
    if groups:
        u, v = groups[0].centres()
        order = np.argsort(np.hypot(u - spot.u, v - spot.v))
        chosen = order[: max(1, round(len(u) * float(np.clip(0.05 + 0.06 * (spot.severity + 1), 0.03, 0.4))))]
        u, v, head = u[chosen], v[chosen], groups[0].head
    else:
        count = int(rng.integers(1, 4))
        u, v, head = spot.u + np.arange(count) * 90.0, np.full(count, spot.v), 16.0
    rust = discs(canvas, spot.number, u, v, np.full(len(u), head * rng.uniform(1.25, 1.7)))
    canvas.paint_at(
        rust.index, rust.alpha * np.float32(rng.uniform(0.4, 0.9)), _BROWN if rng.random() < 0.6 else (0.33, 0.32, 0.3)
    )
    canvas.raise_at(rust.index, -rust.alpha * np.float32(4))
    hole = discs(canvas, spot.number, u, v, np.full(len(u), head * 0.68))
    canvas.paint_at(hole.index, hole.alpha, (0.008, 0.008, 0.007))
    canvas.raise_at(hole.index, -hole.alpha * np.float32(head * 0.7))
    if rng.random() < 0.5:
        for x, y in zip(u, v, strict=True):
            runs(
                canvas,
                Spot(spot.number, float(x), float(y), 2 * head, 0),
                rng,
                head,
                head * rng.uniform(3, 8),
                _ORANGE,
                0.5,
            )


def dent(canvas: Canvas, rng: np.random.Generator, spot: Spot) -> None:
    """Paints steel that a vehicle or stone has bent: a dent with folds and a scrape."""
    wide, high = spot.reach, spot.reach * rng.uniform(0.5, 0.9)
    patch = patch_around(canvas, spot, 1.4 * wide, 1.4 * wide, 1.4 * high, 1.4 * high)
    if patch is None:
        return
    field = ragged(patch, rng, spot, wide, high, 0.12, 40)
    bowl = np.clip(field, 0, 1)
    deep = np.float32(rng.uniform(0.18, 0.45) * min(wide, high) * rng.choice((-1, 1)))
    folds = patch.noise(rng, wide, wide / 6, 0.8)
    canvas.raise_by(
        patch, bowl * bowl * (3 - 2 * bowl) * deep + np.clip(field * 3, 0, 1) * folds * np.float32(0.05 * wide)
    )
    scrape = patch.noise(rng, 0.3 * wide + 20, 3, 0.5, stretch=0.12) + field * 1.4 - np.float32(rng.uniform(0.9, 1.5))
    canvas.paint(patch, np.clip(scrape * 3, 0, 0.9), (0.3, 0.28, 0.26) if rng.random() < 0.5 else _BROWN)


def bearing_dysfunction(canvas: Canvas, rng: np.random.Generator, spot: Spot) -> None:
    """Paints a bearing that no longer moves or carries: split and bulging rubber, or rust and soil that lock steel."""
    facet = canvas.projections[spot.number].facet
    if facet.material == "rubber":
        patch = canvas.patch(spot.number)
        if patch is None:
            return
        width, height = facet.size
        bulge = np.sin(np.clip(patch.v / np.float32(height), 0, 1) * np.float32(np.pi)) * np.sin(
            np.clip(patch.u / np.float32(width), 0, 1) * np.float32(np.pi)
        )
        canvas.raise_by(patch, bulge * np.float32(np.clip(14 + 8 * spot.severity, 5, 40)))
        canvas.paint(patch, np.clip(patch.noise(rng, 70, 2, 0.5) - 0.3, 0, 0.7), (0.16, 0.14, 0.12))
        for _ in range(int(rng.integers(2, 6))):
            v = rng.uniform(0.15, 0.85) * height
            line = crooked(
                rng, (rng.uniform(0, 0.4) * width, v), (rng.uniform(0.6, 1) * width, v + rng.normal(0, 8)), 0.03
            )
            draw_line(canvas, spot.number, line, rng.uniform(1.5, 8), (0.006, 0.006, 0.006), 0.95, 4)
        return
    corrosion(canvas, rng, Spot(spot.number, spot.u, spot.v, spot.extent, max(spot.severity, 0.8)))
    if rng.random() < 0.5:
        clogging(canvas, rng, Spot(spot.number, spot.u, facet.size[1] - 20, spot.extent * 0.6, 0))
