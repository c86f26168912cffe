"""Pairs of photo and caption: reading the CSV, and decoding the photos.

Photos are decoded as open_clip does: RGB, short side resized to the model's size (bicubic), centre crop; or, for training, a
random crop. A photo that cannot be read ends the training with its row and the reason; nothing replaces it.
"""

import csv
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

from .errors import UserError
from .preprocessing import Preprocessing

UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)  # Pillow's exceptions for a bad file
_BATCHES_AHEAD = 4  # number of batches that are decoded while the model works


@dataclass(frozen=True)
class Pair:
    """A row of the CSV."""

    place: str  # file and line, for error messages
    image: Path
    caption: str


def read_pairs(path: Path, image_root: Path | None = None) -> list[Pair]:
    """Reads the columns `image` and `text`.

    Image paths start at the folder of the CSV. With `image_root`, that folder replaces their directory part.
    """
    pairs = [_pair(place, path, row, image_root) for place, row in read_table(path, ("image", "text"))]
    if not pairs:
        raise UserError(f"{path}: no rows; at least one pair is needed")
    return pairs


def read_table(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yields the rows of a CSV that must have these columns, each with its file and line for error messages."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            missing = [column for column in columns if column not in (reader.fieldnames or ())]
            if missing:
                raise UserError(f"{path}: no column {' and '.join(missing)}; its first line must name {', '.join(columns)}")
            for row in reader:
                yield f"{path}, line {reader.line_num}", row
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 ({error}); save it as UTF-8") from error


def photo_path(place: str, path: Path, cell: str, image_root: Path | None) -> Path:
    """Returns the photo that a cell of the CSV `path` names."""
    image = PurePosixPath(cell.replace("\\", "/"))
    if not image.name:
        raise UserError(f"{place}: the image is empty; fill it in or remove the row")
    return image_root / image.name if image_root else path.parent / image


def normalised(pixels: torch.Tensor, preprocessing: Preprocessing) -> torch.Tensor:
    """Converts uint8 pixels [..., 3, height, width] to float32, normalised by mean and deviation per channel."""
    mean = torch.tensor(preprocessing.mean, device=pixels.device).view(3, 1, 1)
    std = torch.tensor(preprocessing.std, device=pixels.device).view(3, 1, 1)
    return (pixels.float() / 255 - mean) / std


class Photos:
    """Decoded photos of some pairs, read from their files each time, or from memory after `keep`."""

    def __init__(self, pairs: Sequence[Pair], size: int, workers: int) -> None:
        self._pairs = pairs
        self.size = size
        self._workers = workers
        self._kept: torch.Tensor | None = None
        self._crop = Compose([Resize(size, InterpolationMode.BICUBIC), CenterCrop(size)])

    def __len__(self) -> int:
        return len(self._pairs)

    def keep(self) -> None:
        """Decodes all photos into memory: 147 KiB each at 224 pixels."""
        if self._kept is None:
            kept = torch.empty(len(self), 3, self.size, self.size, dtype=torch.uint8)
            with ThreadPoolExecutor(self._workers) as pool:
                for index, pixels in enumerate(pool.map(self._decode, range(len(self)))):
                    kept[index] = pixels
            self._kept = kept

    def batches(
        self, indices: Iterable[torch.Tensor], prepare: Callable[[Image.Image, int], Image.Image] | None = None
    ) -> Iterator[torch.Tensor]:
        """Yields uint8 pixels [batch, 3, size, size] for each tensor of row numbers.

        `prepare` makes a square of the whole photo of a row, instead of the centre. Kept photos are cut at the centre already.
        """
        if self._kept is not None:
            assert prepare is None, "kept photos cannot be prepared in another way"
            yield from (self._kept[batch] for batch in indices)
            return
        decode = partial(self._decode, prepare=prepare)
        remaining = iter(indices)
        with ThreadPoolExecutor(self._workers) as pool:
            try:
                waiting = deque(_submit(pool, decode, batch) for batch in islice(remaining, _BATCHES_AHEAD))
                while waiting:
                    pixels = torch.stack([future.result() for future in waiting.popleft()])
                    waiting.extend(_submit(pool, decode, batch) for batch in islice(remaining, 1))
                    yield pixels
            finally:
                pool.shutdown(cancel_futures=True)

    def _decode(self, index: int, prepare: Callable[[Image.Image, int], Image.Image] | None = None) -> torch.Tensor:
        """Returns one photo as uint8 [3, size, size]."""
        pair = self._pairs[index]
        try:
            with Image.open(pair.image) as image:
                cropped = prepare(image, index) if prepare else self._crop(image.convert("RGB"))
        except UNREADABLE as error:
            raise UserError(f"{pair.place}: cannot read the image {pair.image}: {error}; repair the file or remove the row") from error
        return torch.from_numpy(np.array(cropped)).permute(2, 0, 1)


def _submit(pool: ThreadPoolExecutor, decode: Callable[[int], torch.Tensor], batch: torch.Tensor) -> list[Future[torch.Tensor]]:
    return [pool.submit(decode, index) for index in batch.tolist()]


def _pair(place: str, path: Path, row: dict[str, str], image_root: Path | None) -> Pair:
    image, caption = photo_path(place, path, row["image"], image_root), row["text"]
    if not caption.strip():
        raise UserError(f"{place}: the caption is empty; fill it in or remove the row")
    return Pair(place, image, caption)
