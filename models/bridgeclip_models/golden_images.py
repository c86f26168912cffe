"""Images of seeded pixels and their embeddings, for comparing image encoders without a photo or a decoder."""

import numpy as np
import torch

from .seeded import Spread, seeded

_PIXELS = Spread(offset=0.15, scale=1.95)  # approximate range of normalised pixels
_IMAGES = 3


@torch.inference_mode()
def image_results(model: torch.nn.Module) -> list[dict]:
    """Returns for each image the rule that makes its pixels [1, 3, size, size], and its unit-length embedding."""
    size = model.visual.image_size
    height, width = size if isinstance(size, tuple) else (size, size)
    shape = (1, 3, height, width)
    return [_result(model, f"input/{index}", shape) for index in range(_IMAGES)]


def floats(row: torch.Tensor) -> list[float]:
    """Returns float32 values with the fewest digits that identify them."""
    return [float(np.format_float_scientific(value, unique=True)) for value in row.numpy()]


def _result(model: torch.nn.Module, name: str, shape: tuple[int, ...]) -> dict:
    pixels = torch.from_numpy(seeded(name, shape, _PIXELS))
    embedding = floats(model.encode_image(pixels, normalize=True)[0])
    return {"name": name, "shape": list(shape), "offset": _PIXELS.offset, "scale": _PIXELS.scale, "embedding": embedding}
