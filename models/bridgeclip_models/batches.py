"""Batches for training: pixels are decoded ahead in the background, then augmented and normalised."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import open_clip
import torch
from torch.nn import functional as F

from .package import MEAN, STD
from .pairs import Pair, PixelSource
from .recipe import Recipe


@dataclass(frozen=True)
class Batch:
    """Some pairs, ready for the model."""

    images: torch.Tensor  # float32 [batch, 3, size, size], normalised
    tokens: torch.Tensor  # int64 [batch, context length]

    @property
    def same_caption(self) -> torch.Tensor:
        """bool [batch, batch]: whether two pairs have the same caption."""
        return (self.tokens[:, None] == self.tokens[None]).all(dim=-1)


class PairSet:
    """The pairs of one CSV file as batches."""

    def __init__(self, pairs: Sequence[Pair], size: int, context_length: int, *, keep: bool, threads: int) -> None:
        tokenizer = open_clip.SimpleTokenizer(context_length=context_length)
        self.tokens = tokenizer([pair.text for pair in pairs])
        self._pixels = PixelSource(pairs, size, keep=keep, threads=threads)

    def __len__(self) -> int:
        return len(self.tokens)

    def steps(self, batch_size: int) -> int:
        """Training batches of one epoch; an incomplete last one is dropped unless it is the only one."""
        return max(1, len(self) // batch_size)

    def training_batches(self, recipe: Recipe, epoch: int, device: torch.device, *, skip: int = 0) -> Iterator[Batch]:
        """The shuffled batches of one epoch, from the batch number `skip` on. Equal for equal seed and epoch."""
        order = np.random.default_rng((recipe.seed, epoch)).permutation(len(self))
        size = recipe.batch_size
        chunks = [order[step * size : (step + 1) * size] for step in range(skip, self.steps(size))]
        for number, batch in enumerate(self._batches(chunks, device), start=skip):
            yield Batch(augment(batch.images, recipe, np.random.default_rng((recipe.seed, epoch, number))), batch.tokens)

    def all_batches(self, batch_size: int, device: torch.device) -> Iterator[Batch]:
        """All pairs in order, the incomplete last batch included."""
        indices = np.arange(len(self))
        yield from self._batches([indices[at : at + batch_size] for at in range(0, len(self), batch_size)], device)

    def _batches(self, chunks: Sequence[np.ndarray], device: torch.device) -> Iterator[Batch]:
        with ThreadPoolExecutor(1) as ahead:
            pending = ahead.submit(self._pixels.batch, chunks[0]) if chunks else None
            for number, chunk in enumerate(chunks):
                pixels = pending.result()
                if number + 1 < len(chunks):
                    pending = ahead.submit(self._pixels.batch, chunks[number + 1])
                yield Batch(normalise(torch.from_numpy(pixels).to(device)), self.tokens[chunk].to(device))


def normalise(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 [batch, size, size, 3] -> float32 [batch, 3, size, size], as open_clip normalises."""
    mean = torch.tensor(MEAN, device=pixels.device).view(1, 3, 1, 1)
    std = torch.tensor(STD, device=pixels.device).view(1, 3, 1, 1)
    return (pixels.permute(0, 3, 1, 2).float() / 255 - mean) / std


def augment(images: torch.Tensor, recipe: Recipe, rng: np.random.Generator) -> torch.Tensor:
    """Random crops, resized to the full size, and random mirroring: [batch, 3, size, size]."""
    if recipe.crop_share >= 1 and not recipe.flip:
        return images
    count = len(images)
    side = np.sqrt(rng.uniform(recipe.crop_share, 1, count))  # of the crop, as a share of the full side
    transforms = np.zeros((count, 2, 3), dtype=np.float32)
    transforms[:, 0, 0] = side * np.where(rng.random(count) < 0.5 * recipe.flip, -1, 1)
    transforms[:, 1, 1] = side
    transforms[:, :, 2] = rng.uniform(-1, 1, (count, 2)) * (1 - side)[:, None]
    grid = F.affine_grid(torch.from_numpy(transforms).to(images.device), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)
