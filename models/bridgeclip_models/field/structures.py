"""The bridges: an end span with abutment, pier and road, and a box culvert. Dimensions in mm, typical of road bridges.

Every facet names its member (the class of location) or none, if it belongs to the surroundings.
"""

from dataclasses import dataclass, field

import numpy as np

from .details import Bolts, Formwork, Line, Repair, Weld
from .geometry import Facet, Model, cross

_FAR = 60_000.0
_WHITE = (0.62, 0.62, 0.58)


@dataclass
class Structure:
    """A model, and where the camera cannot be."""

    model: Model = field(default_factory=Model)
    solids: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    floor: float = 0.0  # level of the ground

    def solid(self, low, high, material: str, member: str = "", **more) -> None:
        self.solids.append((np.asarray(low, float), np.asarray(high, float)))
        self.model.box(low, high, material, member, **more)

    def is_free(self, eye: np.ndarray) -> bool:
        return eye[2] > self.floor + 250 and not any(
            ((eye > low - 80) & (eye < high + 80)).all() for low, high in self.solids
        )


@dataclass(frozen=True)
class Dimensions:
    """The sizes of an end span."""

    steel: bool
    girders: int
    spacing: float
    depth: float
    overhang: float
    ground: float  # level, negative
    span: float
    slab: float

    @classmethod
    def of(cls, rng: np.random.Generator, steel: bool) -> "Dimensions":
        return cls(
            steel,
            int(rng.integers(3, 6)),
            float(rng.uniform(2000, 2800)),
            float(rng.uniform(1100, 2000) if steel else rng.uniform(900, 1600)),
            float(rng.uniform(700, 1100)),
            -float(rng.uniform(3200, 6000)),
            float(rng.uniform(11_000, 16_000)),
            float(rng.uniform(180, 240)),
        )

    @property
    def lines(self) -> np.ndarray:
        return (np.arange(self.girders) - (self.girders - 1) / 2) * self.spacing

    @property
    def half(self) -> float:
        return float(self.lines[-1] + self.overhang)

    bottom = 260.0  # of the girders, above the seat

    @property
    def top(self) -> float:
        return self.bottom + self.depth

    @property
    def road(self) -> float:
        return self.top + 70 + self.slab


def end_span(rng: np.random.Generator, steel: bool, focus: float) -> Structure:
    """Returns the end of a bridge: x = 0 is the middle of the bearings, the span reaches to positive x.

    `focus` is the x around which small parts are built.
    """
    size = Dimensions.of(rng, steel)
    place = Structure(floor=size.ground)
    coat = "weathering" if steel and rng.random() < 0.2 else "paint"
    _surroundings(place, rng, size)
    _abutment(place, rng, size)
    _pier(place, rng, size)
    (_steel_girders if steel else _concrete_girders)(place, rng, size, coat, focus)
    _deck(place, rng, size)
    _bearings(place, rng, size, coat)
    _road(place, rng, size)
    _fences(place, rng, size, focus)
    _pipes(place, rng, size, focus)
    _unseating(place, rng, size)
    return place


def formwork(rng: np.random.Generator, ties: bool = True) -> tuple:
    """Returns the traces of formwork, and sometimes a repair."""
    wide, high = (float(x) for x in rng.choice([(900, 1800), (1800, 900), (600, 1800), (900, 900), (2400, 1200)]))
    traces: tuple = (Formwork(wide, high, ties and rng.random() < 0.7, float(rng.uniform(20, 400))),)
    if rng.random() < 0.3:
        traces += (Repair(*(float(x) for x in rng.uniform((200, 200, 150, 150), (6000, 2500, 1200, 900)))),)
    return traces


def _surroundings(place: Structure, rng: np.random.Generator, size: Dimensions) -> None:
    model, low = place.model, size.ground
    material = str(rng.choice(("soil", "grass", "gravel", "concrete", "soil")))
    model.floor((-_FAR, _FAR), (-_FAR, _FAR), low, material, tone=90)
    if rng.random() < 0.45:
        start = rng.uniform(2500, 6000)
        model.floor((start, start + size.span + 9000), (-_FAR, _FAR), low + 15, "water")
    for angle in np.arange(0, 2 * np.pi, np.pi / 4):
        if rng.random() < 0.75:
            away = np.array([np.cos(angle), np.sin(angle), 0.0])
            height = rng.uniform(5000, 15_000)
            v = np.array([0, 0, -1.0])
            u = cross(v, -away)
            wide = 48_000
            outline = _treeline(rng, wide, height)
            origin = away * rng.uniform(32_000, 50_000) - u * wide / 2 + np.array([0, 0, low + height])
            model.quad(origin, u, v, (wide, height), "foliage", tone=int(angle * 10), outline=outline)


