"""The rule of the seeded tensors, computed a second time without numpy."""

import struct

import numpy as np
import pytest

from bridgeclip_models.seeded import Spread, seeded

MASK = (1 << 64) - 1


def f32(value: float) -> float:
    return struct.unpack("<f", struct.pack("<f", value))[0]


def by_hand(name: str, index: int, spread: Spread) -> float:
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) & MASK
    z = (seed + (index + 1) * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    z ^= z >> 31
    return f32(spread.offset + f32(spread.scale * (2 * ((z >> 40) / 2**24) - 1)))


@pytest.mark.parametrize("spread", [Spread(1.0, 0.1), Spread(0.0, 0.03), Spread(0.15, 1.95)])
def test_equals_the_rule(spread):
    values = seeded("visual.conv1.weight", (2, 3, 5), spread)
    assert values.dtype == np.float32
    assert values.ravel().tolist() == [by_hand("visual.conv1.weight", index, spread) for index in range(30)]
