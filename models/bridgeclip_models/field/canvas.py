"""The picture before light: for each pixel the facet it shows, that facet's albedo, and the height of its relief."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image, ImageDraw

from .geometry import Camera, Facet, Projection
from .noise import cells, fractal

_PIECE = 384  # px; the largest side of the rectangles in which large facets are painted
MARK_MIN = 0.12  # change of a pixel, as a share, that makes it part of a damage's mask
_INVERSE_MIN = np.float32(1e-7)  # 1/mm; pixels beyond a facet's horizon count as 10 km away
SKY = -1  # facet number of pixels that show none


@dataclass
class Patch:
    """A rectangle of pixels, as places on one facet."""

    projection: Projection
    box: tuple[int, int, int, int]  # rows from, to, columns from, to
    shown: np.ndarray  # bool [rows, columns]: the facet is what this pixel shows

    @property
    def shape(self) -> tuple[int, int]:
        return self.box[1] - self.box[0], self.box[3] - self.box[2]

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.box[0], self.box[1]), slice(self.box[2], self.box[3])

    @cached_property
    def pitch(self) -> float:
        """Millimetres a pixel in the middle of what is shown: the geometric mean of both directions."""
        rows, columns = np.nonzero(self.shown[::8, ::8])
        if len(rows):
            y, x = self.box[0] + 8 * rows.mean(), self.box[2] + 8 * columns.mean()
        else:
            y, x = (self.box[0] + self.box[1]) / 2, (self.box[2] + self.box[3]) / 2
        return float(np.sqrt(abs(np.linalg.det(self.projection.jacobian(x, y)))) + 1e-6)

    @cached_property
    def depth(self) -> np.ndarray:
        return 1 / np.maximum(self.linear(self.projection.inverse, 0), _INVERSE_MIN)

    @cached_property
    def u(self) -> np.ndarray:
        return self._across(self.linear(self.projection.u, 0) * self.depth)

    @cached_property
    def v(self) -> np.ndarray:
        return self.linear(self.projection.v, 0) * self.depth

    def sparse(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns u and v at the centres of the squares of `noise.cells`."""
        depth = 1 / np.maximum(self.linear(self.projection.inverse, step), _INVERSE_MIN)
        return self._across(self.linear(self.projection.u, step) * depth), self.linear(self.projection.v, step) * depth

    def noise(
        self, rng: np.random.Generator, longest: float, shortest: float, roughness: float = 0.6, stretch: float = 1.0
    ) -> np.ndarray:
        return fractal(self, rng, longest, shortest, roughness, stretch)

    def _across(self, u: np.ndarray) -> np.ndarray:
        """Returns u; on a cylinder, the length of the arc."""
        radius = np.float32(self.projection.facet.radius)
        return np.arcsin(np.clip(u / radius - 1, -1, 1)) * radius + radius if radius else u

    def linear(self, coefficients: np.ndarray, step: int) -> np.ndarray:
        """Returns constant + across x + along y at every pixel (step 0) or at `cells`."""
        top, bottom, left, right = self.box
        y, x = cells(self.box, step) if step else (np.arange(top, bottom), np.arange(left, right))
        constant, across, along = coefficients
        return (constant + along * y).astype(np.float32)[:, None] + (across * x).astype(np.float32)[None, :]