def _treeline(rng: np.random.Generator, wide: float, height: float) -> tuple[tuple[float, float], ...]:
    x = np.linspace(0, wide, 400)
    y = np.full(400, 0.3)
    for count, amount in ((7, 0.12), (30, 0.06), (120, 0.025), (400, 0.012)):
        y += amount * np.interp(x, np.linspace(0, wide, count), rng.standard_normal(count))
    return (*zip(x.tolist(), np.clip(y * height, 0, height * 0.8).tolist(), strict=True), (wide, height), (0.0, height))


def _abutment(place: Structure, rng: np.random.Generator, size: Dimensions) -> None:
    w, low, more = size.half, size.ground, {"tone": 1}
    place.solid(
        (-1500, -w, low), (330, w, 0), "concrete", "vertical wall", skip="-x-z+z+y-y", details=formwork(rng), **more
    )
    place.model.floor((-520, 330), (-w, w), 0, "concrete", "vertical wall", **more)
    place.solid(
        (-1500, -w, 0),
        (-520, w, size.road - 10),
        "concrete",
        "parapet",
        skip="-x-z+z+y-y",
        details=formwork(rng),
        **more,
    )
    long = rng.uniform(4500, 8000)
    for side in (1, -1):
        _wing(place, rng, size, side, long)
    for side in (1, -1):
        kind = str(rng.choice(("masonry", "concrete", "masonry")))
        down = np.array([0, side * np.cos(0.75), -np.sin(0.75)])
        u = np.array([1.0, 0, 0]) if side < 0 else np.array([-1.0, 0, 0])
        start = np.array([-9000.0 if side < 0 else 300.0, side * (w + 250), low + 3200])
        details = formwork(rng, ties=False) if kind == "concrete" else ()
        place.model.quad(start, u, down, (9300, 4700), kind, "other", tone=2, details=details)
    place.solids.append((np.array([-_FAR, -w - 200, low]), np.array([-500, w + 200, size.road])))


def _wing(place: Structure, rng: np.random.Generator, size: Dimensions, side: int, long: float) -> None:
    w, low = size.half, size.ground
    height = size.road - low
    v = np.array([0, 0, -1.0])
    u = cross(v, np.array([0, side, 0.0]))
    start = np.array([330.0 if u[0] < 0 else -long, side * w, size.road])
    fall = height * rng.uniform(0.35, 0.75)
    near, far = ((0, 0), (long + 330, fall)) if u[0] < 0 else ((0, fall), (long + 330, 0))
    outline = (near, far, (long + 330, height), (0, height))
    place.model.quad(
        start, u, v, (long + 330, height), "concrete", "wing wall", tone=1, outline=outline, details=formwork(rng)
    )


def _pier(place: Structure, rng: np.random.Generator, size: Dimensions) -> None:
    x, w, low = size.span, size.half - 500, size.ground
    details = formwork(rng)
    column = rng.uniform(900, 1500)
    place.solid((x - 750, -w, -1100), (x + 750, w, 0), "concrete", "pier", skip="-z", tone=3, details=details)
    place.model.facets.append(_soffit(x - 750, x + 750, -w, w, -1100, "concrete", "pier", 3, ()))
    place.solid(
        (x - 600, -column, low),
        (x + 600, column, -1100),
        "concrete",
        "pier",
        skip="+z-z",
        tone=3,
        details=details,
    )


def _soffit(
    x0: float, x1: float, y0: float, y1: float, z: float, material: str, member: str, tone: int, details: tuple
) -> Facet:
    """Returns a rectangle that is seen from below."""
    return Facet(
        np.array([x0, y0, z]),
        np.array([0, 1.0, 0]),
        np.array([1.0, 0, 0]),
        (y1 - y0, x1 - x0),
        material,
        member,
        tone,
        details=details,
    )


