"""Road surfaces and fittings of the deck, drawn into the unit square: pavement, joints, gullies and curbs."""

import numpy as np

from .drawing import Pen, shade
from .surfaces import ASPHALT, CONCRETE, GALVANISED, SHADOW, SKY, asphalt, one_of, vegetation, water, weathering

_WHOLE = [(-1.2, -1.2), (2.2, -1.2), (2.2, 2.2), (-1.2, 2.2)]
_YELLOW_LINE = (226, 182, 50)
_WHITE_LINE = (232, 232, 226)


def pavement(pen: Pen, rng: np.random.Generator) -> None:
    """Draws the carriageway towards the horizon, with edge lines and a dashed centre line."""
    pen.fill(one_of(rng, SKY))
    vegetation(pen, rng, 0.12, 0.24)
    asphalt(pen, rng, [(-1.2, 0.24), (2.2, 0.24), (2.2, 2.2), (-1.2, 2.2)], one_of(rng, ASPHALT))
    for near, far in ((-0.12, 0.4), (1.12, 0.6)):
        pen.polygon([(far - 0.01, 0.24), (far + 0.01, 0.24), (near + 0.06, 1.2), (near - 0.06, 1.2)], _WHITE_LINE)
    for top, bottom in ((0.26, 0.32), (0.38, 0.5), (0.62, 0.86)):
        near, far = bottom * 0.03, top * 0.03  # half widths
        pen.polygon([(0.5 - far, top), (0.5 + far, top), (0.5 + near, bottom), (0.5 - near, bottom)], _YELLOW_LINE)


def expansion_joint(pen: Pen, rng: np.random.Generator) -> None:
    """Draws steel fingers across the asphalt, between strips of pale concrete."""
    colour, steel = one_of(rng, ASPHALT), one_of(rng, GALVANISED)
    asphalt(pen, rng, _WHOLE, colour)
    pen.band(0.22, 0.8, shade(one_of(rng, CONCRETE), 1.1))
    pen.band(0.34, 0.68, shade(steel, 0.85))
    pen.band(0.48, 0.54, SHADOW)
    for x in np.arange(-0.6, 1.6, 0.14).tolist():
        pen.polygon([(x, 0.4), (x + 0.07, 0.4), (x + 0.055, 0.6), (x + 0.015, 0.6)], SHADOW)
        pen.polygon([(x + 0.01, 0.4), (x + 0.06, 0.4), (x + 0.045, 0.57), (x + 0.025, 0.57)], shade(steel, 1.1))


def drainage(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a gully with a grate beside the edge line."""
    asphalt(pen, rng, _WHOLE, one_of(rng, ASPHALT))
    pen.rectangle(-1.2, -1.2, 0.04, 2.2, _WHITE_LINE)
    pen.rectangle(0.12, 0.12, 0.88, 0.88, one_of(rng, CONCRETE))
    pen.rectangle(0.18, 0.18, 0.82, 0.82, (18, 20, 24))
    bar = one_of(rng, ((120, 132, 150), (110, 120, 140)))
    for x in np.linspace(0.18, 0.78, 8).tolist():
        pen.rectangle(x, 0.18, x + 0.04, 0.82, bar)
    for y in (0.18, 0.48, 0.78):
        pen.rectangle(0.18, y, 0.82, y + 0.04, shade(bar, 1.2))


def curb(pen: Pen, rng: np.random.Generator) -> None:
    """Draws the concrete edge of the deck: bright top, grey face, the river behind it and asphalt in front."""
    concrete = one_of(rng, CONCRETE)
    water(pen, rng, -1.2, 0.22)
    pen.band(0.22, 0.42, shade(concrete, 1.32))
    pen.band(0.42, 0.74, shade(concrete, 0.92))
    for x in np.arange(-0.6, 1.7, 0.5).tolist():
        pen.line(((x + 0.04, 0.22), (x, 0.42), (x, 0.74)), 0.012, shade(concrete, 0.6))
    weathering(pen, rng, (0, 0.44, 1, 0.72), shade(concrete, 0.8))
    asphalt(pen, rng, [(-1.2, 0.74), (2.2, 0.74), (2.2, 2.2), (-1.2, 2.2)], one_of(rng, ASPHALT))
    pen.band(0.9, 0.96, _WHITE_LINE)
