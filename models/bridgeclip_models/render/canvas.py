"""The drawing surface: normalised coordinates, a bank of noise, textured polygons and soft patches.

Lengths are in units of the photo's short side. The origin is the centre of the picture, x runs right, y down. Nothing
is given in pixels, so a scene drawn at 12 megapixels is the small scene with finer grain.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from .materials import Material

Point = tuple[float, float]
Colour = tuple[int, int, int]
Paint = Material | Colour

# Cells of the noise bank per unit length, coarsest first; the last is the grain that one sees as roughness.
NOISE_CELLS = (2.5, 9.0, 34.0, 140.0)
# Above this many pixels per unit the grain gets a further octave, else a large picture would look smooth.
FINE_GRAIN_PX = 600
FINE_GRAIN_CELLS = 700.0


@dataclass(frozen=True)
class Patch:
    """A soft-edged region: its weights 0..1 on the pixels of `box` (left, top, right, bottom)."""

    box: tuple[int, int, int, int]
    weight: np.ndarray

    def times(self, factor: np.ndarray | float) -> "Patch":
        return Patch(self.box, np.clip(self.weight * factor, 0, 1))


class Canvas:
    """An RGB picture `width` x `height` units large, and the mask of the member that is being inspected on it."""

    def __init__(self, width: float, height: float, unit_px: float, rng: np.random.Generator):
        self.width, self.height, self.unit_px, self.rng = width, height, unit_px, rng
        self.size = (round(width * unit_px), round(height * unit_px))
        self.image = Image.new("RGB", self.size)
        self.member = Image.new("L", self.size)
        # What depends on the resolution draws from a stream of its own, so that the scene does not change with it.
        self._grain_rng = np.random.default_rng(rng.integers(2**63))
        self._bank: list[np.ndarray] | None = None
        self._textures: dict[Material, Image.Image] = {}
        self._pen = ImageDraw.Draw(self.image)

    @property
    def left(self) -> float:
        return -self.width / 2

    @property
    def right(self) -> float:
        return self.width / 2

    @property
    def top(self) -> float:
        return -self.height / 2

    @property
    def bottom(self) -> float:
        return self.height / 2

    def to_px(self, points: Sequence[Point]) -> list[tuple[float, float]]:
        return [((x - self.left) * self.unit_px, (y - self.top) * self.unit_px) for x, y in points]

    # Noise and textures

    def noise(self) -> list[np.ndarray]:
        """The noise bank: one uint8 picture for each entry of NOISE_CELLS."""
        if self._bank is None:
            self._bank = [self._octave(self.rng, cells) for cells in NOISE_CELLS]
            if self.unit_px > FINE_GRAIN_PX:
                finest = self._octave(self._grain_rng, FINE_GRAIN_CELLS)
                self._bank[-1] = ((self._bank[-1].astype(np.uint16) + finest) // 2).astype(np.uint8)
        return self._bank

    def _octave(self, rng: np.random.Generator, cells: float) -> np.ndarray:
        shape = (int(self.height * cells) + 2, int(self.width * cells) + 2)
        grid = Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8))
        return np.asarray(grid.resize(self.size, Image.Resampling.BICUBIC))

    def texture(self, material: Material) -> Image.Image:
        """The material over the whole canvas."""
        if material not in self._textures:
            total = np.zeros(self.size[::-1], np.uint16)
            for share, octave in zip(_shares(material.roughness), self.noise(), strict=True):
                if share:
                    total += octave * np.uint16(share)
            values = Image.fromarray((total >> 8).astype(np.uint8))
            ramps = [_ramp(dark, light) for dark, light in zip(material.dark, material.light, strict=True)]
            self._textures[material] = Image.merge("RGB", [values.point(ramp) for ramp in ramps])
        return self._textures[material]

    # Hard shapes

    def polygon(self, points: Sequence[Point], paint: Paint, shade: float = 1.0, *, member: bool = False) -> None:
        """Fills a polygon. `member` adds it to the mask in which defects appear; else it hides what lies behind it."""
        outline = self.to_px(points)
        ImageDraw.Draw(self.member).polygon(outline, fill=255 if member else 0)
        if not isinstance(paint, Material):
            self._pen.polygon(outline, fill=_shaded(paint, shade))
            return
        box = self._clip_box(*np.min(outline, axis=0), *np.max(outline, axis=0))
        if box is None:
            return
        stencil = Image.new("L", (box[2] - box[0], box[3] - box[1]))
        ImageDraw.Draw(stencil).polygon([(x - box[0], y - box[1]) for x, y in outline], fill=255)
        tile = self.texture(paint).crop(box)
        if shade != 1:
            tile = tile.point(_ramp(0, 255 * shade) * 3)
        self.image.paste(tile, box, stencil)

    def rectangle(
        self, x0: float, y0: float, x1: float, y1: float, paint: Paint, shade: float = 1.0, *, member: bool = False
    ) -> None:
        self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], paint, shade, member=member)

    def disc(self, x: float, y: float, radius: float, paint: Colour, shade: float = 1.0, *, squash: float = 1) -> None:
        """A flat-coloured disc; `squash` is its height over its width."""
        corners = self.to_px([(x - radius, y - radius * squash), (x + radius, y + radius * squash)])
        self._pen.ellipse([*corners[0], *corners[1]], fill=_shaded(paint, shade))

    def ring(self, x: float, y: float, rx: float, ry: float, width: float, colour: Colour) -> None:
        corners = self.to_px([(x - rx, y - ry), (x + rx, y + ry)])
        self._pen.ellipse([*corners[0], *corners[1]], outline=colour, width=self._stroke(width))

    def line(self, points: Sequence[Point], width: float, colour: Colour) -> None:
        self._pen.line(self.to_px(points), fill=colour, width=self._stroke(width), joint="curve")

    def tube(self, start: Point, end: Point, radius: float, paint: Paint, *, member: bool = False, strips: int = 5) -> None:
        """A round bar, lit from its upper or left side: parallel strips of different brightness."""
        along = np.subtract(end, start)
        across = np.array([-along[1], along[0]]) / max(float(np.hypot(*along)), 1e-9) * radius
        if across[1] > 0 or (across[1] == 0 and across[0] > 0):
            across = -across
        edges = np.linspace(1, -1, strips + 1)
        for near, far in zip(edges[:-1], edges[1:], strict=True):
            height = (near + far) / 2
            corners = [start + across * near, end + across * near, end + across * far, start + across * far]
            shade = 0.55 + 0.6 * float(np.sqrt(max(0.0, 1 - (height - 0.35) ** 2 / 2)))
            self.polygon([tuple(corner) for corner in corners], paint, shade, member=member)

    def text(self, x: float, y: float, words: str, height: float, colour: Colour, font) -> None:
        """Writes `words` with their upper left corner at (x, y); `font` makes a font of a size in pixels."""
        self._pen.text(self.to_px([(x, y)])[0], words, fill=colour, font=font(max(6, round(height * self.unit_px))))

    # Soft patches

    def grid(self, x0: float, y0: float, x1: float, y1: float):
        """(box, x, y) of the pixels in a rectangle, x as a row and y as a column; None if it is out of the picture."""
        corners = self.to_px([(x0, y0), (x1, y1)])
        box = self._clip_box(*corners[0], *corners[1])
        if box is None:
            return None
        x = (np.arange(box[0], box[2], dtype=np.float32) + 0.5) / self.unit_px + self.left
        y = (np.arange(box[1], box[3], dtype=np.float32) + 0.5) / self.unit_px + self.top
        return box, x[None, :], y[:, None]

    def blob(self, x: float, y: float, rx: float, ry: float, ragged: float = 0.8, soft: float = 0.12) -> Patch | None:
        """An irregular patch about (x, y). `ragged` is how far noise moves its edge, `soft` the edge's width, of r."""
        reach = 1 + ragged / 2
        found = self.grid(x - rx * reach, y - ry * reach, x + rx * reach, y + ry * reach)
        if found is None:
            return None
        box, gx, gy = found
        distance = np.sqrt(((gx - x) / rx) ** 2 + ((gy - y) / ry) ** 2)
        inside = 1 - distance + (self.relief(box, (0.25, 0.5, 0.25, 0)) - 0.5) * ragged
        return Patch(box, np.clip(inside / soft + 0.5, 0, 1))

    def relief(self, box: tuple[int, int, int, int], roughness: tuple[float, float, float, float]) -> np.ndarray:
        """The noise bank mixed by `roughness`, 0..1, on the pixels of `box`."""
        total = np.zeros((box[3] - box[1], box[2] - box[0]), np.float32)
        for share, octave in zip(roughness, self.noise(), strict=True):
            if share:
                total += octave[box[1] : box[3], box[0] : box[2]] * np.float32(share / 255)
        return total

    def cover(self, patch: Patch | None, paint: Paint, strength: float = 1.0, *, anywhere: bool = False) -> None:
        """Lays a paint over a patch, on the inspected member only unless `anywhere`."""
        if patch is None:
            return
        stencil = Image.fromarray((patch.weight * (255 * strength)).astype(np.uint8))
        if not anywhere:
            stencil = ImageChops.multiply(stencil, self.member.crop(patch.box))
        tile = self.texture(paint).crop(patch.box) if isinstance(paint, Material) else paint
        self.image.paste(tile, patch.box, stencil)

    def relight(self, patch: Patch | None, gain: np.ndarray | float, *, anywhere: bool = False) -> None:
        """Multiplies the brightness by `gain` where the patch weighs 1; on the member only unless `anywhere`."""
        if patch is None:
            return
        weight = patch.weight
        if not anywhere:
            weight = weight * (np.asarray(self.member.crop(patch.box), np.float32) / 255)
        pixels = np.asarray(self.image.crop(patch.box), np.float32)
        lit = pixels * (1 + weight * (np.float32(1) * gain - 1))[..., None]
        self.image.paste(Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8)), patch.box)

    def displace(self, box: tuple[int, int, int, int], dx: np.ndarray, dy: np.ndarray) -> None:
        """Moves the picture inside `box`: the pixel at (x, y) shows what was at (x - dx, y - dy), in units."""
        rows, columns = np.mgrid[box[1] : box[3], box[0] : box[2]]
        rows = np.clip(rows - np.round(dy * self.unit_px).astype(int), 0, self.size[1] - 1)
        columns = np.clip(columns - np.round(dx * self.unit_px).astype(int), 0, self.size[0] - 1)
        for picture in (self.image, self.member):
            picture.paste(Image.fromarray(np.asarray(picture)[rows, columns]), box)

    def clear_member(self) -> None:
        """Starts a new member: whatever is drawn from now on with `member` is where defects may appear."""
        self.member.paste(0, (0, 0, *self.size))

    def paste(self, other: "Canvas", y: float) -> None:
        """Puts another canvas of the same width with its upper edge at y."""
        self.image.paste(other.image, (0, round((y - self.top) * self.unit_px)))

    def _stroke(self, width: float) -> int:
        return max(1, round(width * self.unit_px))

    def _clip_box(self, x0: float, y0: float, x1: float, y1: float) -> tuple[int, int, int, int] | None:
        box = (max(0, int(x0)), max(0, int(y0)), min(self.size[0], int(x1) + 1), min(self.size[1], int(y1) + 1))
        return box if box[0] < box[2] and box[1] < box[3] else None


@lru_cache(maxsize=256)
def _ramp(dark: float, light: float) -> list[int]:
    return [round(min(255, max(0, dark + (light - dark) * value / 255))) for value in range(256)]


@lru_cache(maxsize=64)
def _shares(roughness: tuple[float, ...]) -> list[int]:
    """Integer shares of the octaves, in 256ths; their sum stays below 256 so that 16 bits suffice."""
    return [int(255 * share / sum(roughness)) for share in roughness]


def _shaded(colour: Colour, shade: float) -> Colour:
    return tuple(min(255, round(channel * shade)) for channel in colour)