def _steel_girders(place: Structure, rng: np.random.Generator, size: Dimensions, coat: str, focus: float) -> None:
    thick, flange = 12.0, rng.uniform(340, 480)
    low, high = size.bottom, size.top
    every = rng.uniform(1100, 1700)
    stiff = np.arange(np.floor((focus - 3500) / every), np.ceil((focus + 3500) / every)) * every + 300
    splice = rng.uniform(0.25, 0.75) * size.span if rng.random() < 0.5 else focus + rng.uniform(-1200, 1200)
    for y in size.lines:
        start, end = np.array([-260, y - thick / 2, low]), np.array([size.span - 60, y + thick / 2, high])
        weld = (
            Weld((0, size.span + 200), (high - low - 30, high - low - 30), 10),
            Weld((0, size.span + 200), (24, 24), 10),
        )
        place.solid(start, end, coat, "main girder", skip="+z-z", tone=10, details=weld)
        for z0, z1 in ((low - 26, low), (high, high + 24)):
            place.model.box(
                (-260, y - flange / 2, z0), (size.span - 60, y + flange / 2, z1), coat, "main girder", tone=10
            )
        for x in stiff[(stiff > 0) & (stiff < size.span - 300)]:
            for side in (1, -1):
                reach = sorted((y + side * thick / 2, y + side * 150))
                place.model.box(
                    (x - 6, reach[0], low + 2), (x + 6, reach[1], high - 2), coat, "main girder", skip="+z-z", tone=10
                )
        _splice(place, size, coat, y, splice, flange)
    _cross_frames(place, rng, size, coat, focus)


def _splice(place: Structure, size: Dimensions, coat: str, y: float, x: float, flange: float) -> None:
    """Adds plates with high-strength bolts where a girder is joined."""
    low, high = size.bottom + 70, size.top - 70
    us = tuple(float(u) for u in (45, 115, 185, 295, 365, 435))
    vs = tuple(float(v) for v in np.arange(50, high - low - 30, 75))
    for side in (1, -1):
        ys = sorted((y + side * 6, y + side * 16))
        place.model.box(
            (x - 240, ys[0], low),
            (x + 240, ys[1], high),
            coat,
            "main girder",
            tone=10,
            details=(Bolts(us, vs),) if side else (),
        )
    bottom = _soffit(x - 330, x + 330, y - flange / 2, y + flange / 2, size.bottom - 38, coat, "main girder", 10, ())
    bolts = Bolts(
        tuple(float(u) for u in (45, 115, flange - 115, flange - 45)), tuple(float(v) for v in np.arange(45, 640, 75))
    )
    place.model.facets.append(
        Facet(bottom.origin, bottom.u, bottom.v, bottom.size, coat, "main girder", 10, details=(bolts,))
    )


def _cross_frames(place: Structure, rng: np.random.Generator, size: Dimensions, coat: str, focus: float) -> None:
    full = rng.random() < 0.6
    places = [140.0, *np.arange(focus - 200 + rng.uniform(-400, 400), size.span, 5000)]
    for x in places:
        if abs(x - focus) > 9000:
            continue
        for y0, y1 in zip(size.lines[:-1], size.lines[1:], strict=True):
            low, high = size.bottom + size.depth * 0.2, size.bottom + size.depth * 0.85
            if full:
                _cross_girder(place, coat, x, y0 + 8, y1 - 8, low, high)
            else:
                _cross_bracing(place, coat, x, y0 + 10, y1 - 10, low, high)


def _cross_girder(place: Structure, coat: str, x: float, y0: float, y1: float, low: float, high: float) -> None:
    wide = y1 - y0
    vs = tuple(float(v) for v in np.arange(60, high - low - 40, 75))
    ends = (Bolts((45.0, 115.0, wide - 115, wide - 45), vs),)
    place.solid((x - 5, y0, low), (x + 5, y1, high), coat, "cross girder", skip="+y-y+z-z", tone=10, details=ends)
    for z in (low, high):
        place.model.box((x - 100, y0, z - 8), (x + 100, y1, z + 8), coat, "cross girder", skip="+y-y", tone=10)


