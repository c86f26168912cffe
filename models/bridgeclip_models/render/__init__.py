"""Seeded synthetic bridge inspection photos with true labels, for the demo model and the tests.

These are drawings. They have the classes and the file layout of inspection photos and nothing else: whatever is measured
on them says nothing about real photos. They even carry coloured marks that give the rating and the measure away (see
`marks`), so that a small model can learn all four categories within half an hour on two processor cores.

The module draws with polygons in normalised coordinates: `catalogue` says what occurs where and how often, `steelwork`,
`concretework` and `roadwork` draw the members, `material_damage` and `functional_damage` the damage on them, `grading`
derives the measure, `scene` composes and `camera` adds light and noise.
"""

from .dataset import generate
from .samples import sample_photos
from .scene import Scene, render

__all__ = ["Scene", "generate", "render", "sample_photos"]
