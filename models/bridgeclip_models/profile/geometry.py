"""Where the photos lie in the embedding space, and their captions.

An embedding is the sum of what the photo shows and of what has nothing to do with its labels, divided by its length:

    common direction                           all photos have a high cosine to each other, as CLIP's do
    places, kinds of damage                    a direction for each class, times the class's own strength
    pairs of place and damage                  a direction for each pair: corrosion looks different on a bearing
    severity, rating, measure                  directions of their own for each kind of damage: nothing linear in the whole
    bridge, member, scene, frame               noise in a space whose variance falls along its axes by a power law

How clearly a scene shows its rating, measure and severity differs from scene to scene.
"""

from dataclasses import dataclass

import numpy as np

from .labels import Photos
from .looks import looks

DIM = 512
CLASSES = {"location": 20, "damage": 15, "rating": 4, "measure": 9}


@dataclass(frozen=True)
class Strengths:
    """Lengths of the parts of an embedding before the sum is normalised."""

    common: float = 1.6
    location: float = 0.15
    damage: float = 0.135
    pair: float = 0.60
    severity: float = 0.05
    rating: float = 0.103
    measure: float = 0.126
    local: float = 0.7  # length of the part of a measure's direction that depends on the place, relative to the rest
    spread: float = 0.35  # standard deviation of the logarithm of a class's own strength
    bridge: float = 0.45
    member: float = 0.52
    scene: float = 0.65
    frame: float = 0.12
    caption: float = 0.9  # noise of a caption's embedding
    gap: float = 1.2  # length of the common direction of all captions, which is not that of the photos
    decay: float = 0.5  # exponent of the power law by which the variance of noise falls along the axes


class Geometry:
    """The directions of one embedding space."""

    def __init__(self, rng: np.random.Generator, strengths: Strengths = Strengths()) -> None:
        self.strengths = strengths
        spectrum = np.arange(1, DIM + 1) ** -strengths.decay
        self._axes = np.sqrt(spectrum / spectrum.sum()).astype(np.float32)  # the mean square length of noise is 1
        self.common, self.captions = self._directions(rng), self._directions(rng)
        own = {id: _own_strengths(count, strengths.spread) for id, count in CLASSES.items()}
        self.location, self.damage = (own[id] * self._directions(rng, CLASSES[id]) for id in ("location", "damage"))
        self.pair, self.severity = self._directions(rng, 20, 15), self._directions(rng, 15)
        self.rating = own["rating"] * self._directions(rng, 15, 4)
        self.measure = own["measure"] * _unit(self._directions(rng, 15, 9) + strengths.local * self._directions(rng, 20, 15, 9))

    def embed(self, rng: np.random.Generator, photos: Photos) -> np.ndarray:
        """Returns the embeddings of photos, float32 [photos][512] of length 1."""
        s, look = self.strengths, looks(rng, photos)
        clear = rng.gamma(2.0, 0.5, (photos.frame[-1] + 1, 3))[photos.frame].astype(np.float32)  # mean 1
        total = self._shown(photos, look.damage, look.location, look.main_damage, look.main_location, clear)
        total += s.common * self.common
        for strength, group in ((s.bridge, photos.bridge), (s.member, photos.member), (s.scene, photos.frame)):
            total += strength * self._noise(rng, group[-1] + 1)[group]
        return _unit(total + s.frame * self._noise(rng, len(photos)))

    def embed_captions(self, rng: np.random.Generator, photos: Photos) -> np.ndarray:
        """Returns the embeddings of the photos' captions, float32 [photos][512] of length 1.

        A caption says what the photo is labelled with, not what it looks like. Equal captions differ by their noise.
        """
        damage, location = photos.damage.astype(np.float32), photos.location.astype(np.float32)
        clear = np.ones((len(photos), 3), dtype=np.float32)
        total = self._shown(photos, damage, location, photos.main_damage, photos.main_location, clear)
        total += self.strengths.gap * self.captions
        return _unit(total + self.strengths.caption * self._noise(rng, len(photos)))

    def _shown(
        self, photos: Photos, damage: np.ndarray, location: np.ndarray, main: np.ndarray, place: np.ndarray, clear: np.ndarray
    ) -> np.ndarray:
        """Returns the part of the embeddings that has to do with labels. `clear` is how clearly severity, rating and measure show."""
        s, severity = self.strengths, photos.severity.astype(np.float32)
        total = s.location * location @ self.location + s.damage * damage @ self.damage
        total += s.pair * self.pair[place, main]
        total += s.severity * (clear[:, 0] * severity)[:, None] * self.severity[main]
        total += s.rating * clear[:, 1:2] * self.rating[main, photos.soundness]
        total += s.measure * clear[:, 2:3] * self.measure[place, main, photos.measure]
        return total

    def _directions(self, rng: np.random.Generator, *shape: int) -> np.ndarray:
        return _unit(self._noise(rng, *shape))

    def _noise(self, rng: np.random.Generator, *shape: int) -> np.ndarray:
        return rng.standard_normal((*shape, DIM), dtype=np.float32) * self._axes


def _own_strengths(count: int, spread: float) -> np.ndarray:
    """Returns the strengths of classes, [count][1]; the same in every space, so that spaces are equally difficult."""
    return np.exp(spread * np.random.default_rng(20).standard_normal((count, 1))).astype(np.float32)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)
