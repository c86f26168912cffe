"""One scene: its labels are chosen at random from the catalogue, then drawn and photographed."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from ..captions import Labels
from . import marks
from .camera import photograph
from .catalogue import DAMAGES, EXTENT, MEMBERS, SOUNDNESS_WEIGHTS, TWO_DAMAGES, TWO_LOCATIONS, draw_from
from .drawing import Canvas, Frame, Point
from .grading import measure
from .material_damage import Spot, debris
from .surfaces import CONCRETE

_TILT = 0.07  # radians in either direction
_ZOOM = (0.94, 1.1)
_SHIFT = 0.03
_CROWDED = 0.76  # size factor of a damage that shares its member with another one
_WITH_DEBRIS = {"III", "IV"}
_JOINT = (26, 26, 28)  # line between two members


@dataclass(frozen=True)
class Scene:
    """A rendered photo and its labels."""

    image: Image.Image
    labels: Labels


def render(seed: int | tuple[int, ...], size: tuple[int, int]) -> Scene:
    """Renders the scene of `seed` at `size` (width, height in px). Labels and composition do not depend on the size."""
    rng = np.random.default_rng(seed)
    return draw(choose_labels(rng), rng, size)


def draw(labels: Labels, rng: np.random.Generator, size: tuple[int, int]) -> Scene:
    """Draws a scene with these labels, whose measure must be the one that `grading` gives."""
    canvas = Canvas(size)
    if len(labels.damage_location) == 1:
        _draw_member(canvas, rng, labels.damage_location[0], labels.damage_type, labels, _viewpoint(rng))
    else:
        _draw_two_members(canvas, rng, labels)
    board = Frame(centre=(0.5 + rng.uniform(-0.01, 0.02), 0.5 + rng.uniform(-0.02, 0.01)))
    marks.rating_board(canvas.pen(board), labels.soundness)
    marks.measure_tag(canvas.pen(board), labels.measure)
    return Scene(photograph(canvas.finished(), rng), labels)


def choose_labels(rng: np.random.Generator) -> Labels:
    """Chooses the labels of a scene at random, each category in the order of its class table."""
    host = draw_from(rng, {name: member.weight for name, member in MEMBERS.items()})
    locations = {host}
    damages = {draw_from(rng, MEMBERS[host].damages)}
    others = _members_with(damages, apart_from=host)
    if others and rng.random() < TWO_LOCATIONS:
        host = draw_from(rng, others)
        locations.add(host)
    if rng.random() < TWO_DAMAGES:
        damages.add(draw_from(rng, {name: weight for name, weight in MEMBERS[host].damages.items() if name not in damages}))
    soundness = draw_from(rng, SOUNDNESS_WEIGHTS)
    return Labels(
        soundness=soundness,
        measure=measure(soundness, damages, locations),
        damage_type=tuple(name for name in DAMAGES if name in damages),
        damage_location=tuple(name for name in MEMBERS if name in locations),
    )


def _members_with(damages: set[str], apart_from: str) -> dict[str, float]:
    """Returns the other members on which all these kinds of damage occur, with their weights."""
    return {name: member.weight for name, member in MEMBERS.items() if name != apart_from and damages <= member.damages.keys()}


def _viewpoint(rng: np.random.Generator) -> Frame:
    centre = tuple((0.5 + rng.uniform(-_SHIFT, _SHIFT, 2)).tolist())
    zoom = rng.uniform(*_ZOOM)
    return Frame(centre=centre, width=zoom, height=zoom, tilt=rng.uniform(-_TILT, _TILT))


def _draw_two_members(canvas: Canvas, rng: np.random.Generator, labels: Labels) -> None:
    """Draws two members, one in each half of the picture, separated by a dark line."""
    lean = rng.uniform(-0.05, 0.05)
    top, bottom = (0.5 + lean, -1.5), (0.5 - lean, 2.5)
    halves: list[tuple[float, list[Point]]] = [
        (0.25, [top, bottom, (-2, 2.5), (-2, -1.5)]),
        (0.75, [top, bottom, (3, 2.5), (3, -1.5)]),
    ]
    for location, (middle, corners) in zip(labels.damage_location, halves, strict=True):
        part = Canvas(canvas.size)
        shown = tuple(name for name in labels.damage_type if name in MEMBERS[location].damages)
        _draw_member(part, rng, location, shown, labels, Frame(centre=(middle, 0.5), width=0.6, height=0.8))
        canvas.paste_part(part, corners)
    canvas.pen().line((top, bottom), 0.02, _JOINT)


def _draw_member(
    canvas: Canvas, rng: np.random.Generator, location: str, damages: tuple[str, ...], labels: Labels, frame: Frame
) -> None:
    """Draws a member with its damage and the marks around it."""
    pen = canvas.pen(frame)
    MEMBERS[location].draw(pen, rng)
    for name, spot in zip(damages, _spots(rng, labels.soundness, len(damages)), strict=True):
        DAMAGES[name](pen, rng, spot)
        if labels.soundness in _WITH_DEBRIS:
            debris(pen, rng, spot, CONCRETE[0])
        marks.measure_mark(pen, spot, labels.measure)


def _spots(rng: np.random.Generator, soundness: str, count: int) -> list[Spot]:
    """Returns places for the damage: one in the middle, or two side by side."""
    radius = EXTENT[soundness] * rng.uniform(0.92, 1.08)
    dx, dy = rng.uniform(-0.05, 0.05, 2).tolist()
    if count == 1:
        return [Spot(0.5 + dx, 0.48 + dy, radius)]
    apart = 0.13 + radius * 0.42
    return [Spot(0.5 - apart + dx / 2, 0.44 + dy, radius * _CROWDED), Spot(0.5 + apart + dx / 2, 0.54 + dy, radius * _CROWDED)]
