"""Materials: colour, stains and relief of undamaged surfaces. Albedo is linear reflectance, relief is in mm.

Reflectances: concrete 0.2 to 0.4 with age, asphalt 0.05 to 0.12, soil and foliage 0.03 to 0.2, galvanised steel 0.3.
"""

import zlib
from collections.abc import Callable
from functools import cache

import numpy as np

from .canvas import Canvas, Patch
from .geometry import Facet

Painter = Callable[
    [Canvas, Patch, np.random.Generator, np.random.Generator], None
]  # generators: of the facet, of its tone

CONCRETE, STEEL, GROUND = "concrete", "steel", "ground"

# Paints of steel bridges: greens, blues, creams, greys, browns and reds, as linear RGB.
PAINTS = (
    (0.16, 0.27, 0.20),
    (0.24, 0.36, 0.33),
    (0.20, 0.32, 0.42),
    (0.42, 0.45, 0.40),
    (0.36, 0.36, 0.35),
    (0.48, 0.44, 0.34),
    (0.23, 0.13, 0.09),
    (0.33, 0.09, 0.06),
    (0.12, 0.20, 0.29),
    (0.55, 0.54, 0.50),
    (0.30, 0.40, 0.46),
)

_MEAN = {
    "concrete": 0.28,
    "mortar": 0.36,
    "paint": 0.3,
    "weathering": 0.06,
    "galvanised": 0.32,
    "rubber": 0.05,
    "asphalt": 0.08,
    "soil": 0.14,
    "gravel": 0.2,
    "grass": 0.1,
    "foliage": 0.07,
    "water": 0.06,
    "masonry": 0.22,
    "joint": 0.15,
    "grate": 0.1,
    "void": 0.02,
    "plastic": 0.35,
}
FAMILY = {
    "concrete": CONCRETE,
    "mortar": CONCRETE,
    "masonry": CONCRETE,
    "paint": STEEL,
    "weathering": STEEL,
    "galvanised": STEEL,
    "asphalt": "asphalt",
    "joint": "joint",
    "grate": "grate",
    "rubber": "rubber",
    "plastic": "plastic",
    "soil": GROUND,
    "gravel": GROUND,
    "grass": GROUND,
    "foliage": GROUND,
    "water": GROUND,
    "void": GROUND,
}


def mean_albedo(facet: Facet) -> float:
    return _MEAN[facet.material]


def generator(seed: tuple[int, ...], *words: str | int) -> np.random.Generator:
    """Returns random numbers of a scene for one purpose, independent of all others."""
    return np.random.default_rng(
        (*seed, *(zlib.crc32(word.encode()) if isinstance(word, str) else word for word in words))
    )


def paint_materials(canvas: Canvas, facets: list[Facet], seed: tuple[int, ...]) -> None:
    """Gives every visible facet its material."""
    for number in canvas.visible:
        facet = facets[number]
        for patch in canvas.pieces(number):
            tone = generator(seed, "tone", facet.material, facet.tone)
            _PAINTERS[facet.material](canvas, patch, generator(seed, "facet", number), tone)
            if facet.radius:
                angle = (patch.u - np.float32(facet.radius)) / np.float32(facet.radius)
                canvas.raise_by(patch, np.cos(angle) * np.float32(facet.radius))


def _colour(canvas: Canvas, patch: Patch, colour, factor: np.ndarray) -> None:
    """Sets the albedo to a colour times a field."""
    factor = np.maximum(factor, 0.05)
    for channel in range(3):
        view = canvas.albedo[channel][patch.slices]
        view += patch.shown * (np.float32(colour[channel]) * factor - view)


def _vertical(patch: Patch) -> bool:
    return abs(patch.projection.facet.normal[2]) < 0.4


def _is_small(patch: Patch) -> bool:
    """Whether large stains would not be visible on this patch anyway."""
    top, bottom, left, right = patch.projection.box
    return max(bottom - top, right - left) < 60


