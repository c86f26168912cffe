"""Colours and surfaces of bridge materials."""

import numpy as np

from .drawing import BLEED, Colour, Pen, Point, blob, shade

CONCRETE = ((176, 174, 168), (162, 163, 160), (184, 178, 166))
DARK_CONCRETE = ((112, 112, 112), (120, 116, 110))
ASPHALT = ((70, 71, 75), (82, 82, 84), (62, 64, 70))
GALVANISED = ((196, 202, 206), (182, 190, 196))
GRASS = ((92, 122, 62), (108, 130, 70), (80, 110, 66))
SOIL = ((122, 98, 68), (134, 106, 74))
SKY = ((176, 204, 232), (196, 212, 226), (206, 214, 220))
WATER = ((70, 112, 128), (84, 120, 120), (64, 100, 126))
SHADOW = (44, 46, 50)
RUST = (150, 78, 34)

# Paint systems. The two kinds of girder have different ones, as on bridges whose bracing was painted in another
# contract.
GIRDER_PAINT = ((58, 128, 104), (62, 120, 128), (78, 138, 98))
CROSS_GIRDER_PAINT = ((150, 70, 62), (164, 84, 66), (142, 62, 72))
RAILING_PAINT = ((236, 236, 230), (226, 230, 232))
DUCT_COLOURS = ((226, 128, 44), (150, 90, 170), (214, 112, 60))

Box = tuple[float, float, float, float]  # left, top, right, bottom


def one_of(rng: np.random.Generator, colours: tuple[Colour, ...]) -> Colour:
    """Returns one of the colours, slightly brighter or darker."""
    return shade(colours[rng.integers(len(colours))], rng.uniform(0.92, 1.08))


def formwork(pen: Pen, rng: np.random.Generator, box: Box, colour: Colour) -> None:
    """Draws concrete: the surface, the joints of the formwork panels, tie holes and stains."""
    left, top, right, bottom = box
    pen.rectangle(*box, colour)
    joint = shade(colour, 0.84)
    for y in np.arange(max(top, -0.3) + rng.uniform(0.08, 0.2), min(bottom, 1.3), 0.2).tolist():
        pen.line(((left, y), (right, y)), 0.006, joint)
        for x in np.arange(max(left, -0.3) + 0.12, min(right, 1.3), 0.3).tolist():
            pen.ellipse((x, y + 0.1), 0.009, 0.009, shade(colour, 0.7))
    weathering(pen, rng, box, shade(colour, 0.8))


def weathering(pen: Pen, rng: np.random.Generator, box: Box, colour: Colour) -> None:
    """Draws a few faint stains."""
    left, top, right, bottom = box
    for _ in range(3):
        centre = (rng.uniform(left, right), rng.uniform(top, bottom))
        pen.polygon(blob(rng, centre, rng.uniform(0.05, 0.14), rng.uniform(0.04, 0.1)), (*colour[:3], 60))


def asphalt(pen: Pen, rng: np.random.Generator, corners: list[Point], colour: Colour) -> None:
    """Draws a polygon of asphalt, with bright grains inside its bounding box."""
    pen.polygon(corners, colour)
    xs, ys = zip(*corners, strict=True)
    low, high = (max(min(xs), -0.3), max(min(ys), -0.3)), (min(max(xs), 1.3), min(max(ys), 1.3))
    for x, y in rng.uniform(low, high, (60, 2)).tolist():
        pen.rectangle(x, y, x + 0.008, y + 0.006, shade(colour, 1.35))


def vegetation(pen: Pen, rng: np.random.Generator, top: float, bottom: float) -> None:
    """Draws a band of grass and bushes across the picture."""
    colour = one_of(rng, GRASS)
    pen.band(top, bottom, colour)
    for x in np.arange(-BLEED / 2, 1 + BLEED / 2, 0.12).tolist():
        pen.polygon(blob(rng, (x + rng.uniform(0, 0.1), top), 0.09, 0.05), shade(colour, rng.uniform(0.85, 1.1)))


def water(pen: Pen, rng: np.random.Generator, top: float, bottom: float) -> None:
    """Draws a band of rippled water across the picture."""
    colour = one_of(rng, WATER)
    pen.band(top, bottom, colour)
    for _ in range(14):
        x, y = rng.uniform(-0.3, 1.2), rng.uniform(max(top, -0.3), min(bottom, 1.3))
        pen.line(((x, y), (x + 0.12, y)), 0.007, shade(colour, 1.35))


def bolt(pen: Pen, centre: Point, radius: float, colour: Colour) -> None:
    """Draws a hexagon nut with its shadow."""
    corners = [(0.87, 0.5), (0, 1), (-0.87, 0.5), (-0.87, -0.5), (0, -1), (0.87, -0.5)]
    pen.ellipse((centre[0] + radius * 0.3, centre[1] + radius * 0.4), radius * 1.1, radius * 1.1, (0, 0, 0, 110))
    pen.polygon([(centre[0] + radius * x, centre[1] + radius * y) for x, y in corners], colour)
    pen.ellipse(centre, radius * 0.45, radius * 0.45, shade(colour, 0.7))
