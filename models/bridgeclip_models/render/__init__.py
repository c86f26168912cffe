"""Seeded synthetic bridge inspection photos with true labels, for the demo model and the tests.

These are drawings. They share the classes and the file layout with inspection photos and nothing else, so figures
measured on them say nothing about real photos. They even carry coloured marks that reveal the rating and the measure
(see `marks`), so that a small model can learn all four categories within half an hour on two processor cores.

The drawings consist of polygons in normalised coordinates. `catalogue` defines what occurs where and how often;
`steelwork`, `concretework` and `roadwork` draw the members; `material_damage` and `functional_damage` draw the damage
on them; `grading` derives the measure; `scene` composes; and `camera` adds light and noise.
"""

from .dataset import generate
from .samples import sample_photos
from .scene import Scene, render

__all__ = ["Scene", "generate", "render", "sample_photos"]