@cache
def _grey_tints() -> np.ndarray:
    return np.array([(1.0, 0.985, 0.94), (1.03, 0.98, 0.90), (0.98, 0.99, 0.98), (1.05, 0.97, 0.86)])


def _concrete(canvas: Canvas, patch: Patch, rng: np.random.Generator, tone: np.random.Generator) -> None:
    """Cement paste with sand, cloudy from the formwork, darker where water runs and biofilm grows."""
    value = tone.uniform(0.2, 0.4)
    colour = value * _grey_tints()[tone.integers(4)]
    age, grain = tone.uniform(0.25, 1.0), tone.uniform(0.6, 1.5)
    fine = patch.noise(rng, 6, 0.4, 0.15)
    factor = 1 + np.float32(0.055 * grain) * fine
    if _is_small(patch):
        _colour(canvas, patch, colour, factor)
        return
    factor += np.float32(0.05) * patch.noise(rng, 200, 7, 0.9) + np.float32(0.09 * age) * patch.noise(
        rng, 1800, 60, 0.8
    )
    _colour(canvas, patch, colour, factor)
    canvas.raise_by(patch, np.float32(0.07 * grain) * fine)
    _soil_concrete(canvas, patch, rng, age)


def _soil_concrete(canvas: Canvas, patch: Patch, rng: np.random.Generator, age: float) -> None:
    """Adds runs of dirt on walls, clouds of it elsewhere, and moss low down and on top."""
    if _vertical(patch):
        runs = patch.noise(rng, 220, 8, 0.5, stretch=14) + 0.8 * patch.noise(rng, 1500, 200, 0.5)
        top = np.exp(-np.clip(patch.v, 0, 1e4) / np.float32(rng.uniform(300, 1400)))
        amount = np.clip(runs * 0.5 + top * 1.2 - np.float32(rng.uniform(0.5, 1.3)), 0, 1.2) * np.float32(0.55 * age)
    else:
        amount = np.clip(patch.noise(rng, 900, 30, 0.6) - np.float32(rng.uniform(0.4, 1.5)), 0, 1.5) * np.float32(
            0.3 * age
        )
    canvas.paint(patch, np.minimum(amount, 0.8), (0.045, 0.043, 0.036))
    if patch.projection.facet.normal[2] > -0.5 and rng.random() < 0.35 * age:
        moss = np.clip(patch.noise(rng, 700, 6, 0.75) - np.float32(rng.uniform(0.7, 1.6)), 0, 0.5) * np.float32(1.5)
        canvas.paint(patch, np.minimum(moss, 0.75), (0.055, 0.075, 0.025))


def _mortar(canvas: Canvas, patch: Patch, rng: np.random.Generator, tone: np.random.Generator) -> None:
    value = tone.uniform(0.26, 0.46)
    factor = 1 + np.float32(0.05) * patch.noise(rng, 8, 0.5, 0.2) + np.float32(0.08) * patch.noise(rng, 300, 20, 0.5)
    _colour(canvas, patch, value * np.array([1, 0.98, 0.93]), factor)


def _paint(canvas: Canvas, patch: Patch, rng: np.random.Generator, tone: np.random.Generator) -> None:
    """Painted steel: even colour, dust and runs of dirt, chalked paint, a little orange peel."""
    colour = np.array(PAINTS[tone.integers(len(PAINTS))]) * tone.uniform(0.75, 1.15)
    age = tone.uniform(0.1, 1.0)
    colour = colour * (1 - 0.3 * age) + 0.3 * age * colour.mean()
    factor = 1 + np.float32(0.012) * patch.noise(rng, 5, 0.6, 0.1)
    if _is_small(patch):
        _colour(canvas, patch, colour, factor)
        return
    cloud = patch.noise(rng, 900, 30, 0.6)
    _colour(canvas, patch, colour, factor + np.float32(0.05 * (0.4 + age)) * cloud)
    canvas.raise_by(patch, np.float32(0.05) * patch.noise(rng, 60, 4, 0.8))
    _dirt(canvas, patch, rng, age)


