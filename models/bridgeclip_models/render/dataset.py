"""A data set of rendered photos: JPEG files, and the CSV of their labels and captions."""

import csv
import hashlib
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from ..captions import Labels, caption
from .scene import render

COLUMNS = (
    "image", "text", "kenzenudo", "taisaku", "damage_type", "damage_loc",
    "kenzenudo_valid", "taisaku_valid", "damage_type_valid", "damage_loc_valid",
)
SHORT_SIDE = 256  # px
JPEG_QUALITY = 88
SHAPES = ((4, 3), (3, 2), (3, 4))  # width : height
_SHAPE_SHARES = (0.55, 0.25, 0.2)
_BATCH = 16  # photos per message to a worker


def generate(out_dir: Path, count: int, seed: int, split: str, workers: int = 2) -> Path:
    """Writes `out_dir/<split>/*.jpg` and `out_dir/<split>.csv`, and returns the path of the CSV.

    A photo depends only on `seed`, `split` and its index, not on `count` or `workers`. Splits share no scene.
    """
    folder = out_dir / split
    folder.mkdir(parents=True, exist_ok=True)
    photograph = partial(_write_photo, folder, seed)
    with ProcessPoolExecutor(workers) as pool:
        labels = list(_with_progress(pool.map(photograph, range(count), chunksize=_BATCH), count, split))
    rows = [row(f"{split}/{_file_name(index)}", found) for index, found in enumerate(labels)]
    return write_csv(out_dir / f"{split}.csv", rows)


def row(image: str, labels: Labels) -> dict[str, str]:
    """Returns a CSV row whose four categories are all valid."""
    cells = (
        image, caption(labels), labels.soundness, labels.measure, "|".join(labels.damage_type), "|".join(labels.damage_location),
        "1", "1", "1", "1",
    )
    return dict(zip(COLUMNS, cells, strict=True))


def write_csv(path: Path, rows: Iterable[dict[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def _write_photo(folder: Path, seed: int, index: int) -> Labels:
    stream = scene_seed(seed, folder.name, index)
    shape = SHAPES[np.random.default_rng((*stream, 1)).choice(len(SHAPES), p=_SHAPE_SHARES)]
    size = tuple(SHORT_SIDE * side // min(shape) for side in shape)
    scene = render(stream, size)
    scene.image.save(folder / _file_name(index), quality=JPEG_QUALITY)
    return scene.labels


def scene_seed(seed: int, split: str, index: int) -> tuple[int, ...]:
    """Returns the seed of one scene. It contains a hash of the split's name, so that splits are separate random streams."""
    return seed, int.from_bytes(hashlib.sha256(split.encode()).digest()[:8], "little"), index


def _file_name(index: int) -> str:
    return f"{index:05d}.jpg"


def _with_progress(photos: Iterable[Labels], count: int, split: str) -> Iterable[Labels]:
    """Passes the photos on, and counts them on stderr if that is a terminal."""
    visible = sys.stderr.isatty()
    for done, labels in enumerate(photos, start=1):
        if visible:
            print(f"\r{split}: {done} of {count} photos", end="\n" if done == count else "", file=sys.stderr, flush=True)
        yield labels
