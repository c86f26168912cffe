"""Embeddings of many photos and texts, kept in files so that an interrupted measurement continues.

A file is named after everything that decides its content: the hash of the checkpoint, the architecture, the way the photos
are prepared, and the photos (path, size, time of change) or the tokens. Rows are computed in blocks, each written whole.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image

from ..architecture import Architecture, build_model
from ..checkpoint import Checkpoint
from ..errors import UserError
from ..files import write_atomically
from ..pairs import Pair, Photos, normalised
from ..progress import say
from .retrieval import Side

_BLOCK = 2048  # rows that an interruption can lose at most
_BATCH = 128
_INTERVAL = 10.0  # seconds between two lines of progress

Prepare = Callable[[Image.Image, int], Image.Image]


@dataclass(frozen=True)
class Encoder:
    """A model with its weights, on its device."""

    name: str  # in progress messages
    checkpoint: Checkpoint
    architecture: Architecture
    model: torch.nn.Module
    device: torch.device

    @classmethod
    def of(cls, name: str, checkpoint: Checkpoint, architecture: Architecture, device: torch.device) -> "Encoder":
        model = build_model(architecture).eval()
        model.load_state_dict(checkpoint.state_dict)
        return cls(name, checkpoint, architecture, model.to(device), device)

    @property
    def size(self) -> int:
        return self.architecture.vision.image_size

    @torch.inference_mode()
    def images(self, pixels: torch.Tensor, *, normalize: bool) -> np.ndarray:
        """Embeds uint8 pixels [batch, 3, size, size]: float32 [batch, dim]."""
        prepared = normalised(pixels.to(self.device), self.architecture.preprocessing)
        return self.model.encode_image(prepared, normalize=normalize).float().cpu().numpy()

    @torch.inference_mode()
    def texts(self, tokens: torch.Tensor) -> np.ndarray:
        """Embeds token rows: float32 [texts, dim], of unit length."""
        return self.model.encode_text(tokens.to(self.device), normalize=True).float().cpu().numpy()


@dataclass(frozen=True)
class Cache:
    """Embeddings in a folder."""

    folder: Path
    workers: int  # threads that decode photos
    out: Callable[[str], None] = say

    def photos(
        self, encoder: Encoder, pairs: Sequence[Pair], what: str, *, prepared: str = "centre", prepare: Prepare | None = None, normalize: bool = True
    ) -> np.ndarray:
        """Embeds the photos of all pairs: float32 [pairs, dim]. `prepared` names in words what `prepare` does."""
        key = _key(encoder, {"prepared": prepared, "normalize": normalize, "photos": [_stamp(pair) for pair in pairs]})
        photos = Photos(pairs, encoder.size, self.workers)

        def block(start: int, stop: int) -> np.ndarray:
            batches = torch.arange(start, stop).split(_BATCH)
            return np.concatenate([encoder.images(pixels, normalize=normalize) for pixels in photos.batches(batches, prepare)])

        return self._rows(key, len(pairs), block, f"{what} photos, {encoder.name}")

    def photo_side(self, encoder: Encoder, pairs: Sequence[Pair], what: str) -> Side:
        """Embeds photos for retrieval, each file once."""
        first: dict[Path, int] = {}
        group = np.array([first.setdefault(pair.image, len(first)) for pair in pairs])
        starts = [int(np.flatnonzero(group == number)[0]) for number in range(len(first))] if len(first) < len(pairs) else range(len(pairs))
        return Side(self.photos(encoder, [pairs[row] for row in starts], what), group)

    def text_side(self, encoder: Encoder, texts: Sequence[str], what: str) -> Side:
        """Embeds texts for retrieval; texts with the same tokens are one item."""
        rows = open_clip.SimpleTokenizer(context_length=encoder.architecture.text.context_length)(list(texts))
        tokens, group = torch.unique(rows, dim=0, return_inverse=True)
        key = _key(encoder, {"tokens": hashlib.sha256(tokens.numpy().tobytes()).hexdigest()})

        def block(start: int, stop: int) -> np.ndarray:
            return np.concatenate([encoder.texts(batch) for batch in tokens[start:stop].split(_BATCH)])

        return Side(self._rows(key, len(tokens), block, f"{what} captions, {encoder.name}"), group.numpy())

    def _rows(self, key: str, count: int, block: Callable[[int, int], np.ndarray], what: str) -> np.ndarray:
        path = self.folder / f"{key}.npy"
        if (rows := _load(path, count)) is not None:
            return rows
        blocks = self.folder / f"{key}.blocks"
        began, computed, shown, found = time.monotonic(), 0, time.monotonic(), []
        for start in range(0, count, _BLOCK):
            stop, part = min(start + _BLOCK, count), blocks / f"{start:08}.npy"
            if (rows := _load(part, stop - start)) is None:
                rows = block(start, stop)
                write_atomically(part, _bytes(rows))
                computed += stop - start
            found.append(rows)
            now = time.monotonic()
            if computed and (now - shown > _INTERVAL or stop == count):
                shown, rate = now, computed / max(now - began, 1e-9)
                self.out(f"{what}: {stop} of {count}, {rate:.0f} per second, {timedelta(seconds=round((count - stop) / rate))} left")
        rows = np.concatenate(found)
        write_atomically(path, _bytes(rows))
        self.forget_blocks(blocks)
        return rows

    @staticmethod
    def forget_blocks(blocks: Path) -> None:
        if blocks.is_dir():
            for part in blocks.iterdir():
                part.unlink()
            blocks.rmdir()


def _key(encoder: Encoder, content: Mapping[str, object]) -> str:
    model = {"sha256": encoder.checkpoint.sha256, "config": encoder.architecture.config, "pixels": str(encoder.architecture.preprocessing)}
    return hashlib.sha256(json.dumps([model, content], sort_keys=True).encode()).hexdigest()[:32]


def _stamp(pair: Pair) -> list[object]:
    try:
        found = pair.image.stat()
    except OSError as error:
        raise UserError(f"{pair.place}: cannot read the image {pair.image}: {error.strerror}; repair the path or remove the row") from error
    return [str(pair.image), found.st_size, found.st_mtime_ns]


def _load(path: Path, count: int) -> np.ndarray | None:
    """Returns the rows of a file, or None if it is absent or holds something else."""
    try:
        rows = np.load(path, allow_pickle=False)
    except (FileNotFoundError, ValueError, EOFError):
        return None
    return rows if rows.ndim == 2 and len(rows) == count and rows.dtype == np.float32 else None


def _bytes(rows: np.ndarray) -> bytes:
    file = BytesIO()
    np.save(file, np.ascontiguousarray(rows, np.float32))
    return file.getvalue()