class Canvas:
    """Facet numbers `ids` [height, width], `albedo` [3, height, width] (linear reflectance) and `height` in mm."""

    def __init__(self, camera: Camera, facets: list[Facet]) -> None:
        self.camera = camera
        width, height = camera.size
        self.ids = np.full((height, width), SKY, np.int16)
        self.projections = [Projection.of(facet, camera) for facet in facets]
        self._find_visible()
        self.albedo = np.zeros((3, height, width), np.float32)
        self.height = np.zeros((height, width), np.float32)
        self.marked: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, int]:
        return self.ids.shape

    @cached_property
    def visible(self) -> list[int]:
        """The numbers of the facets that at least one pixel shows."""
        return np.flatnonzero(np.bincount(self.ids.ravel() + 1)[1:]).tolist()

    def patch(self, number: int, box: tuple[int, int, int, int] | None = None) -> Patch | None:
        """Returns the pixels of a facet, within a box if one is given; None if there are none."""
        projection = self.projections[number]
        if projection is None:
            return None
        box = _overlap(projection.box, box) if box else projection.box
        if box is None:
            return None
        shown = self.ids[box[0] : box[1], box[2] : box[3]] == number
        rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
        if not len(rows):
            return None
        tight = (
            box[0] + int(rows[0]),
            box[0] + int(rows[-1]) + 1,
            box[2] + int(columns[0]),
            box[2] + int(columns[-1]) + 1,
        )
        return Patch(projection, tight, shown[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])

    def pieces(self, number: int) -> list[Patch]:
        """Returns a facet's pixels in rectangles that fit into the processor's cache and leave out what is hidden."""
        projection = self.projections[number]
        if projection is None:
            return []
        top, bottom, left, right = projection.box
        whole = Patch(projection, projection.box, self.ids[top:bottom, left:right] == number)
        found = []
        for row in range(top - top % _PIECE, bottom, _PIECE):
            for column in range(left - left % _PIECE, right, _PIECE):
                patch = self.patch(number, (row, row + _PIECE, column, column + _PIECE))
                if patch is not None:
                    patch.__dict__["pitch"] = whole.pitch
                    found.append(patch)
        return found

    def around(self, number: int, u: np.ndarray, v: np.ndarray) -> Patch | None:
        """Returns the part of a facet that lies within the bounds of some of its points."""
        us, vs = np.meshgrid((np.min(u), np.max(u)), (np.min(v), np.max(v)))
        projection = self.projections[number]
        if projection is None:
            return None
        corners = (
            projection.facet.origin
            + self.flat(number, us.ravel())[:, None] * projection.facet.u
            + vs.ravel()[:, None] * projection.facet.v
        )
        x, y, depth = self.camera.project(corners)
        if (depth < 1).any():
            return self.patch(number)
        big = 1 << 20
        box = [int(np.clip(value, -big, big)) for value in (y.min(), y.max() + 2, x.min(), x.max() + 2)]
        return self.patch(number, (box[0], box[1], box[2], box[3]))

    def flat(self, number: int, u: np.ndarray) -> np.ndarray:
        """Returns where u, which is an arc on cylinders, is across the rectangle."""
        radius = self.projections[number].facet.radius
        return (
            (np.sin(np.clip((u - radius) / radius, -np.pi / 2, np.pi / 2)) + 1) * radius
            if radius
            else np.asarray(u, float)
        )

    def paint(self, patch: Patch, alpha: np.ndarray, colour) -> None:
        """Blends a colour (three numbers or three fields) over the facet's pixels of a patch."""
        alpha = alpha * patch.shown
        self._mark(patch, alpha)
        for channel in range(3):
            view = self.albedo[channel][patch.slices]
            view += alpha * (colour[channel] - view)

    def scale(self, patch: Patch, factor: np.ndarray) -> None:
        """Multiplies the albedo of the facet's pixels."""
        factor = (factor - 1) * patch.shown + 1
        self._mark(patch, np.abs(factor - 1) if self.marked is not None else None)
        for channel in range(3):
            self.albedo[channel][patch.slices] *= factor

    def raise_by(self, patch: Patch, height: np.ndarray) -> None:
        height = height * patch.shown
        self._mark(patch, np.abs(height) * np.float32(0.5 / patch.pitch) if self.marked is not None else None)
        self.height[patch.slices] += height

    def raise_at(self, index: np.ndarray, height: np.ndarray) -> None:
        self._mark_at(index, np.minimum(np.abs(height), 1) * 0.5)
        np.add.at(self.height.reshape(-1), index, height.astype(np.float32))

    def paint_at(self, index: np.ndarray, alpha: np.ndarray, colour) -> None:
        """Blends a colour over single pixels, given by their flat index."""
        self._mark_at(index, alpha)
        for channel in range(3):
            flat = self.albedo[channel].reshape(-1)
            flat[index] += alpha * (colour[channel] - flat[index])

    def begin_mark(self) -> None:
        """From here to `end_mark`, notes which pixels are changed."""
        self.marked = np.zeros(self.shape, np.float32)

    def end_mark(self) -> np.ndarray:
        """Returns the pixels that were changed visibly since `begin_mark`: bool [height, width]."""
        mask = self.marked > MARK_MIN
        self.marked = None
        return mask

    def _mark(self, patch: Patch, alpha: np.ndarray | None) -> None:
        if self.marked is not None:
            view = self.marked[patch.slices]
            np.maximum(view, alpha, out=view)

    def _mark_at(self, index: np.ndarray, alpha: np.ndarray) -> None:
        if self.marked is not None:
            np.maximum.at(self.marked.reshape(-1), index, alpha.astype(np.float32))

    def _find_visible(self) -> None:
        nearest = np.zeros(self.shape, np.float32)
        order = sorted((n for n, p in enumerate(self.projections) if p), key=lambda n: -self._nearness(n))
        for number in order:
            projection = self.projections[number]
            top, bottom, left, right = projection.box
            mask = Image.new("1", (right - left, bottom - top))
            ImageDraw.Draw(mask).polygon([(x - left, y - top) for x, y in projection.polygon], fill=1)
            patch = Patch(projection, projection.box, np.asarray(mask))
            inverse = patch.linear(projection.inverse, 0)
            view = nearest[top:bottom, left:right]
            wins = patch.shown & (inverse > view)
            np.maximum(view, inverse * patch.shown, out=view)
            self.ids[top:bottom, left:right] += wins * (np.int16(number) - self.ids[top:bottom, left:right])

    def _nearness(self, number: int) -> float:
        x, y = np.array(self.projections[number].polygon).mean(axis=0)
        return float(self.projections[number].inverse @ (1, x, y))


def _overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> tuple[int, int, int, int] | None:
    top, bottom, left, right = max(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), min(a[3], b[3])
    return (top, bottom, left, right) if top < bottom and left < right else None
