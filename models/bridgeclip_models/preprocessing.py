"""How an encoder wants photos prepared: what a package can say about it, and what is refused.

The device program resizes the short side with Pillow's bicubic filter, cuts out the centre, and normalises each channel with
a mean and a deviation that the package names. Everything else that open_clip knows (`PreprocessCfg`) or Hugging Face's
`preprocessor_config.json` can ask for would give other embeddings.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from .errors import UserError

# CLIP's channel statistics in the order red, green, blue, for pixels in 0..1.
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
_BICUBIC = 3  # number of the filter in Pillow and in Hugging Face's `resample`


@dataclass(frozen=True)
class Preprocessing:
    """Statistics that normalise the pixels, red, green and blue on a scale from 0 to 1."""

    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD


def from_open_clip(settings: Mapping[str, object], image_size: object, source: str) -> Preprocessing:
    """Reads open_clip's `preprocess_cfg`. Missing keys have open_clip's defaults. Fails on what a package cannot say."""
    known = {"size", "mode", "mean", "std", "interpolation", "resize_mode", "fill_color"}
    if unknown := sorted(set(settings) - known):
        raise _refused(source, f"preprocess_cfg.{unknown[0]}", settings[unknown[0]], f"known are {', '.join(sorted(known))}")
    for key, only in (("mode", "RGB"), ("interpolation", "bicubic"), ("resize_mode", "shortest")):
        if settings.get(key, only) != only:
            raise _refused(source, f"preprocess_cfg.{key}", settings[key], f"the device program prepares photos with {only} only")
    _check_size(settings.get("size", image_size), image_size, f"{source}: preprocess_cfg.size")
    return _statistics(settings, "mean", "std", f"{source}: preprocess_cfg")


def from_hugging_face(settings: Mapping[str, object], image_size: int, source: str) -> Preprocessing:
    """Reads `preprocessor_config.json` of a CLIP model. Fails on what a package cannot say."""
    for key in ("do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_convert_rgb"):
        if settings.get(key, True) is not True:
            raise _refused(source, key, settings[key], "the device program always does this")
    if settings.get("resample", _BICUBIC) != _BICUBIC:
        raise _refused(source, "resample", settings["resample"], f"the device program resizes with {_BICUBIC} (bicubic) only")
    factor = settings.get("rescale_factor", 1 / 255)
    if not isinstance(factor, (int, float)) or not math.isclose(factor, 1 / 255, rel_tol=1e-6):
        raise _refused(source, "rescale_factor", factor, "the device program divides pixels by 255")
    size, crop = settings.get("size", image_size), settings.get("crop_size", image_size)
    if isinstance(size, Mapping) and "shortest_edge" not in size:
        raise _refused(source, "size", size, "the device program resizes the shortest edge")
    _check_size(size["shortest_edge"] if isinstance(size, Mapping) else size, image_size, f"{source}: size")
    _check_size([crop.get("height"), crop.get("width")] if isinstance(crop, Mapping) else crop, image_size, f"{source}: crop_size")
    return _statistics(settings, "image_mean", "image_std", source)


def _check_size(size: object, image_size: object, what: str) -> None:
    sides = list(size) if isinstance(size, (list, tuple)) else [size]
    expected = image_size[0] if isinstance(image_size, (list, tuple)) else image_size
    if any(side != expected for side in sides):
        raise UserError(f"{what} is {size}, but the encoder takes {image_size} pixels; a package can only say the encoder's own size")


def _statistics(settings: Mapping[str, object], mean_key: str, std_key: str, source: str) -> Preprocessing:
    mean, std = _channels(settings.get(mean_key, MEAN), f"{source}: {mean_key}"), _channels(settings.get(std_key, STD), f"{source}: {std_key}")
    if min(std) <= 0:
        raise UserError(f"{source}: {std_key} is {list(std)}; positive numbers are expected")
    return Preprocessing(mean, std)


def _channels(value: object, what: str) -> tuple[float, ...]:
    values = list(value) if isinstance(value, (list, tuple)) else [value] * 3
    numbers = [v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v)]
    if len(values) != 3 or len(numbers) != 3:
        raise UserError(f"{what} is {value}; one number per channel (red, green, blue) is expected")
    return tuple(float(number) for number in numbers)


def _refused(source: str, key: str, value: object, why: str) -> UserError:
    return UserError(f"{source}: {key} is {value!r}: {why}, so the package would give other embeddings than the model")
