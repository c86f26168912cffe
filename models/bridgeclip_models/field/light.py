"""Light on the facets: sky and ground by ambient occlusion, the sun with cast shadows, and the inspector's flash.

Irradiance is in units of that of an open horizontal surface under the sky, without the sun.
"""

from dataclasses import dataclass

import numpy as np

from .canvas import SKY, Canvas, Patch
from .geometry import Facet
from .materials import mean_albedo
from .noise import bilinear, cells, coarse_tile, enlarged

_RAYS = 32  # directions per point for sky and ground
_CELLS = 64  # cells of the ambient light along the picture's width; fewer in small pictures
_PX_PER_CELL_MIN = 12
_OCCLUDERS = 40  # the largest facets; smaller ones cast no shadow
_SHADOW_STEP = 1 / 500  # of the picture's width, at least 2 px
_POINTS_AT_ONCE = 1500
_SLOPE_MAX = 1.6  # of relief that light still follows


@dataclass(frozen=True)
class Light:
    """The weather of a scene. Colours are linear RGB factors."""

    sun: np.ndarray  # unit vector towards the sun
    sun_strength: float  # irradiance across its direction; 0 under clouds
    sun_colour: np.ndarray
    sky_colour: np.ndarray
    ground_colour: np.ndarray
    flash: float  # irradiance at 1 m from the camera

    @classmethod
    def of(cls, rng: np.random.Generator, under_cover: bool) -> "Light":
        clear = rng.random() < 0.55
        azimuth, elevation = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(22, 68))
        sun = np.array([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)])
        warm = rng.uniform(0.0, 0.12)
        blue = rng.uniform(0.03, 0.16) if clear else rng.uniform(-0.02, 0.05)
        green = rng.uniform(0.0, 0.06)
        return cls(
            sun,
            rng.uniform(2.2, 4.2) if clear else 0.0,
            np.array([1 + warm, 1.0, 1 - 1.2 * warm]),
            np.array([1 - blue, 1.0, 1 + 1.1 * blue]),
            np.array([1.03, 1.0 + 0.5 * green, 0.93]),
            float(rng.uniform(0.15, 0.8)) if under_cover and rng.random() < 0.35 else 0.0,
        )


