"""What scenes look like: to the camera, a member can be taken for another one and a damage for another.

An inspector names what is there; a photo shows it more or less clearly. A member's or a scene's look differs from its
labels with the probabilities below, and is then drawn from all classes by their frequency. This ambiguity, rather than
noise, bounds what any rule can reach.
"""

from dataclasses import dataclass

import numpy as np

from .labels import DAMAGE_SHARES, LOCATION_SHARES, Photos, draw, one_hot

SCENE_DAMAGE, SCENE_LOCATION = 0.24, 0.23  # probability that a scene looks like something else
MEMBER_DAMAGE, MEMBER_LOCATION = 0.20, 0.20  # probability that all scenes of a member do


@dataclass(frozen=True)
class Looks:
    """What photos look like."""

    damage: np.ndarray  # [photos][15], float32, 1 for what is seen
    location: np.ndarray  # [photos][20]
    main_damage: np.ndarray  # [photos], the class that decides how severity shows
    main_location: np.ndarray  # [photos]


def looks(rng: np.random.Generator, photos: Photos) -> Looks:
    """Returns the looks of photos; the frames of a scene share theirs."""
    main_damage, odd = _look(rng, photos, photos.main_damage, DAMAGE_SHARES, MEMBER_DAMAGE, SCENE_DAMAGE)
    damage = np.where(odd[:, None], one_hot(main_damage, 15), photos.damage)
    main_location, odd = _look(rng, photos, photos.main_location, LOCATION_SHARES, MEMBER_LOCATION, SCENE_LOCATION)
    location = np.where(odd[:, None], one_hot(main_location, 20), photos.location)
    return Looks(damage.astype(np.float32), location.astype(np.float32), main_damage, main_location)


def _look(
    rng: np.random.Generator, photos: Photos, true: np.ndarray, shares: np.ndarray, by_member: float, by_scene: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the class that each photo looks like, and whether that is not its own."""
    look, odd = true, np.zeros(len(photos), dtype=bool)
    for group, chance in ((photos.member, by_member), (photos.frame, by_scene)):
        count = group[-1] + 1
        other = draw(rng, np.tile(shares, (count, 1)))[group]
        now = (rng.random(count) < chance)[group]
        look, odd = np.where(now, other, look), odd | now
    return look, odd
