"""What is built into surfaces: joints and ties of the formwork, pores, bolts, welds, repairs, road markings."""

from dataclasses import dataclass

import numpy as np

from .canvas import Canvas
from .geometry import Facet
from .materials import generator
from .stamps import discs, stroke

_PORES_MAX = 6000  # per facet


@dataclass(frozen=True)
class Formwork:
    """Panels whose joints and ties show in the concrete. Sizes in mm; panels of 900 x 1800 mm are the usual ones."""

    wide: float
    high: float
    ties: bool
    pores: float  # a square metre, with a diameter above 1.5 mm

    def paint(self, canvas: Canvas, number: int, facet: Facet, rng: np.random.Generator) -> None:
        offset_u, offset_v = rng.uniform(0, self.wide), rng.uniform(0, self.high)
        us = np.arange(offset_u - self.wide, facet.size[0] + self.wide, self.wide)
        vs = np.arange(offset_v - self.high, facet.size[1] + self.high, self.high)
        self._shade_panels(canvas, number, facet, rng, offset_u, offset_v)
        self._joints(canvas, number, facet, rng, us, vs)
        if self.ties:
            self._plugs(canvas, number, rng, us, vs)
        self._pores(canvas, number, facet, rng)

    def _shade_panels(
        self, canvas: Canvas, number: int, facet: Facet, rng: np.random.Generator, du: float, dv: float
    ) -> None:
        shades = rng.normal(1, 0.05, 256).astype(np.float32)
        for patch in canvas.pieces(number):
            column = np.floor((patch.u - np.float32(du)) / np.float32(self.wide)).astype(np.int32)
            row = np.floor((patch.v - np.float32(dv)) / np.float32(self.high)).astype(np.int32)
            canvas.scale(patch, shades.take((column * 17 + row * 5) & 255))
            canvas.raise_by(patch, (shades.take((column * 29 + row * 3) & 255) - 1) * np.float32(14))

    def _joints(
        self, canvas: Canvas, number: int, facet: Facet, rng: np.random.Generator, us: np.ndarray, vs: np.ndarray
    ) -> None:
        width, height = facet.size
        lines = [((u, u), (0, height)) for u in us if 0 < u < width] + [
            ((0, width), (v, v)) for v in vs if 0 < v < height
        ]
        for u, v in lines[:60]:
            strength = rng.uniform(0.15, 0.6)
            stamp = stroke(canvas, number, np.array(u), np.array(v), rng.uniform(1.5, 5))
            canvas.paint_at(stamp.index, stamp.alpha * np.float32(strength), (0.06, 0.056, 0.05))
            canvas.raise_at(stamp.index, stamp.alpha * np.float32(rng.choice((-1.2, 0.8))))

    def _plugs(self, canvas: Canvas, number: int, rng: np.random.Generator, us: np.ndarray, vs: np.ndarray) -> None:
        u, v = (
            grid.ravel()
            for grid in np.meshgrid(
                np.concatenate([us + self.wide * 0.25, us + self.wide * 0.75]), vs + self.high * 0.5
            )
        )
        if len(u) > 400:
            return
        shade = rng.choice((0.75, 1.15, 1.3))
        stamp = discs(canvas, number, u, v, np.full(len(u), 15.0))
        for channel in canvas.albedo:
            channel.reshape(-1)[stamp.index] *= 1 + (np.float32(shade) - 1) * stamp.alpha * np.where(
                stamp.place > 0.85, -1.2, 0.6
            ).astype(np.float32)
        canvas.raise_at(stamp.index, -stamp.alpha * np.float32(rng.uniform(0.3, 4)))

    def _pores(self, canvas: Canvas, number: int, facet: Facet, rng: np.random.Generator) -> None:
        patch = canvas.patch(number)
        if patch is None or patch.pitch > 5:
            return
        step = max(1, max(patch.shape) // 60)
        u, v = patch.sparse(step)
        bounds = (max(0, u.min()), min(facet.size[0], u.max()), max(0, v.min()), min(facet.size[1], v.max()))
        area = max(0, bounds[1] - bounds[0]) * max(0, bounds[3] - bounds[2]) / 1e6
        count = int(min(_PORES_MAX, self.pores * area))
        diameter = 1.5 * rng.uniform(0.02, 1, count) ** -0.45
        place = rng.uniform(bounds[0], bounds[1], count), rng.uniform(bounds[2], bounds[3], count)
        seen = diameter > 0.8 * patch.pitch
        stamp = discs(canvas, number, place[0][seen], place[1][seen], diameter[seen] / 2)
        canvas.paint_at(stamp.index, stamp.alpha * np.float32(0.75), (0.05, 0.047, 0.042))
        canvas.raise_at(stamp.index, -stamp.alpha)


@dataclass(frozen=True)
class Bolts:
    """Hexagon bolts with washers, at the crossings of `us` and `vs` in mm. A head of M22 is 36 mm wide, 14 mm high."""

    us: tuple[float, ...]
    vs: tuple[float, ...]
    head: float = 18.0  # radius of the head

    def centres(self) -> tuple[np.ndarray, np.ndarray]:
        u, v = np.meshgrid(self.us, self.vs)
        return u.ravel(), v.ravel()

    def paint(self, canvas: Canvas, number: int, facet: Facet, rng: np.random.Generator) -> None:
        u, v = self.centres()
        draw_bolts(canvas, number, u, v, self.head, rng)


def draw_bolts(
    canvas: Canvas, number: int, u: np.ndarray, v: np.ndarray, head: float, rng: np.random.Generator
) -> None:
    washer = discs(canvas, number, u, v, np.full(len(u), head * 1.22))
    canvas.raise_at(washer.index, washer.alpha * np.float32(4))
    body = discs(canvas, number, u, v, np.full(len(u), head))
    canvas.raise_at(body.index, body.alpha * np.float32(head * 0.6) * np.clip(1.25 - body.place * 0.45, 0, 1))
    grime = (
        np.where(washer.place > 0.86, 0.45, 0.05).astype(np.float32) * washer.alpha * np.float32(rng.uniform(0.4, 1))
    )
    canvas.paint_at(washer.index, grime, (0.04, 0.036, 0.03))


@dataclass(frozen=True)
class Weld:
    """A fillet weld along a line in mm; beads of 6 to 12 mm."""

    us: tuple[float, ...]
    vs: tuple[float, ...]
    width: float = 9.0

    def paint(self, canvas: Canvas, number: int, facet: Facet, rng: np.random.Generator) -> None:
        stamp = stroke(canvas, number, np.array(self.us), np.array(self.vs), self.width)
        length = float(np.hypot(np.ptp(self.us), np.ptp(self.vs)))
        ripple = 1 + 0.12 * np.sin(stamp.along * (length / 6 * 2 * np.pi)).astype(np.float32)
        across = np.sqrt(np.clip(1 - (stamp.place / (self.width / 2)) ** 2, 0, 1))
        canvas.raise_at(stamp.index, across * ripple * np.float32(self.width * 0.4))
        canvas.paint_at(stamp.index, stamp.alpha * np.float32(rng.uniform(0, 0.2)), (0.05, 0.045, 0.04))


@dataclass(frozen=True)
class Line:
    """A painted or sealed line: road marking, sealant of a joint."""

    us: tuple[float, ...]
    vs: tuple[float, ...]
    width: float
    colour: tuple[float, float, float]
    wear: float = 0.3

    def paint(self, canvas: Canvas, number: int, facet: Facet, rng: np.random.Generator) -> None:
        u, v = np.array(self.us), np.array(self.vs)
        patch = canvas.around(
            number,
            np.array([u.min() - self.width, u.max() + self.width]),
            np.array([v.min() - self.width, v.max() + self.width]),
        )
        if patch is None:
            return
        vertical = np.ptp(v) > np.ptp(u)
        distance = np.abs((patch.u - np.float32(u[0])) if vertical else (patch.v - np.float32(v[0])))
        alpha = np.clip((self.width / 2 - distance) / np.float32(patch.pitch) + 0.5, 0, 1)
        worn = np.clip(patch.noise(rng, 120, 2, 0.4) * 0.5 + 1.3 - 2 * np.float32(self.wear), 0, 1)
        canvas.paint(patch, alpha * worn, self.colour)


@dataclass(frozen=True)
class Repair:
    """A rectangle of repair mortar or a coat of another paint; it is sound."""

    u: float
    v: float
    wide: float
    high: float

    def paint(self, canvas: Canvas, number: int, facet: Facet, rng: np.random.Generator) -> None:
        patch = canvas.around(number, np.array([self.u, self.u + self.wide]), np.array([self.v, self.v + self.high]))
        if patch is None:
            return
        edge = np.minimum(
            np.minimum(patch.u - self.u, self.u + self.wide - patch.u),
            np.minimum(patch.v - self.v, self.v + self.high - patch.v),
        )
        edge = edge + np.float32(3) * patch.noise(rng, 120, 4, 0.5)
        alpha = np.clip(edge / np.float32(patch.pitch) + 0.5, 0, 1)
        canvas.scale(patch, 1 + alpha * np.float32(rng.uniform(-0.28, 0.45)))
        canvas.raise_by(patch, alpha * np.float32(rng.uniform(0.3, 1.5)))


def paint_details(canvas: Canvas, facets: list[Facet], seed: tuple[int, ...]) -> None:
    """Draws the details of every visible facet."""
    for number in canvas.visible:
        for index, detail in enumerate(facets[number].details):
            detail.paint(canvas, number, facets[number], generator(seed, "detail", number, index))
