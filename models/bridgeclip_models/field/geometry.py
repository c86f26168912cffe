"""Cameras, facets and their projection. World axes in mm: x along the bridge, y across, z up."""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

NEAR = 60.0  # mm; nothing closer to the camera is drawn
UP = np.array([0.0, 0.0, 1.0])


def cross(a, b) -> np.ndarray:
    """Returns the vector product; `np.cross` takes ten times as long for single vectors."""
    return np.array([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


@dataclass(frozen=True)
class Facet:
    """A flat piece of a surface: points origin + a u + b v with 0 <= a <= size[0] and 0 <= b <= size[1].

    The side that u x v points to is seen. On walls v points down.
    """

    origin: np.ndarray
    u: np.ndarray
    v: np.ndarray
    size: tuple[float, float]
    material: str
    member: str  # class of location, or "" for surroundings
    tone: int = 0  # facets of one structure share colour and age
    outline: tuple[tuple[float, float], ...] = ()  # polygon in mm of (a, b), if it is not the whole rectangle
    radius: float = 0.0  # of a cylinder that is seen as this rectangle, a across its axis; 0 is flat
    details: tuple = ()  # what is on it, see `details`

    @cached_property
    def normal(self) -> np.ndarray:
        return cross(self.u, self.v)

    @property
    def centre(self) -> np.ndarray:
        return self.at(self.size[0] / 2, self.size[1] / 2)

    @property
    def area(self) -> float:
        return self.size[0] * self.size[1]

    @cached_property
    def corners(self) -> np.ndarray:
        width, height = self.size
        plane = np.array(self.outline or ((0, 0), (width, 0), (width, height), (0, height)), dtype=float)
        return self.origin + plane[:, :1] * self.u + plane[:, 1:] * self.v

    def at(self, a: float, b: float) -> np.ndarray:
        return self.origin + a * self.u + b * self.v


@dataclass(frozen=True)
class Rod:
    """A cylinder: pipes, rails, bars, cables. It becomes a facet that faces the camera."""

    start: np.ndarray
    end: np.ndarray
    radius: float
    material: str
    member: str
    tone: int = 0
    details: tuple = ()

    def facing(self, eye: np.ndarray) -> Facet:
        axis = self.end - self.start
        length = float(np.linalg.norm(axis))
        v = axis / length
        if v[2] > 0.7:
            v, start = -v, self.end
        else:
            start = self.start
        towards = eye - (self.start + self.end) / 2
        towards = towards - v * (towards @ v)
        normal = towards / max(np.linalg.norm(towards), 1e-9)
        u = cross(v, normal)
        return Facet(
            start - u * self.radius,
            u,
            v,
            (2 * self.radius, length),
            self.material,
            self.member,
            self.tone,
            radius=self.radius,
            details=self.details,
        )


@dataclass
class Model:
    """What a scene consists of, before a camera looks at it."""

    facets: list[Facet] = field(default_factory=list)
    rods: list[Rod] = field(default_factory=list)

    def quad(self, origin, u, v, size, material: str, member: str = "", **more) -> Facet:
        facet = Facet(
            np.asarray(origin, float), _unit(u), _unit(v), (float(size[0]), float(size[1])), material, member, **more
        )
        self.facets.append(facet)
        return facet

    def floor(
        self, x: tuple[float, float], y: tuple[float, float], z: float, material: str, member: str = "", **more
    ) -> Facet:
        """Adds a horizontal rectangle that is seen from above."""
        return self.quad((x[0], y[0], z), (1, 0, 0), (0, 1, 0), (x[1] - x[0], y[1] - y[0]), material, member, **more)

    def box(self, low, high, material: str, member: str = "", skip: str = "", **more) -> None:
        """Adds a box by two opposite corners. `skip` names faces that nobody can see, such as "+z-z"."""
        low, high = np.asarray(low, float), np.asarray(high, float)
        for axis, name in enumerate("xyz"):
            for sign in (1, -1):
                if f"{'+' if sign > 0 else '-'}{name}" not in skip:
                    self.facets.append(_face(low, high, axis, sign, material, member, more))

    def rod(self, start, end, radius: float, material: str, member: str = "", **more) -> None:
        self.rods.append(Rod(np.asarray(start, float), np.asarray(end, float), radius, material, member, **more))

    def seen_from(self, eye: np.ndarray) -> list[Facet]:
        """Returns the facets whose seen side is turned to a point, rods included."""
        facing = [facet for facet in self.facets if (eye - facet.origin) @ facet.normal > 1.0]
        return facing + [rod.facing(eye) for rod in self.rods]


def _unit(vector) -> np.ndarray:
    vector = np.asarray(vector, float)
    return vector / np.linalg.norm(vector)


def _face(low: np.ndarray, high: np.ndarray, axis: int, sign: int, material: str, member: str, more: dict) -> Facet:
    normal = np.zeros(3)
    normal[axis] = sign
    v = -UP if axis < 2 else np.array([0.0, 1.0, 0.0])
    u = cross(v, normal)
    extent = high - low
    origin = np.where(u + v < 0, high, low)  # the corner from which u and v lead over the face
    origin[axis] = high[axis] if sign > 0 else low[axis]
    return Facet(origin, u, v, (float(abs(extent @ u)), float(abs(extent @ v))), material, member, **more)


@dataclass(frozen=True)
class Camera:
    """A pinhole camera. `focal` is in px, `size` is (width, height) in px."""

    eye: np.ndarray
    right: np.ndarray
    down: np.ndarray
    forward: np.ndarray
    focal: float
    size: tuple[int, int]

    @classmethod
    def looking(cls, eye: np.ndarray, at: np.ndarray, roll: float, focal: float, size: tuple[int, int]) -> "Camera":
        forward = _unit(at - eye)
        side = cross(forward, UP)
        if np.linalg.norm(side) < 0.05:  # straight up or down: the picture's top points along the bridge
            side = cross(forward, np.array([1.0, 0.0, 0.0]))
        right = _unit(side)
        down = cross(forward, right)
        right, down = right * np.cos(roll) + down * np.sin(roll), down * np.cos(roll) - right * np.sin(roll)
        return cls(eye, right, down, forward, focal, size)

    def resized(self, width: int, height: int) -> "Camera":
        return replace(self, focal=self.focal * width / self.size[0], size=(width, height))

    @property
    def centre(self) -> tuple[float, float]:
        return (self.size[0] - 1) / 2, (self.size[1] - 1) / 2

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns x, y in px and the depth in mm of world points [n, 3]."""
        relative = points - self.eye
        depth = relative @ self.forward
        safe = np.maximum(depth, 1e-6)
        x = relative @ self.right / safe * self.focal + self.centre[0]
        y = relative @ self.down / safe * self.focal + self.centre[1]
        return x, y, depth

    def directions(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Returns rays through pixels, [..., 3], of depth 1."""
        a = (np.asarray(x)[..., None] - self.centre[0]) / self.focal
        b = (np.asarray(y)[..., None] - self.centre[1]) / self.focal
        return a * self.right + b * self.down + self.forward


@dataclass(frozen=True)
class Projection:
    """A facet as a camera sees it. The inverse depth is linear in x and y; u and v are quotients of such functions."""

    facet: Facet
    inverse: np.ndarray  # [3]: of 1, x, y; 1/mm
    u: np.ndarray  # [3]: numerator
    v: np.ndarray
    box: tuple[int, int, int, int]  # rows from, to, columns from, to
    polygon: list[tuple[float, float]]  # px

    @classmethod
    def of(cls, facet: Facet, camera: Camera) -> "Projection | None":
        """Returns None for a facet that the camera cannot see."""
        polygon = _in_front(facet.corners, camera)
        if polygon is None:
            return None
        x, y, _ = camera.project(polygon)
        width, height = camera.size
        left, right = max(0, int(np.floor(x.min()))), min(width, int(np.ceil(x.max())) + 1)
        top, bottom = max(0, int(np.floor(y.min()))), min(height, int(np.ceil(y.max())) + 1)
        if left >= right or top >= bottom:
            return None
        normal = facet.normal
        distance = normal @ (facet.origin - camera.eye)
        if abs(distance) < 1e-6:
            return None
        inverse = _linear(normal, camera) / distance
        offset = camera.eye - facet.origin
        u = (offset @ facet.u) * inverse + _linear(facet.u, camera)
        v = (offset @ facet.v) * inverse + _linear(facet.v, camera)
        return cls(facet, inverse, u, v, (top, bottom, left, right), list(zip(x.tolist(), y.tolist(), strict=True)))

    def jacobian(self, x: float, y: float) -> np.ndarray:
        """Returns d(u, v)/d(x, y) at a pixel, in mm a px."""
        at = np.array([1.0, x, y])
        depth = self.inverse @ at
        rows = [(line[1:] * depth - (line @ at) * self.inverse[1:]) / depth**2 for line in (self.u, self.v)]
        return np.array(rows)

    def pixels(self, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns x and y in px of points on the facet."""
        a1, b1, c1 = (self.u[i] - u * self.inverse[i] for i in range(3))
        a2, b2, c2 = (self.v[i] - v * self.inverse[i] for i in range(3))
        determinant = b1 * c2 - b2 * c1
        determinant = np.where(np.abs(determinant) < 1e-12, 1e-12, determinant)
        return (c1 * a2 - c2 * a1) / determinant, (a1 * b2 - a2 * b1) / determinant


def _linear(direction: np.ndarray, camera: Camera) -> np.ndarray:
    """Returns the coefficients of 1, x, y of direction . ray."""
    across, along = camera.right @ direction / camera.focal, camera.down @ direction / camera.focal
    return np.array([camera.forward @ direction - across * camera.centre[0] - along * camera.centre[1], across, along])


def _in_front(corners: np.ndarray, camera: Camera) -> np.ndarray | None:
    """Returns the part of a polygon in front of the camera, or None."""
    depth = (corners - camera.eye) @ camera.forward - NEAR
    if (depth <= 0).all():
        return None
    if (depth > 0).all():
        return corners
    kept = []
    for index in range(len(corners)):
        after = (index + 1) % len(corners)
        if depth[index] > 0:
            kept.append(corners[index])
        if (depth[index] > 0) != (depth[after] > 0):
            share = depth[index] / (depth[index] - depth[after])
            kept.append(corners[index] + share * (corners[after] - corners[index]))
    return np.array(kept)