def _dirt(canvas: Canvas, patch: Patch, rng: np.random.Generator, age: float) -> None:
    stretch = 10.0 if _vertical(patch) else 1.0
    runs = patch.noise(rng, 260, 6, 0.8, stretch=stretch)
    amount = np.clip(runs - np.float32(rng.uniform(0.5, 1.4)), 0, 1) * np.float32(0.35 * age)
    if patch.projection.facet.normal[2] > 0.5:
        amount = np.clip(amount + np.float32(0.3 * age) + 0.12 * runs, 0, 0.85)
    canvas.paint(patch, amount, (0.10, 0.085, 0.06))


def _weathering(canvas: Canvas, patch: Patch, rng: np.random.Generator, tone: np.random.Generator) -> None:
    """Weathering steel with its dense brown rust, lighter where young, with runs."""
    colour = np.array((0.085, 0.048, 0.034)) * tone.uniform(0.7, 1.5)
    fine = patch.noise(rng, 12, 0.5, 0.3)
    factor = 1 + np.float32(0.10) * fine
    if not _is_small(patch):
        stretch = 8.0 if _vertical(patch) else 1.0
        factor += np.float32(0.13) * patch.noise(rng, 700, 40, 0.6) + np.float32(0.1) * patch.noise(
            rng, 120, 6, 0.5, stretch=stretch
        )
        canvas.raise_by(patch, np.float32(0.06) * fine)
    _colour(canvas, patch, colour, factor)


def _galvanised(canvas: Canvas, patch: Patch, rng: np.random.Generator, tone: np.random.Generator) -> None:
    """Zinc: grey spangles, dull with age."""
    colour = np.array((0.31, 0.32, 0.33)) * tone.uniform(0.6, 1.2)
    factor = 1 + np.float32(0.07) * patch.noise(rng, 25, 2, 0.3)
    if not _is_small(patch):
        factor += np.float32(0.07) * patch.noise(rng, 500, 30, 0.6)
    _colour(canvas, patch, colour, factor)
    if not _is_small(patch):
        _dirt(canvas, patch, rng, tone.uniform(0.2, 0.9))


def _plastic(canvas: Canvas, patch: Patch, rng: np.random.Generator, tone: np.random.Generator) -> None:
    _colour(
        canvas,
        patch,
        np.array((0.36, 0.36, 0.35)) * tone.uniform(0.35, 1.3),
        1 + np.float32(0.05) * patch.noise(rng, 400, 20, 0.6),
    )


def _rubber(canvas: Canvas, patch: Patch, rng: np.random.Generator, tone: np.random.Generator) -> None:
    _colour(
        canvas,
        patch,
        np.array((0.045, 0.045, 0.046)) * tone.uniform(0.7, 1.6),
        1 + np.float32(0.12) * patch.noise(rng, 60, 1, 0.4),
    )
    dust = np.clip(patch.noise(rng, 80, 3, 0.6) - 0.6, 0, 1) * np.float32(0.25)
    canvas.paint(patch, dust, (0.22, 0.2, 0.17))


def _asphalt(canvas: Canvas, patch: Patch, rng: np.random.Generator, tone: np.random.Generator) -> None:
    """Bitumen with stones of 5 to 13 mm, polished lighter by traffic."""
    value = tone.uniform(0.045, 0.12)
    stones = patch.noise(rng, 14, 1.5, 0.15)
    factor = 1 + np.float32(0.24) * stones + np.float32(0.12) * patch.noise(rng, 2500, 40, 0.5)
    _colour(canvas, patch, value * np.array([1, 0.99, 0.96]), factor)
    canvas.raise_by(patch, np.float32(0.5) * stones)


