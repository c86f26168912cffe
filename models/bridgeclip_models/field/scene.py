"""From a plan to a photo with the masks of its damages."""

from dataclasses import dataclass

import numpy as np

from .canvas import Canvas
from .details import paint_details
from .develop import Exposure, develop
from .light import lit, sky_background
from .materials import generator, paint_materials
from .plan import Damage, Plan


@dataclass(frozen=True)
class Photo:
    """A rendered scene."""

    pixels: np.ndarray  # uint8 [height, width, 3], upright
    masks: list[np.ndarray]  # bool [height, width], in the order of the plan's damages
    scales: list[float]  # mm a pixel at the middle of each damage
    exposure: Exposure
    focal: float  # px
    distance: float  # mm from the camera to what the middle of the photo shows


def frame_size(shape: tuple[int, int], megapixels: float) -> tuple[int, int]:
    """Returns width and height in px, multiples of 16 as sensors have them."""
    unit = np.sqrt(megapixels * 1e6 / (shape[0] * shape[1]))
    return max(16, round(shape[0] * unit / 16) * 16), max(16, round(shape[1] * unit / 16) * 16)


def photograph(plan: Plan, megapixels: float, without: int | None = None) -> Photo:
    """Renders a plan. `without` leaves out one damage, all else being equal, for comparison with its mask."""
    camera = plan.camera.resized(*frame_size(plan.shape, megapixels))
    canvas = Canvas(camera, plan.facets)
    paint_materials(canvas, plan.facets, plan.seed)
    paint_details(canvas, plan.facets, plan.seed)
    for index, distractor in enumerate(plan.distractors):
        distractor.paint(canvas, generator(plan.seed, "distractor", index))
    masks = []
    for index, damage in enumerate(plan.damages):
        if index != without:
            canvas.begin_mark()
            damage.paint(canvas, generator(plan.seed, "damage", index))
            masks.append(canvas.end_mark())
    rng = generator(plan.seed, "camera")
    dark = not plan.light.sun_strength and plan.member not in ("pavement", "curb", "railing", "guardrail")
    exposure = Exposure.of(rng, dark)
    radiance = lit(canvas, plan.facets, plan.light, sky_background(canvas, generator(plan.seed, "sky"), plan.light))
    return Photo(
        develop(radiance, exposure, rng),
        masks,
        [_scale(canvas, damage) for damage in plan.damages],
        exposure,
        camera.focal,
        _distance(canvas),
    )


def _scale(canvas: Canvas, damage: Damage) -> float:
    projection = canvas.projections[damage.spot.number]
    x, y = projection.pixels(canvas.flat(damage.spot.number, np.array([damage.spot.u])), np.array([damage.spot.v]))
    return float(np.sqrt(abs(np.linalg.det(projection.jacobian(float(x[0]), float(y[0]))))))


def _distance(canvas: Canvas) -> float:
    """Returns the depth in the middle of the picture, or of the nearest facet to it in the same row."""
    height, width = canvas.shape
    row = canvas.ids[height // 2]
    shown = np.flatnonzero(row >= 0)
    if not len(shown):
        return 20_000.0
    column = int(shown[np.argmin(np.abs(shown - width // 2))])
    return float(1 / (canvas.projections[row[column]].inverse @ (1, column, height // 2)))
