"""From radiance to the bytes of a camera: lens, motion, exposure, noise, sharpening, tone curve and JPEG.

Noise follows the usual model of sensors, variance = gain * signal + read noise^2 (Foi et al., 2008). The amounts suit
compact cameras at ISO 100 to 1600. JPEG qualities and subsampling are what cameras use (88 to 96, 4:2:0 or 4:2:2).
"""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

_LUMA = (0.2126, 0.7152, 0.0722)
_CURVE_STEPS = 4096
_CURVE_TOP = 1.0  # exposure at which the sensor is full
_SKY_LEVEL = 4.0  # times the median: brighter parts count less in metering
_LENS_BLUR_PX_12MP = 0.62  # deviation of the point spread at 12 MP


@dataclass(frozen=True)
class Exposure:
    """How one photo was taken."""

    value: float  # brightness that the automatic exposure aims at
    iso: int
    blur_px: float  # length of the motion blur, px at 12 MP
    blur_angle: float
    vignetting: float  # share of light that is lost in the corners
    balance: tuple[float, float, float]
    contrast: float
    saturation: float
    sharpening: float
    quality: int
    subsampling: int  # Pillow's number: 1 is 4:2:2, 2 is 4:2:0

    @classmethod
    def of(cls, rng: np.random.Generator, dark: bool) -> "Exposure":
        blurred = rng.random() < (0.3 if dark else 0.12)
        return cls(
            value=float(0.17 * 2 ** rng.normal(0, 0.4)),
            iso=int(rng.choice((400, 800, 1600) if dark else (100, 200, 400))),
            blur_px=float(rng.uniform(1.5, 8)) if blurred else 0.0,
            blur_angle=float(rng.uniform(0, np.pi)),
            vignetting=float(rng.uniform(0.08, 0.38)),
            balance=(float(np.exp(rng.normal(0, 0.04))), 1.0, float(np.exp(rng.normal(0, 0.06)))),
            contrast=float(rng.uniform(0.9, 1.35)),
            saturation=float(rng.uniform(0.95, 1.3)),
            sharpening=float(rng.uniform(0.2, 0.8)),
            quality=int(rng.choice((88, 90, 92, 93, 95, 96))),
            subsampling=int(rng.choice((1, 2, 2))),
        )


def develop(radiance: np.ndarray, exposure: Exposure, rng: np.random.Generator) -> np.ndarray:
    """Returns the picture as uint8 [height, width, 3]. `radiance` [3, height, width] is overwritten."""
    height, width = radiance.shape[1:]
    scale = np.sqrt(width * height / 12e6)
    _expose(radiance, exposure)
    for channel in range(3):
        _soften(radiance[channel], min(_LENS_BLUR_PX_12MP, 0.4 + 0.22 * scale))
    if exposure.blur_px * scale > 1:
        radiance[:] = [_moved(channel, exposure.blur_px * scale, exposure.blur_angle) for channel in radiance]
    _add_noise(radiance, exposure.iso, rng, scale)
    _sharpen(radiance, exposure.sharpening)
    return _toned(radiance, exposure)


def jpeg(pixels: np.ndarray, exposure: Exposure, exif: bytes = b"") -> bytes:
    """Returns the photo's file."""
    buffer = io.BytesIO()
    more = {"exif": exif} if exif else {}
    Image.fromarray(pixels).save(buffer, "JPEG", quality=exposure.quality, subsampling=exposure.subsampling, **more)
    return buffer.getvalue()


