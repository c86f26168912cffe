"""Drawing in normalised coordinates: a canvas, and pens that place a member on it.

The unit is the short side of the picture. (0, 0)..(1, 1) is the centre square, which is all that the classifier sees
after its centre crop; the rest of a landscape or portrait picture is outside 0..1. Nothing in this module depends on
the number of pixels, so that a seed gives the same scene at every size.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

Colour = tuple[int, ...]  # red, green, blue and, optionally, opacity; 0..255 each
Point = tuple[float, float]

BLEED = 1.2  # reach of backgrounds beyond the unit square: enough for 3:2 pictures that are tilted and shifted
_SUPERSAMPLED_BELOW = 600  # px short side: smaller pictures are drawn twice as large and averaged, against jagged edges
_MIN_LINE = 1  # px
_ROUND = tuple((math.cos(a), math.sin(a)) for a in np.linspace(0, 2 * math.pi, 28, endpoint=False).tolist())
_LUMPS, _BLOB_CORNERS = 12, 48
_RAGGEDNESS = 0.2  # raggedness of a blob's edge, as a share of its lumps


@dataclass(frozen=True)
class Frame:
    """Position of a member's unit square on the canvas: scaled, tilted (radians) and moved to a centre."""

    centre: Point = (0.5, 0.5)
    width: float = 1.0
    height: float = 1.0
    tilt: float = 0.0

    def place(self, point: Point) -> Point:
        x, y = (point[0] - 0.5) * self.width, (point[1] - 0.5) * self.height
        cos, sin = math.cos(self.tilt), math.sin(self.tilt)
        return self.centre[0] + x * cos - y * sin, self.centre[1] + x * sin + y * cos

    @property
    def scale(self) -> float:
        """Scale of line widths."""
        return math.sqrt(self.width * self.height)


class Canvas:
    """A picture being drawn."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self._factor = 2 if min(size) < _SUPERSAMPLED_BELOW else 1
        self.image = Image.new("RGB", (size[0] * self._factor, size[1] * self._factor))
        self.unit = min(size) * self._factor  # px
        self._left = (self.image.width - self.unit) / 2
        self._top = (self.image.height - self.unit) / 2

    def pen(self, frame: Frame = Frame()) -> "Pen":
        return Pen(self, frame)

    def pixel(self, point: Point) -> Point:
        return self._left + point[0] * self.unit, self._top + point[1] * self.unit

    def paste_part(self, other: "Canvas", corners: Sequence[Point]) -> None:
        """Copies the polygon `corners` from a canvas of the same size onto this one."""
        mask = Image.new("L", self.image.size)
        ImageDraw.Draw(mask).polygon([self.pixel(corner) for corner in corners], fill=255)
        self.image.paste(other.image, mask=mask)

    def finished(self) -> Image.Image:
        return self.image.reduce(self._factor) if self._factor > 1 else self.image


class Pen:
    """Draws shapes in the coordinates of one frame."""

    def __init__(self, canvas: Canvas, frame: Frame) -> None:
        self._canvas = canvas
        self._frame = frame
        self._draw = ImageDraw.Draw(canvas.image, "RGBA")

    def fill(self, colour: Colour) -> None:
        """Fills the whole picture."""
        self._draw.rectangle((0, 0, *self._canvas.image.size), fill=colour)

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        self._draw.polygon(self._pixels(points), fill=colour)

    def rectangle(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        self.polygon(((left, top), (right, top), (right, bottom), (left, bottom)), colour)

    def band(self, top: float, bottom: float, colour: Colour) -> None:
        """Draws a horizontal band across the whole picture."""
        self.rectangle(-BLEED, top, 1 + BLEED, bottom, colour)

    def line(self, points: Sequence[Point], width: float, colour: Colour) -> None:
        pixels = max(_MIN_LINE, round(width * self._frame.scale * self._canvas.unit))
        self._draw.line(self._pixels(points), fill=colour, width=pixels, joint="curve" if len(points) > 2 else None)

    def outline(self, points: Sequence[Point], width: float, colour: Colour) -> None:
        self.line((*points, points[0]), width, colour)

    def ellipse(self, centre: Point, radius_x: float, radius_y: float, colour: Colour) -> None:
        self.polygon(oval(centre, radius_x, radius_y), colour)

    def ring(self, centre: Point, radius_x: float, radius_y: float, width: float, colour: Colour) -> None:
        self.outline(oval(centre, radius_x, radius_y), width, colour)

    def _pixels(self, points: Sequence[Point]) -> list[Point]:
        return [self._canvas.pixel(self._frame.place(point)) for point in points]


def oval(centre: Point, radius_x: float, radius_y: float) -> list[Point]:
    return [(centre[0] + radius_x * x, centre[1] + radius_y * y) for x, y in _ROUND]


def blob(rng: np.random.Generator, centre: Point, radius_x: float, radius_y: float, roughness: float = 0.25) -> list[Point]:
    """Returns an irregular outline: an oval with lumps of up to `roughness` (a share of the radius) and a ragged edge."""
    lumps = rng.uniform(-1, 1, _LUMPS)
    turns = np.arange(_BLOB_CORNERS) / _BLOB_CORNERS
    raised = np.interp(turns * _LUMPS, np.arange(_LUMPS + 1), np.append(lumps, lumps[0]))
    radii = 1 + roughness * (raised + _RAGGEDNESS * rng.uniform(-1, 1, _BLOB_CORNERS))
    xs = centre[0] + radius_x * radii * np.cos(2 * math.pi * turns)
    ys = centre[1] + radius_y * radii * np.sin(2 * math.pi * turns)
    return list(zip(xs.tolist(), ys.tolist(), strict=True))


def shade(colour: Colour, factor: float) -> Colour:
    """Returns a darker (factor below 1) or brighter colour of the same opacity."""
    return (*(max(0, min(255, round(channel * factor))) for channel in colour[:3]), *colour[3:])
