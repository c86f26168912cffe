"""A field bench: rendered inspection photos of 12 to 20 megapixels whose damages are known pixel by pixel.

Unlike the drawings in `render`, nothing in these photos gives the labels away: no boards, frames or marks. A scene is a
model of a bridge or culvert in mm (`structures`, `geometry`) with materials (`materials`, `details`), damages at true
sizes (`damage_concrete`, `damage_steel`) and harmless things that resemble them (`distractors`). `plan` chooses all of
this and the labels (`grading`); `canvas` and `stamps` project it; `light` adds sky, sun and shadows; `develop` is the
camera.
"""

from .dataset import Bench, render
from .plan import Plan, plan
from .scene import Photo, photograph

__all__ = ["Bench", "Photo", "Plan", "photograph", "plan", "render"]