def lit(canvas: Canvas, facets: list[Facet], light: Light, sky: np.ndarray) -> np.ndarray:
    """Returns linear radiance [3, height, width]: albedo times irradiance on the facets, and the sky elsewhere."""
    picture = np.empty_like(canvas.albedo)
    np.copyto(picture, sky)
    patches = [patch for number in canvas.visible for patch in canvas.pieces(number)]
    scene = _Scene(facets, light)
    ambient = _ambient(patches, scene, max(_PX_PER_CELL_MIN, canvas.shape[1] // _CELLS))
    sun = (
        _sunlit(patches, scene, max(2, int(canvas.shape[1] * _SHADOW_STEP)))
        if light.sun_strength
        else [None] * len(patches)
    )
    dx, dy = _relief(canvas)
    for patch, around, shadow in zip(patches, ambient, sun, strict=True):
        _light_facet(canvas, patch, light, around, shadow, dx, dy, picture)
    return picture


class _Scene:
    """The facets that hide light from others, and what they reflect."""

    def __init__(self, facets: list[Facet], light: Light) -> None:
        self.light = light
        chosen = sorted(range(len(facets)), key=lambda n: -facets[n].area)[:_OCCLUDERS]
        self.occluders = [facets[n] for n in chosen]
        self.radiance = np.array([self._reflected(facet) for facet in self.occluders], np.float32)

    def _reflected(self, facet: Facet) -> float:
        upwards = 0.5 + 0.5 * facet.normal[2]
        sun = self.light.sun_strength * max(0.0, float(facet.normal @ self.light.sun))
        return float(mean_albedo(facet) * (0.16 + 0.34 * upwards + 0.3 * sun))


def _relief(canvas: Canvas) -> tuple[np.ndarray, np.ndarray]:
    """Returns the differences of height to the next pixel, right and below, in mm; 0 across borders of facets."""
    dx, dy = np.zeros_like(canvas.height), np.zeros_like(canvas.height)
    dx[:, :-1] = (canvas.height[:, 1:] - canvas.height[:, :-1]) * (canvas.ids[:, 1:] == canvas.ids[:, :-1])
    dy[:-1] = (canvas.height[1:] - canvas.height[:-1]) * (canvas.ids[1:] == canvas.ids[:-1])
    return dx, dy


def _light_facet(
    canvas: Canvas, patch: Patch, light: Light, around, shadow, dx: np.ndarray, dy: np.ndarray, picture: np.ndarray
) -> None:
    """Writes the radiance of one patch: `around` are its `_ambient` fields, `shadow` is where the sun reaches it."""
    sky, ground, along_u, along_v = (enlarged(field, around[0], patch.box) for field in around[1])
    slope_u, slope_v, length = _slopes(patch, dx[patch.slices], dy[patch.slices])
    ambient = 1 - np.clip((slope_u * along_u + slope_v * along_v) / (sky + ground + 0.02), -0.9, 0.9)
    ambient *= length
    sky, ground = sky * ambient, ground * ambient
    direct = None if shadow is None else _direct(patch, light, shadow, slope_u, slope_v) * length
    flash = _flash(patch, canvas) * light.flash * length if light.flash else None
    for channel in range(3):
        total = sky * np.float32(light.sky_colour[channel]) + ground * np.float32(light.ground_colour[channel])
        if direct is not None:
            total += direct * np.float32(light.sun_colour[channel])
        if flash is not None:
            total += flash
        view = picture[channel][patch.slices]
        total *= canvas.albedo[channel][patch.slices]
        view += patch.shown * (total - view)


def _slopes(patch: Patch, dx: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the relief's slopes along u and v, and the factor that shortens the normal to length 1."""
    y, x = (patch.box[0] + patch.box[1]) / 2, (patch.box[2] + patch.box[3]) / 2
    inverse_jacobian = np.linalg.inv(patch.projection.jacobian(x, y))  # px per mm
    growth = patch.linear(patch.projection.inverse / (patch.projection.inverse @ (1, x, y)), 0)
    slope_u = (dx * np.float32(inverse_jacobian[0, 0]) + dy * np.float32(inverse_jacobian[1, 0])) * growth
    slope_v = (dx * np.float32(inverse_jacobian[0, 1]) + dy * np.float32(inverse_jacobian[1, 1])) * growth
    np.clip(slope_u, -_SLOPE_MAX, _SLOPE_MAX, out=slope_u)
    np.clip(slope_v, -_SLOPE_MAX, _SLOPE_MAX, out=slope_v)
    return slope_u, slope_v, 1 / np.sqrt(1 + slope_u * slope_u + slope_v * slope_v)


def _ambient(patches: list[Patch], scene: _Scene, cell: int) -> list[tuple[int, tuple[np.ndarray, ...]]]:
    """Returns for each patch the step in px of its grid, and on it the irradiance from the sky, that from other facets,
    and the direction of both along u and v."""
    grids = [_points(patch, cell) for patch in patches]
    owner = np.repeat(np.arange(len(grids)), [len(points) for points, _ in grids])
    points = np.concatenate([points for points, _ in grids])
    local = _hemisphere()
    rays = np.stack(
        [local @ np.stack([f.u, f.v, f.normal]).astype(np.float32) for f in (p.projection.facet for p in patches)]
    )
    slopes = local[:, :2] / np.maximum(local[:, 2:], 0.3)
    parts = []
    for start in range(0, len(points), _POINTS_AT_ONCE):
        some = owner[start : start + _POINTS_AT_ONCE]
        radiance, from_sky = _hit(points[start : start + _POINTS_AT_ONCE], rays, some, scene)
        radiance /= _RAYS
        parts.append(
            np.stack([(radiance * from_sky).sum(axis=1), (radiance * ~from_sky).sum(axis=1), *(radiance @ slopes).T])
        )
    fields = np.concatenate(parts, axis=1)
    ends = np.cumsum([len(points) for points, _ in grids])[:-1]
    each = np.split(fields, ends, axis=1)
    return [
        (cell, tuple(_smoothed(row.reshape(shape)) for row in rows))
        for rows, (_, shape) in zip(each, grids, strict=True)
    ]


def _points(patch: Patch, step: int) -> tuple[np.ndarray, tuple[int, int]]:
    projection = patch.projection
    depth = 1 / np.maximum(patch.linear(projection.inverse, step), np.float32(1e-7))
    u, v = patch.linear(projection.u, step) * depth, patch.linear(projection.v, step) * depth
    width, height = projection.facet.size
    u, v = np.clip(u, 0, width), np.clip(v, 0, height)
    facet = projection.facet
    points = facet.origin + facet.normal * 3 + u.reshape(-1, 1) * facet.u + v.reshape(-1, 1) * facet.v
    return points.astype(np.float32), depth.shape


def _hemisphere() -> np.ndarray:
    """Returns directions over a facet in its own axes, denser around the normal (by the cosine)."""
    index = np.arange(_RAYS) + 0.5
    radius, angle = np.sqrt(index / _RAYS), np.pi * (1 + 5**0.5) * index
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), np.sqrt(1 - radius**2)], axis=1).astype(np.float32)


