"""What a member tells the painters of defects about itself."""

from dataclasses import dataclass

import numpy as np

from ..materials import Material


@dataclass(frozen=True)
class Face:
    """The inspected surface: its centre and half extents in units, what it is made of and how it runs."""

    x: float
    y: float
    rx: float
    ry: float
    paint: Material
    vertical: bool = False  # the member's axis runs up and down instead of across

    def spot(self, rng: np.random.Generator, reach: float) -> tuple[float, float]:
        """A place for a defect of radius `reach`: near the centre, and well inside where the face is large enough."""
        x = self.x + rng.uniform(-1, 1) * min(0.14, max(0.02, self.rx - reach))
        y = self.y + rng.uniform(-1, 1) * min(0.14, max(0.02, self.ry - reach))
        return x, y

    def half(self, side: int) -> "Face":
        """The left (-1) or right (+1) part, for two defects beside each other."""
        shift = min(self.rx, 0.5) * 0.46
        return Face(self.x + side * shift, self.y, shift, self.ry, self.paint, self.vertical)