def _cross_bracing(place: Structure, coat: str, x: float, y0: float, y1: float, low: float, high: float) -> None:
    """Adds horizontals and diagonals of angle sections, with gusset plates."""
    for z in (low, high):
        place.model.box((x - 45, y0, z - 5), (x + 45, y1, z + 5), coat, "cross girder", skip="+y-y", tone=10)
        place.model.box((x - 5, y0, z), (x + 5, y1, z + 90), coat, "cross girder", skip="+y-y", tone=10)
    middle = (y0 + y1) / 2
    for y in (y0, y1):
        along = np.array([0, middle - y, high - low])
        length = float(np.linalg.norm(along))
        for sign in (1, -1):
            normal = np.array([sign, 0.0, 0.0])
            v = -along / length
            u = cross(v, normal)
            place.model.quad(
                np.array([x + sign * 6, middle, high]) - u * 45, u, v, (90, length), coat, "cross girder", tone=10
            )
    us, vs = (40.0, 110.0, 180.0), (40.0, 110.0)
    for sign in (1, -1):
        normal = np.array([sign, 0.0, 0.0])
        u = cross(np.array([0, 0, -1.0]), normal)
        for y, z in ((y0 + 130, low + 110), (y1 - 130, low + 110), (middle, high - 40)):
            origin = np.array([x + sign * 12, y, z + 120]) - u * 110
            place.model.quad(origin, u, (0, 0, -1), (220, 220), coat, "cross girder", tone=10, details=(Bolts(us, vs),))


def _concrete_girders(place: Structure, rng: np.random.Generator, size: Dimensions, coat: str, focus: float) -> None:
    web, bulb = rng.uniform(180, 260), rng.uniform(420, 620)
    low, high = size.bottom, size.top
    details = (Formwork(float(rng.uniform(2500, 6000)), 4000.0, False, float(rng.uniform(20, 200))),)
    for y in size.lines:
        place.solid(
            (-260, y - bulb / 2, low),
            (size.span - 60, y + bulb / 2, low + 260),
            "concrete",
            "main girder",
            skip="+z",
            tone=11,
            details=details,
        )
        place.solid(
            (-260, y - web / 2, low + 260),
            (size.span - 60, y + web / 2, high + 70),
            "concrete",
            "main girder",
            skip="+z-z",
            tone=11,
            details=details,
        )
        for side in (1, -1):
            v = np.array([0, side * (bulb - web) / 2, -110.0])
            u = cross(v, cross(np.array([1.0, 0, 0]) * (-side), v))
            u = np.array([-float(side), 0, 0])
            origin = np.array([-260.0 if u[0] > 0 else size.span - 60, y + side * web / 2, low + 370])
            place.model.quad(
                origin, u, v, (size.span + 200, float(np.linalg.norm(v))), "concrete", "main girder", tone=11
            )
    for x in (100.0, focus + rng.uniform(-500, 500), focus + 5500):
        for y0, y1 in zip(size.lines[:-1], size.lines[1:], strict=True):
            place.solid(
                (x - 140, y0 + web / 2, low + 300),
                (x + 140, y1 - web / 2, high + 70),
                "concrete",
                "cross girder",
                skip="+y-y+z",
                tone=11,
                details=details,
            )


def _deck(place: Structure, rng: np.random.Generator, size: Dimensions) -> None:
    w, low, high = size.half, size.top + 70, size.road
    details = formwork(rng, ties=False)
    end = size.span + 9000
    bounds = [-w, *size.lines, w]
    for y0, y1 in zip(bounds[:-1], bounds[1:], strict=True):
        place.model.facets.append(_soffit(-460, end, y0, y1, low, "concrete", "deck slab", 12, details))
    place.solids.append((np.array([-460, -w, low]), np.array([end, w, high])))
    for side in (1, -1):
        v = np.array([0, 0, -1.0])
        u = cross(v, np.array([0, side, 0.0]))
        origin = np.array([-460.0 if u[0] > 0 else end, side * w, high + 240])
        place.model.quad(origin, u, v, (end + 460, size.slab + 240), "concrete", "deck slab", tone=12, details=details)