def _hit(points: np.ndarray, rays: np.ndarray, owner: np.ndarray, scene: _Scene) -> tuple[np.ndarray, np.ndarray]:
    """Returns the radiance that meets each point from each direction, and whether it is the sky's: [points, rays].

    `rays` [patches, rays, 3] has the directions of each patch, `owner` the patch of each point.
    """
    first, last = int(owner[0]), int(owner[-1]) + 1
    rays, owner = rays[first:last], owner - first
    upwards = rays[..., 2][owner]
    nearest = np.full(upwards.shape, np.inf, np.float32)
    from_sky = upwards > -0.02
    radiance = np.where(from_sky, 0.8 + 0.4 * np.clip(upwards, 0, 1), np.float32(0.12))
    for facet, reflected in zip(scene.occluders, scene.radiance, strict=True):
        distance, hit = _meets(points, rays, owner, facet)
        hit &= distance < nearest
        np.copyto(nearest, distance, where=hit)
        np.copyto(radiance, reflected, where=hit)
        from_sky &= ~hit
    return radiance, from_sky


def _meets(
    points: np.ndarray, rays: np.ndarray, owner: np.ndarray | None, facet: Facet
) -> tuple[np.ndarray, np.ndarray]:
    """Returns distances along rays to a facet, and whether they hit it: [points, rays].

    Without `owner`, all points have the same rays [1, rays, 3].
    """
    axes = np.stack([facet.u, facet.v, facet.normal], axis=1).astype(np.float32)
    across, along, towards = (np.ascontiguousarray(part) for part in np.moveaxis(rays @ axes, -1, 0))
    towards = np.where(np.abs(towards) < 1e-5, np.float32(1e-5), towards)
    across, along, inverse = across / towards, along / towards, -1 / towards
    if owner is not None:
        across, along, inverse = across[owner], along[owner], inverse[owner]
    origin = (points - facet.origin.astype(np.float32)) @ axes
    height = origin[:, 2:]
    a, b = origin[:, :1] - height * across, origin[:, 1:2] - height * along
    distance = height * inverse
    width, length = np.float32(facet.size[0]), np.float32(facet.size[1])
    return distance, (distance > 2) & (a >= 0) & (a <= width) & (b >= 0) & (b <= length)


