"""Pairs of image and caption from a CSV file, and their pixels."""

import csv
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import open_clip
from PIL import Image

from .errors import UserError
from .package import MEAN, STD

PixelTransform = Callable[[Image.Image], np.ndarray]


@dataclass(frozen=True)
class Pair:
    """One row of a CSV file."""

    image: Path
    text: str
    place: str  # file and line, for messages
    cells: dict[str, str]  # all columns


def read_pairs(csv_path: Path, image_root: Path | None = None) -> list[Pair]:
    """The rows of a CSV with the columns `image` and `text`.

    `image_root` replaces the directory part of the image column; without it, relative paths start at the CSV's folder.
    """
    try:
        with csv_path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [column for column in ("image", "text") if column not in (reader.fieldnames or ())]
            if missing:
                raise UserError(f"{csv_path}: no column {' and '.join(missing)}; the header is {reader.fieldnames}")
            pairs = [_pair(csv_path, row, reader.line_num, image_root) for row in reader]
    except UnicodeDecodeError as error:
        raise UserError(f"{csv_path}: not UTF-8 ({error}); save it as UTF-8") from error
    if not pairs:
        raise UserError(f"{csv_path}: no rows; at least one pair is needed")
    return pairs


def _pair(csv_path: Path, row: dict[str, str], line: int, image_root: Path | None) -> Pair:
    place = f"{csv_path}, line {line}"
    if not row["image"] or not row["text"]:
        raise UserError(f"{place}: image or text is empty; complete or remove the row")
    written = PurePosixPath(row["image"].replace("\\", "/"))
    image = csv_path.parent / written if image_root is None else image_root / written.name
    return Pair(image, row["text"], place, row)


def pixel_transform(size: int) -> PixelTransform:
    """open_clip's resize and centre crop on a decoded image -> uint8 [size, size, 3], before normalisation."""
    resize, crop, *_ = open_clip.image_transform(size, is_train=False, mean=MEAN, std=STD).transforms
    return lambda image: np.asarray(crop(resize(image)).convert("RGB"))


def load_pixels(pair: Pair, transform: PixelTransform) -> np.ndarray:
    """Decodes one image: uint8 [size, size, 3]. An unreadable image is an error that names its row."""
    try:
        with Image.open(pair.image) as image:
            return transform(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else error
        raise UserError(f"{pair.place}: {pair.image}: unreadable image: {reason}; replace it or remove the row") from error


class PixelSource:
    """Decodes the images of a data set in threads; keeps them in memory if asked to."""

    def __init__(self, pairs: Sequence[Pair], size: int, *, keep: bool, threads: int) -> None:
        self._pairs = pairs
        self._transform = pixel_transform(size)
        self._pool = ThreadPoolExecutor(threads)  # Pillow lets other threads run while it decodes
        self._kept: dict[int, np.ndarray] | None = {} if keep else None

    def batch(self, indices: Sequence[int]) -> np.ndarray:
        """uint8 [len(indices), size, size, 3]."""
        return np.stack(list(self._pool.map(self._pixels, indices)))

    def _pixels(self, index: int) -> np.ndarray:
        if self._kept is None:
            return load_pixels(self._pairs[index], self._transform)
        if index not in self._kept:
            self._kept[index] = load_pixels(self._pairs[index], self._transform)
        return self._kept[index]