def _soil(canvas: Canvas, patch: Patch, rng: np.random.Generator, tone: np.random.Generator) -> None:
    lumps = patch.noise(rng, 120, 1.5, 0.45)
    factor = 1 + np.float32(0.22) * lumps + np.float32(0.2) * patch.noise(rng, 3000, 100, 0.6)
    _colour(canvas, patch, np.array((0.16, 0.125, 0.09)) * tone.uniform(0.6, 1.2), factor)
    canvas.raise_by(patch, np.float32(6) * lumps)
    weeds = np.clip(patch.noise(rng, 1500, 12, 0.75) - np.float32(tone.uniform(0, 1.5)), 0, 0.5) * 2
    canvas.paint(patch, weeds * np.float32(0.8), (0.06, 0.085, 0.03))


def _gravel(canvas: Canvas, patch: Patch, rng: np.random.Generator, tone: np.random.Generator) -> None:
    stones = patch.noise(rng, 130, 4, 0.35)
    factor = 1 + np.float32(0.3) * stones + np.float32(0.12) * patch.noise(rng, 12, 2, 0.3)
    _colour(canvas, patch, np.array((0.22, 0.21, 0.19)) * tone.uniform(0.6, 1.2), factor)
    canvas.raise_by(patch, np.float32(22) * np.abs(stones))


def _grass(canvas: Canvas, patch: Patch, rng: np.random.Generator, tone: np.random.Generator) -> None:
    blades = patch.noise(rng, 60, 3, 0.35)
    dry = tone.uniform(0, 1)
    colour = np.array((0.075, 0.115, 0.035)) * (1 - dry) + np.array((0.2, 0.16, 0.09)) * dry
    factor = 1 + np.float32(0.38) * blades + np.float32(0.25) * patch.noise(rng, 2500, 100, 0.6)
    _colour(canvas, patch, colour, factor)
    canvas.raise_by(patch, np.float32(9) * blades)


def _foliage(canvas: Canvas, patch: Patch, rng: np.random.Generator, tone: np.random.Generator) -> None:
    """Trees: bright crowns over dark gaps."""
    clumps = patch.noise(rng, 2600, 40, 0.55)
    colour = np.array((0.075, 0.09, 0.055)) * tone.uniform(0.7, 1.6) * np.array((tone.uniform(0.8, 1.4), 1, 1))
    _colour(canvas, patch, colour, 1 + np.float32(0.35) * clumps + np.float32(0.22) * patch.noise(rng, 350, 15, 0.3))


def _water(canvas: Canvas, patch: Patch, rng: np.random.Generator, tone: np.random.Generator) -> None:
    """Still water: dark bed, pale where it mirrors the sky in ripples."""
    ripples = patch.noise(rng, 700, 20, 0.6, stretch=0.35)
    _colour(canvas, patch, np.array((0.09, 0.105, 0.095)) * tone.uniform(0.7, 1.5), 1 + np.float32(0.4) * ripples)
    canvas.raise_by(patch, np.float32(1.5) * ripples)


def _masonry(canvas: Canvas, patch: Patch, rng: np.random.Generator, tone: np.random.Generator) -> None:
    """Blocks of a slope protection in running bond, with joints of mortar or none."""
    wide, high = tone.uniform(300, 500), tone.uniform(250, 420)
    course = np.floor(patch.v / np.float32(high))
    along = patch.u / np.float32(wide) + 0.5 * np.mod(course, 2)
    block = np.floor(along)
    edge = np.minimum(
        np.minimum(along - block, 1 - along + block) * np.float32(wide),
        np.minimum(np.mod(patch.v, high), high - np.mod(patch.v, high)),
    )
    shades = tone.uniform(0.75, 1.25, 1024).astype(np.float32)
    each = shades.take((block * 37 + course * 101).astype(np.int32) & 1023)
    rough = patch.noise(rng, 90, 1.5, 0.45)
    factor = each * (1 + np.float32(0.16) * rough + np.float32(0.1) * patch.noise(rng, 1500, 80, 0.6))
    _colour(canvas, patch, np.array((0.24, 0.23, 0.205)) * tone.uniform(0.7, 1.25), factor)
    bulge = np.clip(edge / np.float32(high * 0.25), 0, 1)
    canvas.raise_by(patch, np.float32(25) * np.sqrt(bulge) + np.float32(2.5) * rough)
    canvas.paint(patch, np.clip(1.6 - edge / 9, 0, 0.8), (0.07, 0.065, 0.05))
    _soil_concrete(canvas, patch, rng, 0.7)