def _sunlit(patches: list[Patch], scene: _Scene, step: int) -> list[tuple[int, np.ndarray] | None]:
    """Returns for each patch that faces the sun the step of its grid, and 1 where the sun reaches it."""
    sun = scene.light.sun.astype(np.float32)
    facing = [patch.projection.facet.normal @ sun > 0.01 or patch.projection.facet.radius > 0 for patch in patches]
    grids = [_points(patch, step) if face else None for patch, face in zip(patches, facing, strict=True)]
    if not any(facing):
        return [None] * len(patches)
    points = np.concatenate([grid[0] for grid in grids if grid])
    lit = np.ones(len(points), np.float32)
    for occluder in scene.occluders:
        if abs(occluder.normal @ sun) > 1e-3:
            lit *= ~_meets(points, sun[None, None, :], None, occluder)[1][:, 0]
    parts = iter(np.split(lit, np.cumsum([len(grid[0]) for grid in grids if grid])[:-1]))
    return [(step, next(parts).reshape(grid[1])) if grid else None for grid in grids]


def _direct(
    patch: Patch, light: Light, shadow: tuple[int, np.ndarray], slope_u: np.ndarray, slope_v: np.ndarray
) -> np.ndarray:
    """Returns the sun's irradiance at each pixel of a facet."""
    facet = patch.projection.facet
    tilt = slope_u * np.float32(facet.u @ light.sun) + slope_v * np.float32(facet.v @ light.sun)
    direct = np.maximum(np.float32(facet.normal @ light.sun) - tilt, 0) * np.float32(light.sun_strength)
    return direct * enlarged(shadow[1], shadow[0], patch.box)


def _flash(patch: Patch, canvas: Canvas) -> np.ndarray:
    """Returns the irradiance of a flash beside the lens, for 1 at 1 m."""
    step = 16
    points, shape = _points(patch, step)
    towards = canvas.camera.eye - points
    distance = np.linalg.norm(towards, axis=1)
    facing = np.clip(towards @ patch.projection.facet.normal / distance, 0, 1)
    return enlarged(
        (facing * (1000 / np.maximum(distance, 300)) ** 2).reshape(shape).astype(np.float32), step, patch.box
    )


def _smoothed(field: np.ndarray) -> np.ndarray:
    """Returns a small field with its steps from single rays softened (1 2 1 in both directions)."""
    padded = np.pad(field, 1, mode="edge")
    rows = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    return (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 4


def sky_background(canvas: Canvas, rng: np.random.Generator, light: Light) -> np.ndarray:
    """Returns the radiance of the sky at every pixel, [3, height, width]: brighter at the horizon, with clouds."""
    height, width = canvas.shape
    if not (canvas.ids == SKY).any():
        return np.zeros((3, 1, 1), np.float32)
    step, box = max(4, width // 160), (0, height, 0, width)
    y, x = np.meshgrid(*cells(box, step), indexing="ij")
    rays = canvas.camera.directions(x, y)
    up = rays[..., 2] / np.linalg.norm(rays, axis=-1)
    clouds = _clouds(rng, x / width, y / width)
    cover = 1.0 if not light.sun_strength else rng.uniform(0.0, 0.6)
    amount = np.clip(clouds * 0.5 + cover, 0, 1)
    clear = np.stack([0.35 + 0.45 * (1 - up) ** 3, 0.55 + 0.4 * (1 - up) ** 3, 1.05 + 0.1 * (1 - up)])
    grey = (0.95 + 0.18 * clouds) * (1.1 + 0.3 * (light.sun_strength > 0))
    picture = clear * (1 - amount) + amount * grey * np.array([1.0, 1.01, 1.03])[:, None, None]
    return np.stack([enlarged(channel, step, box) for channel in picture])


def _clouds(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns clouds at places in widths of the picture, deviation about 1."""
    total = np.zeros(x.shape)
    for octave in range(4):
        place = rng.uniform(0, 256, 2)
        total += 0.6**octave * bilinear(coarse_tile(), x * 12 * 2**octave + place[0], y * 30 * 2**octave + place[1])
    return total