def _bearings(place: Structure, rng: np.random.Generator, size: Dimensions, coat: str) -> None:
    rubber = rng.random() < 0.55
    for y in size.lines:
        place.model.box((-260, y - 330, 0), (260, y + 330, 70), "mortar", "vertical wall", skip="-z", tone=4)
        plate = (Bolts((40.0, 400.0), (40.0, 400.0), 16.0),)
        place.model.box((-230, y - 240, 70), (230, y + 240, 96), coat, "bearing", skip="-z", tone=5, details=plate)
        if rubber:
            place.model.box(
                (-190, y - 200, 96),
                (190, y + 200, 200),
                "rubber",
                "bearing",
                skip="+z-z",
                tone=5,
                details=_layers(380, 104),
            )
        else:
            place.model.box((-110, y - 210, 96), (110, y + 210, 150), coat, "bearing", skip="-z", tone=5)
            place.model.box((-60, y - 230, 150), (60, y + 230, 200), coat, "bearing", skip="+z-z", tone=5)
            for side in (1, -1):
                place.model.box(
                    (-40, y + side * 215 - 25, 96), (40, y + side * 215 + 25, 230), coat, "bearing", skip="-z", tone=5
                )
        place.model.box(
            (-240, y - 250, 200), (240, y + 250, size.bottom - 26), coat, "bearing", skip="+z", tone=5, details=plate
        )


def _layers(wide: float, high: float) -> tuple:
    """Returns the lines along the steel plates within an elastomeric bearing."""
    return tuple(Line((0, wide + 30), (v, v), 5.0, (0.02, 0.02, 0.02), 0.1) for v in np.arange(14, high, 18))


def _road(place: Structure, rng: np.random.Generator, size: Dimensions) -> None:
    model, w, z = place.model, size.half, size.road
    inner = w - 560
    marks = tuple(
        Line((0, 40_000), (v, v), 150.0, _WHITE, float(rng.uniform(0.2, 0.9)))
        for v in (250.0, 2 * inner - 250, inner)
        if rng.random() < 0.8
    )
    gap = float(rng.uniform(240, 420))
    centre = -490.0
    model.floor((centre + gap / 2, size.span + 9000), (-inner, inner), z, "asphalt", "pavement", tone=20, details=marks)
    model.floor((-25_000, centre - gap / 2), (-inner, inner), z, "asphalt", "pavement", tone=21, details=marks)
    model.floor((centre - gap / 2, centre + gap / 2), (-inner, inner), z, "joint", "expansion joint", tone=22)
    curb = float(rng.uniform(150, 280))
    for side in (1, -1):
        ys = sorted((side * inner, side * w))
        details = formwork(rng, ties=False)
        place.solid(
            (-25_000, ys[0], z - 100),
            (size.span + 9000, ys[1], z + curb),
            "concrete",
            "curb",
            skip="+x-x-z" + ("+y" if side > 0 else "-y"),
            tone=23,
            details=details,
        )
        for x in (rng.uniform(500, 3500), rng.uniform(4500, 8000), rng.uniform(8500, 12_000)):
            y = side * (inner - 170)
            model.floor((x, x + 520), (y - 170, y + 170), z + 2, "grate", "drainage facility", tone=24)


def _fences(place: Structure, rng: np.random.Generator, size: Dimensions, focus: float) -> None:
    """Adds a railing on one edge of the bridge and a guardrail on the other."""
    curb = size.road + 200
    order = (1, -1) if rng.random() < 0.5 else (-1, 1)
    _railing(place, rng, order[0] * (size.half - 260), curb, focus)
    _guardrail(place, rng, order[1] * (size.half - 300), curb, focus, -order[1])


def _railing(place: Structure, rng: np.random.Generator, y: float, z: float, focus: float) -> None:
    coat = str(rng.choice(("paint", "galvanised", "paint")))
    xs = np.arange(focus - 5000, focus + 5001, 2000) + rng.uniform(-400, 400)
    base = (Bolts((30.0, 150.0), (30.0, 150.0), 12.0),)
    if rng.random() < 0.2:
        place.solid(
            (focus - 9000, y - 130, z),
            (focus + 9000, y + 130, z + 850),
            "concrete",
            "railing",
            skip="-z",
            tone=30,
            details=formwork(rng, ties=False),
        )
        return
    for x in xs:
        place.model.box(
            (x - 90, y - 90, z), (x + 90, y + 90, z + 16), coat, "railing", skip="-z", tone=30, details=base
        )
        place.model.box((x - 35, y - 45, z + 16), (x + 35, y + 45, z + 950), coat, "railing", skip="-z", tone=30)
    for height in (320, 600, 880):
        place.model.rod((focus - 9000, y, z + height), (focus + 9000, y, z + height), 38, coat, "railing", tone=30)
    if rng.random() < 0.5:
        for x in np.arange(focus - 2600, focus + 2600, 150):
            place.model.rod((x, y, z + 320), (x, y, z + 880), 11, coat, "railing", tone=30)