def _expose(radiance: np.ndarray, exposure: Exposure) -> None:
    """Scales radiance so that its geometric mean, weighted to the middle, is the wanted one: cameras spare the shadows
    before a bright sky in the same way."""
    height, width = radiance.shape[1:]
    step = max(1, width // 120)
    small = sum(weight * channel[::step, ::step] for weight, channel in zip(_LUMA, radiance, strict=True))
    y, x = np.linspace(-1, 1, small.shape[0])[:, None], np.linspace(-1, 1, small.shape[1])[None, :]
    weight = np.exp(-1.2 * (x * x + y * y)) * np.where(small > _SKY_LEVEL * np.median(small), 0.25, 1)
    gain = exposure.value / float(np.exp((np.log(np.maximum(small, 1e-4)) * weight).sum() / weight.sum()))
    corner = (height**2 + width**2) / 4
    falloff = (1 - exposure.vignetting * (((np.arange(height) - height / 2) ** 2)[:, None] / corner)).astype(np.float32)
    falloff = (
        falloff - (exposure.vignetting * ((np.arange(width) - width / 2) ** 2) / corner).astype(np.float32)[None, :]
    )
    for channel, balance in zip(radiance, exposure.balance, strict=True):
        channel *= np.float32(gain * balance)
        channel *= falloff


def _soften(channel: np.ndarray, deviation: float) -> None:
    """Blurs by three taps in each direction, which have the variance of the point spread."""
    side = np.float32(deviation**2 / 2)
    for view in (channel, channel.T):
        inner = view[1:-1] * (1 - 2 * side) + (view[:-2] + view[2:]) * side
        view[1:-1] = inner


def _moved(channel: np.ndarray, length: float, angle: float) -> np.ndarray:
    """Returns the mean of copies along a short straight path."""
    count = max(2, int(np.ceil(length)))
    pad = int(np.ceil(length))
    padded = np.pad(channel, pad, mode="edge")
    total = np.zeros_like(channel)
    for share in np.linspace(-0.5, 0.5, count):
        y, x = (round(float(share * length * f)) for f in (np.sin(angle), np.cos(angle)))
        total += padded[pad + y : pad + y + channel.shape[0], pad + x : pad + x + channel.shape[1]]
    return total / np.float32(count)


def _add_noise(radiance: np.ndarray, iso: int, rng: np.random.Generator, scale: float) -> None:
    """Adds noise of brightness to all channels alike, and half as much to each by itself in blocks of 2 x 2 px."""
    gain, read = 1.1e-6 * iso, 1.2e-5 * iso
    strength = min(1.0, scale + 0.15)  # a small picture is the mean of many pixels
    shape = radiance.shape[1:]
    common = rng.standard_normal(shape, dtype=np.float32)
    common *= np.sqrt(np.maximum(radiance[1], 0) * np.float32(gain) + np.float32(read**2)) * np.float32(strength)
    half = (-(-shape[0] // 2), -(-shape[1] // 2))
    for channel, amount in zip(radiance, (0.7, 0.35, 0.9), strict=True):
        own = rng.standard_normal(half, dtype=np.float32).repeat(2, axis=0)[: shape[0]].repeat(2, axis=1)[:, : shape[1]]
        own *= np.float32(0.6 * amount)
        own += 1
        channel += common * own


def _sharpen(radiance: np.ndarray, amount: float) -> None:
    """Adds to all channels what sets green apart from its four neighbours' mean: cameras sharpen brightness."""
    green = radiance[1]
    detail = np.zeros_like(green)
    detail[1:-1, 1:-1] = (
        green[1:-1, 1:-1] - (green[:-2, 1:-1] + green[2:, 1:-1] + green[1:-1, :-2] + green[1:-1, 2:]) / 4
    )
    detail *= np.float32(amount)
    for channel in radiance:
        channel += detail


def _toned(radiance: np.ndarray, exposure: Exposure) -> np.ndarray:
    luma = sum(np.float32(weight) * channel for weight, channel in zip(_LUMA, radiance, strict=True))
    curve = _curve(exposure.contrast)
    picture = np.empty((*luma.shape, 3), np.uint8)
    for number, channel in enumerate(radiance):
        channel -= luma
        channel *= np.float32(exposure.saturation)
        channel += luma
        channel *= np.float32(_CURVE_STEPS / _CURVE_TOP)
        np.clip(channel, 0, _CURVE_STEPS - 1, out=channel)
        picture[..., number] = curve.take(channel.astype(np.int16))
    return picture


def _curve(contrast: float) -> np.ndarray:
    """Returns the tone curve, uint8 [4096]: sRGB with a soft shoulder and more contrast around middle grey."""
    x = np.arange(_CURVE_STEPS) / (_CURVE_STEPS - 1) * _CURVE_TOP
    shoulder = x * (1 + x * 0.35) / (1 + 0.35 * x * x) / (1.35 / 1.35)
    shoulder = shoulder / shoulder[-1]
    middle = 0.18
    bent = np.where(shoulder < middle, middle * (shoulder / middle) ** contrast, shoulder)
    srgb = np.where(bent <= 0.0031308, 12.92 * bent, 1.055 * np.maximum(bent, 1e-9) ** (1 / 2.4) - 0.055)
    return np.clip(srgb * 255 + 0.5, 0, 255).astype(np.uint8)
