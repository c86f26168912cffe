"""Effects of light and lens on the drawn scene: grain of the surfaces, uneven light, white balance, blur, sensor noise."""

import numpy as np
from PIL import Image, ImageFilter

_OCTAVES = ((9, 5.0), (36, 5.0), (144, 5.0), (576, 4.0), (1400, 4.0))  # cells along the short side, amplitude in grey levels
_SENSOR_NOISE = 4.0  # grey levels
_BLUR_MAX = 0.0035  # radius, as a share of the short side
_BLUR_MAX_PX = 2.5  # px; keeps large pictures sharp, whose blur would be invisible in a small one
_SENSOR_NOISE_BELOW = 600  # px short side: larger pictures have finer texture instead


def photograph(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Returns the scene as a camera would take it."""
    light = _light(rng, picture.size)
    tint = rng.uniform(0.94, 1.06, 3)
    radius = min(rng.uniform(0, _BLUR_MAX) * min(picture.size), _BLUR_MAX_PX)
    noise_seed = int(rng.integers(2**31))
    if radius > 0.3:
        picture = picture.filter(ImageFilter.GaussianBlur(radius))
    factors = [np.clip(np.arange(256) * factor, 0, 255).round().astype(int).tolist() for factor in tint]
    pixels = np.asarray(picture.point(sum(factors, [])), dtype=np.int16)
    grain = _grain(np.random.default_rng(noise_seed), picture.size) + light
    return Image.fromarray(np.clip(pixels + grain[..., None], 0, 255).astype(np.uint8))


def _light(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Returns brightness differences from corner to corner and an overall exposure, in grey levels."""
    corners = rng.uniform(-22, 14, (2, 2)).astype(np.float32) + np.float32(rng.uniform(-12, 14))
    return _enlarged(corners, size, Image.Resampling.BILINEAR)


def _grain(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Returns surface texture in octaves of fixed size on the picture, and noise of single pixels."""
    short = min(size)
    grain = np.zeros((size[1], size[0]), np.float32)
    if short < _SENSOR_NOISE_BELOW:
        grain += np.random.default_rng(int(rng.integers(2**31))).normal(0, _SENSOR_NOISE, grain.shape)
    for cells, amplitude in _OCTAVES:
        if cells > short // 2:
            break
        shape = (round(cells * size[1] / short), round(cells * size[0] / short))
        octave = np.random.default_rng((int(rng.integers(2**31)), cells)).normal(0, amplitude, shape)
        grain += _enlarged(octave.astype(np.float32), size, Image.Resampling.BICUBIC)
    return grain.astype(np.int16)


def _enlarged(field: np.ndarray, size: tuple[int, int], how: Image.Resampling) -> np.ndarray:
    return np.asarray(Image.fromarray(field).resize(size, how))