def _guardrail(place: Structure, rng: np.random.Generator, y: float, z: float, focus: float, inwards: int) -> None:
    coat = "galvanised" if rng.random() < 0.7 else "paint"
    xs = np.arange(focus - 6000, focus + 6001, 2000) + rng.uniform(-400, 400)
    for x in xs:
        place.model.rod((x, y, z - 60), (x, y, z + 700), 57, coat, "guardrail", tone=31)
    front = y + inwards * 75
    normal = np.array([0, inwards, 0.0])
    v = np.array([0, 0, -1.0])
    bolts = tuple(float(abs(x - focus + 9000)) for x in xs)
    for sign in (1, -1):
        u = cross(v, normal * sign)
        start = np.array([focus - 9000.0 if u[0] > 0 else focus + 9000, front + sign * inwards * 2, z + 700])
        us = bolts if u[0] > 0 else tuple(18_000 - b for b in bolts)
        place.model.quad(
            start, u, v, (18_000, 350), coat, "guardrail", tone=31, details=(Waves(350.0), Bolts(us, (175.0,), 14.0))
        )


@dataclass(frozen=True)
class Waves:
    """The two waves of a guardrail beam, 83 mm deep (EN 1317's A profile and JIS alike)."""

    high: float

    def paint(self, canvas, number: int, facet: Facet, rng: np.random.Generator) -> None:
        for patch in canvas.pieces(number):
            canvas.raise_by(
                patch, np.float32(42) * (1 - np.cos(patch.v * np.float32(4 * np.pi / self.high))).astype(np.float32)
            )


def _pipes(place: Structure, rng: np.random.Generator, size: Dimensions, focus: float) -> None:
    """Adds drain pipes at abutment and pier, and cables or a main that hang at a girder."""
    material = str(rng.choice(("plastic", "galvanised", "paint")))
    radius = float(rng.uniform(50, 90))
    for x, y in (
        (330 + radius + 40, rng.uniform(-0.7, 0.7) * size.half),
        (size.span - 600 - radius - 40, rng.uniform(-500, 500)),
    ):
        if x < size.span / 2 or rng.random() < 0.7:
            place.model.rod((x, y, size.ground), (x, y, -60), radius, material, "drainage facility", tone=40)
            for z in np.arange(size.ground + 600, -200, 1500):
                place.model.box(
                    (x - radius - 42, y - radius - 30, z),
                    (x - radius + 20, y + radius + 30, z + 50),
                    "galvanised",
                    "drainage facility",
                    tone=41,
                )
    if rng.random() < 0.6:
        y = float(size.lines[int(rng.integers(1, size.girders))]) - size.spacing / 2
        place.model.rod(
            (-400, y, size.top - 250), (size.span, y, size.top - 330), radius, material, "drainage facility", tone=40
        )
    y = float(rng.choice(size.lines)) + rng.choice((-1, 1)) * (330.0)
    for offset in range(int(rng.integers(1, 4))):
        place.model.rod(
            (-450, y, size.bottom + 420 + 170 * offset),
            (size.span, y, size.bottom + 420 + 170 * offset),
            float(rng.uniform(28, 75)),
            str(rng.choice(("plastic", "galvanised"))),
            "attached equipment",
            tone=42 + offset,
        )
    for x in np.arange(focus - 4500, focus + 4501, 1500):
        place.model.box(
            (x - 25, min(y, y) - 60, size.bottom + 320),
            (x + 25, y + 60, size.bottom + 345),
            "galvanised",
            "attached equipment",
            tone=45,
        )
        place.model.box(
            (x - 25, y + 60, size.bottom + 320), (x + 25, y + 70, size.top), "galvanised", "attached equipment", tone=45
        )


