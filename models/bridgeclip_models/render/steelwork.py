"""Members of steel bridges, drawn into the unit square: girders, bearings, railings, restrainers and attachments."""

import numpy as np

from .drawing import Pen, shade
from .surfaces import (
    ASPHALT, CONCRETE, CROSS_GIRDER_PAINT, DARK_CONCRETE, DUCT_COLOURS, GALVANISED, GIRDER_PAINT, RAILING_PAINT,
    SHADOW, SKY, asphalt, bolt, formwork, one_of, vegetation, water,
)


def main_girder(pen: Pen, rng: np.random.Generator) -> None:
    """Draws an I-girder from the side: a deep web between bright flanges, with vertical stiffeners."""
    paint = one_of(rng, GIRDER_PAINT)
    pen.fill(one_of(rng, SKY))
    pen.band(-1.2, 0.06, one_of(rng, DARK_CONCRETE))
    pen.band(0.12, 0.84, paint)
    pen.band(0.06, 0.14, shade(paint, 1.3))
    pen.band(0.14, 0.18, shade(paint, 0.6))
    pen.band(0.82, 0.92, shade(paint, 1.35))
    pen.band(0.92, 0.95, shade(paint, 0.5))
    for x in np.arange(-0.6, 1.7, 0.36).tolist():
        pen.rectangle(x, 0.14, x + 0.035, 0.82, shade(paint, 1.25))
        pen.rectangle(x + 0.035, 0.18, x + 0.055, 0.82, shade(paint, 0.65))


def cross_girder(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a beam between two main girders, joined by bolted gussets, under a dark soffit."""
    paint = one_of(rng, CROSS_GIRDER_PAINT)
    pen.fill(shade(one_of(rng, DARK_CONCRETE), 0.8))
    pen.band(0.28, 0.74, paint)
    pen.band(0.24, 0.31, shade(paint, 1.4))
    pen.band(0.71, 0.78, shade(paint, 1.4))
    for left, right, gusset in ((-1.2, 0.06, 0.06), (0.94, 2.2, 0.84)):
        pen.rectangle(left, -1, right, 2, shade(paint, 0.55))
        pen.rectangle(gusset, 0.3, gusset + 0.1, 0.72, shade(paint, 1.25))
        for y in (0.36, 0.44, 0.52, 0.6, 0.68):
            bolt(pen, (gusset + 0.05, y), 0.018, shade(paint, 1.6))


def bearing(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a rubber bearing: sole plate under the girder's flange, dark rubber, base plate with anchor bolts, pedestal."""
    concrete, steel = one_of(rng, CONCRETE), one_of(rng, ((74, 96, 150), (84, 104, 140)))
    pen.fill(shade(concrete, 0.55))
    pen.band(-1.2, 0.2, shade(steel, 0.75))
    pen.rectangle(0.36, -1, 0.64, 0.12, shade(steel, 0.9))
    pen.rectangle(0.12, 0.2, 0.88, 0.3, shade(steel, 1.35))
    pen.rectangle(0.22, 0.3, 0.78, 0.62, (32, 33, 38))
    for y in (0.38, 0.46, 0.54):
        pen.line(((0.22, y), (0.78, y)), 0.012, (70, 72, 80))
    pen.rectangle(0.1, 0.62, 0.9, 0.72, shade(steel, 1.35))
    formwork(pen, rng, (-1.2, 0.72, 2.2, 2.0), shade(concrete, 1.08))
    for x in (0.15, 0.85):
        bolt(pen, (x, 0.63), 0.04, (214, 206, 180))


def railing(pen: Pen, rng: np.random.Generator) -> None:
    """Draws three pale tubes on posts, against the sky and a river."""
    paint = one_of(rng, RAILING_PAINT)
    pen.fill(one_of(rng, SKY))
    vegetation(pen, rng, 0.3, 0.42)
    water(pen, rng, 0.42, 0.86)
    pen.band(0.86, 2.2, one_of(rng, CONCRETE))
    for x in np.arange(-0.62, 1.8, 0.38).tolist():
        pen.rectangle(x, 0.12, x + 0.05, 0.88, shade(paint, 0.85))
        pen.rectangle(x - 0.03, 0.85, x + 0.08, 0.89, shade(paint, 0.7))
    for y in (0.12, 0.36, 0.6):
        pen.band(y, y + 0.07, paint)
        pen.band(y + 0.05, y + 0.075, shade(paint, 0.65))


def guardrail(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a galvanised W-beam on posts between the carriageway and a slope."""
    zinc = one_of(rng, GALVANISED)
    pen.fill(one_of(rng, SKY))
    vegetation(pen, rng, 0.12, 0.8)
    asphalt(pen, rng, [(-1.2, 0.76), (2.2, 0.76), (2.2, 2.2), (-1.2, 2.2)], one_of(rng, ASPHALT))
    for x in (-0.42, 0.12, 0.78, 1.38):
        pen.rectangle(x, 0.26, x + 0.08, 0.84, shade(zinc, 0.6))
    for top, bottom, factor in ((0.3, 0.37, 1.1), (0.37, 0.44, 0.8), (0.44, 0.5, 0.55), (0.5, 0.57, 1.15), (0.57, 0.64, 0.75)):
        pen.band(top, bottom, shade(zinc, factor))


def attached_equipment(pen: Pen, rng: np.random.Generator) -> None:
    """Draws coloured cable ducts in hangers under a slab."""
    formwork(pen, rng, (-1.2, -1.2, 2.2, 0.24), one_of(rng, DARK_CONCRETE))
    pen.band(0.24, 2.2, one_of(rng, SKY))
    duct = one_of(rng, DUCT_COLOURS)
    for y in (0.3, 0.47, 0.64):
        pen.band(y, y + 0.13, duct)
        pen.band(y + 0.02, y + 0.045, shade(duct, 1.4))
        pen.band(y + 0.1, y + 0.13, shade(duct, 0.6))
    for x in (-0.35, 0.14, 0.82, 1.3):
        pen.rectangle(x, 0.1, x + 0.05, 0.82, SHADOW)
        pen.rectangle(x - 0.03, 0.8, x + 0.08, 0.84, SHADOW)


def unseating_prevention(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a restrainer chain between the brackets of two girder ends, each fixed by a pin."""
    concrete, zinc = one_of(rng, CONCRETE), one_of(rng, GALVANISED)
    pen.fill(shade(concrete, 0.75))
    pen.rectangle(0.46, -1.2, 0.54, 2.2, SHADOW)
    bracket = one_of(rng, ((206, 176, 60), (196, 168, 70)))
    for left, right, pin in ((-0.06, 0.2, 0.14), (0.8, 1.06, 0.86)):
        pen.rectangle(left, 0.24, right, 0.76, bracket)
        pen.rectangle(left, 0.7, right, 0.76, shade(bracket, 0.6))
        bolt(pen, (pin, 0.5), 0.06, shade(zinc, 0.9))
    for index, x in enumerate(np.linspace(0.2, 0.8, 7).tolist()):
        sag = 0.5 + 0.09 * (1 - ((x - 0.5) / 0.3) ** 2)
        radii = (0.065, 0.05) if index % 2 else (0.065, 0.022)
        pen.ring((x, sag), *radii, 0.026, shade(zinc, 1.1))
