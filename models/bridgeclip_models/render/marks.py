"""Traces of the inspectors in the picture: a board with the rating, and the mark of the measure.

The extent alone would suffice for an engineer, but not for a small model that is trained for half an hour. So every rating
and every measure has a mark of its own, large enough to see at 224 px. Real photos contain no such help.

| rating | board, lower left: strokes and coloured strip | measure | mark around the damage, and tag of the same colour   |
|--------|-----------------------------------------------|---------|------------------------------------------------------|
| I      | one, green                                    | A       | white tick                                           |
| II     | two, blue                                     | B       | blue chalk ring                                      |
| III    | three, orange                                 | C1      | yellow chalk frame                                   |
| IV     | one and a V, red                              | C2      | orange corner brackets, sprayed                      |
|        |                                               | E1      | red and white tape above and below                   |
|        |                                               | E2      | yellow and black tape above and below                |
|        |                                               | M       | green arrows towards the damage                      |
|        |                                               | S1      | cyan measuring grid                                  |
|        |                                               | S2      | magenta date strokes at the ends of the damage       |
"""

from collections.abc import Callable

import numpy as np

from .drawing import BLEED, Colour, Pen
from .material_damage import Spot

_CHALK = (250, 250, 246)
_BOARD = (22, 66, 50)
_WOOD = (150, 110, 64)
_STROKE = 0.02

_STROKES_OF = {"I": ((0.0,), False), "II": ((-0.025, 0.025), False), "III": ((-0.05, 0.0, 0.05), False), "IV": ((-0.06,), True)}
_STRIP_OF = {"I": (60, 200, 80), "II": (60, 120, 250), "III": (255, 150, 20), "IV": (240, 30, 40)}


def rating_board(pen: Pen, soundness: str) -> None:
    """Draws the blackboard that is held into inspection photos, in the unit square's lower left corner."""
    pen.rectangle(0.02, 0.73, 0.29, 0.98, _WOOD)
    pen.rectangle(0.035, 0.745, 0.275, 0.965, _BOARD)
    pen.rectangle(0.035, 0.9, 0.275, 0.965, _STRIP_OF[soundness])
    positions, with_v = _STROKES_OF[soundness]
    centre = 0.155
    for offset in positions:
        pen.line(((centre + offset, 0.77), (centre + offset, 0.88)), _STROKE, _CHALK)
    if with_v:
        pen.line(((centre - 0.03, 0.77), (centre + 0.015, 0.88), (centre + 0.06, 0.77)), _STROKE, _CHALK)


def measure_mark(pen: Pen, spot: Spot, code: str) -> None:
    """Draws the mark of the measure around one damage."""
    colour, draw = _MARKS[code]
    draw(pen, spot, colour)


def measure_tag(pen: Pen, code: str) -> None:
    """Draws the tag of the measure in the unit square's upper right corner."""
    pen.rectangle(0.79, 0.03, 0.98, 0.2, (30, 30, 32))
    pen.rectangle(0.8, 0.04, 0.97, 0.19, _MARKS[code][0])
    if code in _TAG_STRIPES:
        for left in (0.8, 0.86, 0.92):
            pen.polygon([(left, 0.19), (left + 0.025, 0.19), (left + 0.05, 0.04), (left + 0.025, 0.04)], _TAG_STRIPES[code])


def _tick(pen: Pen, spot: Spot, colour: Colour) -> None:
    x, y, size = spot.x + spot.radius + 0.08, spot.y, 0.11
    pen.line(((x - 0.03, y), (x + 0.03, y + size * 0.7), (x + 0.13, y - size)), 0.028, colour)


def _ring(pen: Pen, spot: Spot, colour: Colour) -> None:
    reach = spot.radius * 1.25 + 0.03
    pen.ring((spot.x, spot.y), reach, reach, 0.024, colour)


def _frame(pen: Pen, spot: Spot, colour: Colour) -> None:
    reach = spot.radius * 1.1 + 0.03
    pen.outline(_corners(spot, reach), 0.024, colour)


def _brackets(pen: Pen, spot: Spot, colour: Colour) -> None:
    reach = spot.radius * 1.12 + 0.035
    for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        corner = (spot.x + x * reach, spot.y + y * reach)
        inward = ((corner[0] - x * reach * 0.55, corner[1]), corner, (corner[0], corner[1] - y * reach * 0.55))
        pen.line(inward, 0.036, colour)


def _tape_in(stripe: Colour) -> Callable[[Pen, Spot, Colour], None]:
    """Returns a function that draws barrier tape with stripes in a second colour."""

    def tape(pen: Pen, _: Spot, colour: Colour) -> None:
        for top in (0.22, 0.62):
            pen.band(top, top + 0.07, colour)
            for x in np.arange(-BLEED / 2, 1 + BLEED / 2, 0.14).tolist():
                pen.polygon([(x, top + 0.07), (x + 0.07, top + 0.07), (x + 0.1, top), (x + 0.03, top)], stripe)

    return tape


def _arrows(pen: Pen, spot: Spot, colour: Colour) -> None:
    for side in (-1, 1):
        tip, tail = spot.x + side * (spot.radius + 0.03), spot.x + side * (spot.radius + 0.17)
        pen.line(((tail, spot.y), (tip, spot.y)), 0.03, colour)
        pen.polygon([(tip, spot.y), (tip + side * 0.08, spot.y - 0.065), (tip + side * 0.08, spot.y + 0.065)], colour)


def _grid(pen: Pen, spot: Spot, colour: Colour) -> None:
    reach = spot.radius + 0.06
    for share in (-1, -0.5, 0, 0.5, 1):
        at = share * reach
        pen.line(((spot.x + at, spot.y - reach), (spot.x + at, spot.y + reach)), 0.013, colour)
        pen.line(((spot.x - reach, spot.y + at), (spot.x + reach, spot.y + at)), 0.013, colour)


def _date_strokes(pen: Pen, spot: Spot, colour: Colour) -> None:
    reach = spot.radius + 0.05
    for side in (-1, 1):
        x = spot.x + side * reach
        pen.line(((x, spot.y - 0.12), (x, spot.y + 0.12)), 0.03, colour)
        for step in (-0.07, 0.0, 0.07):
            pen.line(((x + side * 0.03, spot.y + step), (x + side * 0.09, spot.y + step)), 0.018, colour)


def _corners(spot: Spot, reach: float) -> list[tuple[float, float]]:
    return [(spot.x + x * reach, spot.y + y * reach) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]


_TAG_STRIPES = {"E1": (255, 255, 255), "E2": (10, 10, 10)}
_MARKS: dict[str, tuple[Colour, Callable[[Pen, Spot, Colour], None]]] = {
    "A": ((255, 255, 255), _tick),
    "B": ((40, 90, 255), _ring),
    "C1": ((255, 236, 40), _frame),
    "C2": ((255, 120, 10), _brackets),
    "E1": ((230, 20, 30), _tape_in(_TAG_STRIPES["E1"])),
    "E2": ((255, 214, 0), _tape_in(_TAG_STRIPES["E2"])),
    "M": ((40, 220, 60), _arrows),
    "S1": ((0, 235, 245), _grid),
    "S2": ((250, 40, 200), _date_strokes),
}
