"""Seeded fractal noise on surfaces, band-limited to what a photo of a given scale can show.

Noise is a function of the position on the surface in mm, so a scene has the same stains at every resolution. Octaves
that are shorter than two pixels are left out, and their share of the variance with them, as a lens averages them away.
"""

from functools import cache

import numpy as np
from PIL import Image

TILE = 1024  # texels along a side of the fine tile, which repeats
_COARSE_TILE = 256
_FINE_TEXELS = 32.0  # longest wave of the fine tile
_WAVE_TEXELS = 8.0  # wavelength of the coarse tile, which holds one octave
_COARSE_STEP_MAX = 16  # px between the points at which long waves are computed


@cache
def fine_tile(roughness: float) -> np.ndarray:
    """Returns periodic noise of 2 to 32 texels whose octaves grow with (wavelength)^roughness; deviation 1."""
    return _spectrum(TILE, 1 / _FINE_TEXELS, 0.5, roughness, seed=1)


@cache
def coarse_tile() -> np.ndarray:
    """Returns periodic noise of one octave around 8 texels, deviation 1."""
    return _spectrum(_COARSE_TILE, 0.7 / _WAVE_TEXELS, 1.4 / _WAVE_TEXELS, 0.0, seed=2)


def _spectrum(size: int, low: float, high: float, roughness: float, seed: int) -> np.ndarray:
    """Returns periodic noise between two frequencies in cycles a texel. In two dimensions, octaves of equal amplitude
    have a spectral density of 1/f^2, so the amplitude of a Fourier component falls with f^(1 + roughness)."""
    white = np.fft.rfft2(np.random.default_rng(seed).standard_normal((size, size)))
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    frequency[0, 0] = 1
    band = 1 / (1 + (low / frequency) ** 8) / (1 + (frequency / high) ** 16)
    band[0, 0] = 0
    tile = np.fft.irfft2(white * band * frequency ** -(1 + roughness), (size, size))
    return (tile / tile.std()).astype(np.float32)


def bilinear(tile: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns a periodic tile at positions in texels; the number of texels along a side is a power of two."""
    side = tile.shape[0]
    left, top = np.floor(x), np.floor(y)
    fx, fy = x - left, y - top
    column, row = left.astype(np.int32), top.astype(np.int32)
    right, below = (column + 1) & (side - 1), ((row + 1) & (side - 1)) * side
    column, row = column & (side - 1), (row & (side - 1)) * side
    flat = tile.ravel()
    upper = flat.take(row + column) * (1 - fx) + flat.take(row + right) * fx
    lower = flat.take(below + column) * (1 - fx) + flat.take(below + right) * fx
    return upper * (1 - fy) + lower * fy


def nearest(tile: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns the texels of a periodic tile under positions in texels."""
    side = tile.shape[0]
    index = np.floor(y).astype(np.int32)
    index &= side - 1
    index *= side
    index += np.floor(x).astype(np.int32) & (side - 1)
    return tile.ravel().take(index)


def cells(box: tuple[int, int, int, int], step: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns rows and columns in px of the centres of squares of `step` px that cover a box, with a margin of one.

    The squares lie on a grid of the whole picture, so neighbouring boxes share them.
    """
    top, bottom, left, right = box
    rows = np.arange(top // step - 1, -(-bottom // step) + 1)
    columns = np.arange(left // step - 1, -(-right // step) + 1)
    return (rows + 0.5) * step - 0.5, (columns + 0.5) * step - 0.5


def enlarged(small: np.ndarray, step: int, box: tuple[int, int, int, int]) -> np.ndarray:
    """Returns a field that was computed on `cells(box, step)` at every pixel of the box."""
    top, bottom, left, right = box
    if step == 1:
        return small[1:-1, 1:-1]
    image = Image.fromarray(np.ascontiguousarray(small, dtype=np.float32))
    x, y = left / step - left // step + 1, top / step - top // step + 1
    part = (x, y, x + (right - left) / step, y + (bottom - top) / step)
    return np.asarray(image.resize((right - left, bottom - top), Image.Resampling.BILINEAR, box=part))


def octaves(longest: float, shortest: float, roughness: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns wavelengths and amplitudes of fractal noise; the squares of the amplitudes add up to 1."""
    count = max(1, int(np.floor(np.log2(longest / shortest) + 1e-6)) + 1)
    waves = longest / 2.0 ** np.arange(count)
    amplitudes = (waves / longest) ** roughness
    return waves, amplitudes / np.sqrt(np.sum(amplitudes**2))


def fractal(
    surface, rng: np.random.Generator, longest: float, shortest: float, roughness: float = 0.6, stretch: float = 1.0
) -> np.ndarray:
    """Returns noise on a patch of a surface (`canvas.Patch`): float32, deviation 1 before waves are left out.

    Wavelengths are in mm; along v they are `stretch` times as long.
    """
    waves, amplitudes = octaves(longest, shortest, roughness)
    places = rng.uniform(0, TILE, (len(waves) + 1, 2)).astype(np.float32)
    turns = rng.uniform(0, 2 * np.pi, len(waves) + 1) if stretch == 1.0 else np.zeros(len(waves) + 1)
    pixels = waves / surface.pitch
    coarse = (pixels >= _FINE_TEXELS) | (waves < 1.01 * shortest) & (pixels >= 6)
    fine = ~coarse & (pixels >= 2)
    field = np.zeros(surface.shape, np.float32)
    if coarse.any():
        field = _long_waves(surface, waves[coarse], amplitudes[coarse], places, turns, stretch)
    if fine.any():
        top = waves[fine].max()
        texel = max(top / _FINE_TEXELS, 1e-6)
        x, y = _turned(surface.u, surface.v / np.float32(stretch), texel, turns[-1], places[-1])
        strength = np.sqrt(np.sum(amplitudes[fine] ** 2))
        field = field + nearest(fine_tile(roughness), x, y) * np.float32(strength)
    return field


def _long_waves(
    surface, waves: np.ndarray, amplitudes: np.ndarray, places: np.ndarray, turns: np.ndarray, stretch: float
) -> np.ndarray:
    step = int(np.clip(waves.min() / surface.pitch / 5, 1, _COARSE_STEP_MAX))
    u, v = surface.sparse(step)
    v = v / np.float32(stretch)
    total = np.zeros(u.shape, np.float32)
    for wave, amplitude, place, turn in zip(waves, amplitudes, places[:-1], turns[:-1], strict=False):
        x, y = _turned(u, v, wave / _WAVE_TEXELS, turn, place)
        total += bilinear(coarse_tile(), x, y) * np.float32(amplitude)
    return enlarged(total, step, surface.box)


def _turned(
    u: np.ndarray, v: np.ndarray, texel: float, turn: float, place: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    cos, sin = np.float32(np.cos(turn) / texel), np.float32(np.sin(turn) / texel)
    return u * cos - v * sin + place[0], u * sin + v * cos + place[1]
