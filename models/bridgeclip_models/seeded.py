"""Reproducible tensors that any language can make: each value depends only on the tensor's name and the index.

    hash(name)   FNV-1a, 64 bits, over the UTF-8 bytes of the name
    z            hash + (index + 1) * 0x9E3779B97F4A7C15, then the finaliser of splitmix64, all modulo 2^64
    u            (z >> 40) / 2^24, which is exact in float32: 0 <= u < 1
    value        offset + scale * (2 u - 1), in float32: t = 2 u - 1 (exact), then m = scale * t (rounded), then offset + m
                 (rounded); no fused multiply-add

The index counts the elements in C order.
"""

from dataclasses import dataclass

import numpy as np

_MASK = (1 << 64) - 1
_FNV_OFFSET, _FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3
_STEP = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIERS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_CHUNK = 1 << 20  # number of elements made at a time, which limits memory


@dataclass(frozen=True)
class Spread:
    """Range of uniform values, offset - scale .. offset + scale. Both are exact float32 numbers."""

    offset: float
    scale: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "offset", float(np.float32(self.offset)))
        object.__setattr__(self, "scale", float(np.float32(self.scale)))


def seeded(name: str, shape: tuple[int, ...], spread: Spread) -> np.ndarray:
    """Returns the float32 tensor of this name and shape."""
    count = int(np.prod(shape))
    values = np.empty(count, dtype=np.float32)
    for start in range(0, count, _CHUNK):
        end = min(start + _CHUNK, count)
        units = _units(_fnv1a(name), np.arange(start, end, dtype=np.uint64))
        values[start:end] = np.float32(spread.offset) + np.float32(spread.scale) * (np.float32(2) * units - np.float32(1))
    return values.reshape(shape)


def _fnv1a(name: str) -> np.uint64:
    value = _FNV_OFFSET
    for byte in name.encode():
        value = ((value ^ byte) * _FNV_PRIME) & _MASK
    return np.uint64(value)


def _units(seed: np.uint64, index: np.ndarray) -> np.ndarray:
    """Returns float32 in [0, 1) for each index."""
    z = seed + (index + np.uint64(1)) * _STEP  # arrays of uint64 wrap around, as intended
    z = (z ^ (z >> np.uint64(30))) * _MULTIPLIERS[0]
    z = (z ^ (z >> np.uint64(27))) * _MULTIPLIERS[1]
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)
