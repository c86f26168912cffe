"""Images of seeded pixels and their embeddings: what the image encoders are compared on without a photo or its decoder."""

import numpy as np
import torch

from .seeded import Spread, seeded

_PIXELS = Spread(offset=0.15, scale=1.95)  # about the range of normalised pixels
_IMAGES = 3


@torch.inference_mode()
def image_results(model: torch.nn.Module) -> list[dict]:
    """For each image: the rule that makes its pixels [1, 3, size, size] again, and its unit-length embedding."""
    size = model.visual.image_size
    height, width = size if isinstance(size, tuple) else (size, size)
    shape = (1, 3, height, width)
    return [_result(model, f"input/{index}", shape) for index in range(_IMAGES)]


def floats(row: torch.Tensor) -> list[float]:
    """float32 values with as few digits as name them exactly."""
    return [float(np.format_float_scientific(value, unique=True)) for value in row.numpy()]


def _result(model: torch.nn.Module, name: str, shape: tuple[int, ...]) -> dict:
    pixels = torch.from_numpy(seeded(name, shape, _PIXELS))
    embedding = floats(model.encode_image(pixels, normalize=True)[0])
    return {"name": name, "shape": list(shape), "offset": _PIXELS.offset, "scale": _PIXELS.scale, "embedding": embedding}