def _unseating(place: Structure, rng: np.random.Generator, size: Dimensions) -> None:
    """Adds restrainers between abutment and girders: cables in brackets, or steel stoppers."""
    cables = rng.random() < 0.6
    member, tone = "unseating prevention system", 50
    for y in size.lines[:-1] + size.spacing / 2:
        z = size.bottom + 0.45 * size.depth
        bolts = (Bolts((50.0, 150.0, 250.0), (50.0, 150.0, 250.0), 18.0),)
        if cables:
            place.model.box(
                (-520, y - 150, z - 150),
                (-490, y + 150, z + 150),
                "galvanised",
                member,
                skip="-x",
                tone=tone,
                details=bolts,
            )
            place.model.rod((-490, y, z), (1300, y, z - 60), 32, "plastic", member, tone=tone + 1)
            place.model.box((-490, y - 60, z - 60), (-380, y + 60, z + 60), "galvanised", member, tone=tone)
        else:
            place.model.box(
                (60, y - 150, 0), (260, y + 150, 330), "galvanised", member, skip="-z", tone=tone, details=bolts
            )


def box_culvert(rng: np.random.Generator) -> Structure:
    """Returns a culvert that is seen from inside; x runs along it."""
    wide, high, long = rng.uniform(2400, 4200), rng.uniform(2300, 3600), rng.uniform(14_000, 24_000)
    place = Structure(floor=-180.0)
    model, half = place.model, wide / 2
    model.facets.append(_soffit(0, long, -half, half, high, "concrete", "top slab", 1, formwork(rng, ties=False)))
    model.floor((0, long), (-half, half), 0, "concrete", "bottom slab", tone=1, details=formwork(rng, ties=False))
    for side in (1, -1):
        v = np.array([0, 0, -1.0])
        u = cross(v, np.array([0, -side, 0.0]))
        origin = np.array([0.0 if u[0] > 0 else long, side * half, high])
        model.quad(origin, u, v, (long, high), "concrete", "side wall", tone=1, details=formwork(rng))
        _haunch(model, side, half, high, long, rng.uniform(150, 300))
        place.solids.append(
            (
                np.array([-1000, min(side * half, side * (half + 3000)), -300]),
                np.array([long + 1000, max(side * half, side * (half + 3000)), high + 2000]),
            )
        )
    place.solids.append((np.array([-1000, -half, high]), np.array([long + 1000, half, high + 3000])))
    _culvert_floor(model, rng, half, long)
    _culvert_ends(model, rng, long)
    return place


def _haunch(model: Model, side: int, half: float, high: float, long: float, leg: float) -> None:
    v = np.array([0, side * leg, -leg])
    u = np.array([float(side), 0, 0])
    origin = np.array([0.0 if u[0] > 0 else long, side * (half - leg), high])
    model.quad(origin, u, v, (long, float(np.linalg.norm(v))), "concrete", "top slab", tone=1)


def _culvert_floor(model: Model, rng: np.random.Generator, half: float, long: float) -> None:
    if rng.random() < 0.5:
        edge = rng.uniform(-0.3, 0.7) * half
        model.floor((0, long), (-half, edge), 6, "water")
    if rng.random() < 0.4:
        wide = rng.uniform(0.2, 0.6) * half
        model.floor((0, long), (half - wide, half), 12, "soil", tone=91)


def _culvert_ends(model: Model, rng: np.random.Generator, long: float) -> None:
    for end, normal in ((long, -1.0), (0.0, 1.0)):
        v = np.array([0, 0, -1.0])
        u = cross(v, np.array([normal, 0, 0]))
        x = end - normal * rng.uniform(4000, 12_000)
        height = rng.uniform(2500, 9000)
        origin = np.array([x, 0, height]) - u * 24_000
        model.quad(
            origin, u, v, (48_000, height + 500), "foliage", tone=92, outline=_treeline(rng, 48_000, height + 500)
        )
    model.floor((long, long + 15_000), (-30_000, 30_000), -20, "soil", tone=90)
    model.floor((-15_000, 0), (-30_000, 30_000), -20, "soil", tone=90)
