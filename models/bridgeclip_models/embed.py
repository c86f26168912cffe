"""Embeddings of photos and texts by a PyTorch model, with open_clip's own transform and tokenizer."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image

from .errors import UserError
from .pairs import UNREADABLE
from .preprocessing import MEAN, STD

_BATCH = 64


@torch.inference_mode()
def embed_images(model: torch.nn.Module, paths: Sequence[Path]) -> np.ndarray:
    """Returns the embeddings of photos: float32 [len(paths), dim], rows of unit length."""
    size = model.visual.image_size
    transform = open_clip.image_transform(size, is_train=False, mean=MEAN, std=STD)
    batches = (torch.stack([_prepare(transform, path) for path in batch]) for batch in _batches(paths))
    return torch.cat([model.encode_image(batch, normalize=True) for batch in batches]).numpy()


@torch.inference_mode()
def embed_texts(model: torch.nn.Module, texts: Sequence[str]) -> np.ndarray:
    """Returns the embeddings of texts: float32 [len(texts), dim], rows of unit length."""
    tokenizer = open_clip.SimpleTokenizer(context_length=model.context_length)
    return torch.cat([model.encode_text(tokenizer(list(batch)), normalize=True) for batch in _batches(texts)]).numpy()


def _batches(items: Sequence) -> Iterator[Sequence]:
    return (items[start : start + _BATCH] for start in range(0, len(items), _BATCH))


def _prepare(transform: Callable[[Image.Image], torch.Tensor], path: Path) -> torch.Tensor:
    """Returns the normalised pixels of a photo: [3, size, size]."""
    try:
        with Image.open(path) as image:
            return transform(image.convert("RGB"))
    except UNREADABLE as error:
        raise UserError(f"{path}: cannot read the image: {error}; repair or replace it") from error