def _joint(canvas: Canvas, patch: Patch, rng: np.random.Generator, tone: np.random.Generator) -> None:
    """An expansion joint along v: two steel edges with a rubber seal between, or fingers; u crosses the gap."""
    width = np.float32(patch.projection.facet.size[0])
    middle = patch.u - width / 2
    gap = np.float32(tone.uniform(15, 45))
    fingers = tone.random() < 0.4
    if fingers:
        middle = (
            middle + (np.abs(np.mod(patch.v / np.float32(90), 1) - 0.5) * 4 - 1 > 0) * np.float32(60) - np.float32(30)
        )
    worn = patch.noise(rng, 200, 1.5, 0.4)
    steel = np.array((0.13, 0.115, 0.10)) * tone.uniform(0.6, 1.5)
    _colour(canvas, patch, steel, 1 + np.float32(0.2) * worn)
    rust = np.clip(patch.noise(rng, 260, 3, 0.5) - np.float32(tone.uniform(-0.2, 1.2)), 0, 0.6)
    canvas.paint(patch, rust, (0.13, 0.06, 0.03))
    inside = np.clip((gap - np.abs(middle)) / np.float32(patch.pitch) + 0.5, 0, 1)
    canvas.paint(patch, inside, (0.025, 0.024, 0.023))
    canvas.raise_by(patch, inside * np.float32(-12) + np.float32(0.15) * worn)
    concrete = np.clip((np.abs(patch.u - width / 2) - width * np.float32(0.32)) / np.float32(patch.pitch) + 0.5, 0, 1)
    canvas.paint(patch, concrete, 0.24 * np.array((1, 0.98, 0.93))[:, None, None] * (1 + 0.1 * worn))


def _grate(canvas: Canvas, patch: Patch, rng: np.random.Generator, tone: np.random.Generator) -> None:
    """A gully grate: bars of cast iron along u over a dark shaft."""
    width, height = patch.projection.facet.size
    frame = np.minimum(np.minimum(patch.u, width - patch.u), np.minimum(patch.v, height - patch.v))
    bar = np.abs(np.mod(patch.v / np.float32(45), 1) - 0.5) * np.float32(90)
    iron = np.clip(np.maximum(bar - 22, 28 - frame) / np.float32(patch.pitch) + 0.5, 0, 1)
    _colour(canvas, patch, (0.012, 0.011, 0.01), np.ones(patch.shape, np.float32))
    worn = 1 + np.float32(0.25) * patch.noise(rng, 60, 1.5, 0.4)
    canvas.paint(patch, iron, np.array((0.12, 0.085, 0.06))[:, None, None] * tone.uniform(0.6, 1.4) * worn)
    canvas.raise_by(patch, iron * np.float32(15))


def _void(canvas: Canvas, patch: Patch, rng: np.random.Generator, tone: np.random.Generator) -> None:
    _colour(canvas, patch, (0.02, 0.019, 0.017), np.ones(patch.shape, np.float32))


_PAINTERS: dict[str, Painter] = {
    "concrete": _concrete,
    "mortar": _mortar,
    "paint": _paint,
    "weathering": _weathering,
    "galvanised": _galvanised,
    "rubber": _rubber,
    "asphalt": _asphalt,
    "soil": _soil,
    "gravel": _gravel,
    "grass": _grass,
    "foliage": _foliage,
    "water": _water,
    "masonry": _masonry,
    "joint": _joint,
    "grate": _grate,
    "void": _void,
    "plastic": _plastic,
}
