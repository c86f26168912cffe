"""The random subsets of a training set by which the published data scaling is measured.

The author samples each subset with pandas, `frame.sample(n=SIZE, random_state=42)`
(https://github.com/t-seino-ml/BridgeCLIP-japanese, commit 6a7eca2, classification/make_subsets_en.sh). pandas draws without
replacement from NumPy's legacy generator, and that is the start of a permutation. The subsets are therefore nested: the 10k
subset is the start of the 20k subset.
"""

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np

from .errors import UserError
from .files import write_atomically

SEED = 42
SIZES = tuple(range(10_000, 130_000, 10_000))  # the thirteenth is the whole training set
ALL = "all"


def subset_rows(total: int, size: int, seed: int = SEED) -> list[int]:
    """Returns the numbers of the sampled rows, in the order of the sample: those of pandas' `sample`."""
    if not 0 < size <= total:
        raise UserError(f"a subset of {size} rows: the training set has {total}; choose 1 to {total}")
    return np.random.RandomState(seed).permutation(total)[:size].tolist()


def size_name(size: int) -> str:
    """Returns the size as the published file names have it: 10k, 20k, or the number itself."""
    return f"{size // 1000}k" if size % 1000 == 0 else str(size)


def parse_size(text: str) -> int:
    """Reads `10000`, `10k` or `all`, which is 0."""
    if text == ALL:
        return 0
    digits = text.removesuffix("k")
    if not digits.isdecimal() or int(digits) == 0:
        raise UserError(f"subset {text!r}: give a number of rows such as 10000 or 10k, or {ALL}")
    return int(digits) * (1000 if text.endswith("k") else 1)


def write_subsets(source: Path, folder: Path, sizes: Sequence[int], seed: int = SEED) -> list[Path]:
    """Writes `NAME_10k.csv` and so on into `folder`, with all columns; a size of 0 is the whole set, `NAME_all.csv`.

    Relative image paths are changed if `folder` is not that of `source`, so that they lead to the same photos.
    """
    header, rows = _table(source)
    for size in sizes:
        if size > len(rows):
            raise UserError(f"{source}: has {len(rows)} rows, fewer than the subset of {size}; leave that size out with --sizes")
    prefix = _way_back(source, folder)
    column = header.index("image")
    rows = [[_moved(cell, prefix) if index == column else cell for index, cell in enumerate(row)] for row in rows]
    return [_write(source, folder, header, rows, size, seed) for size in sizes]


def _write(source: Path, folder: Path, header: list[str], rows: list[list[str]], size: int, seed: int) -> Path:
    chosen = [rows[index] for index in subset_rows(len(rows), size, seed)] if size else rows
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([header, *chosen])
    path = folder / f"{source.stem}_{size_name(size) if size else ALL}.csv"
    write_atomically(path, text.getvalue().encode())
    return path


def _table(source: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with source.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if row]
    except UnicodeDecodeError as error:
        raise UserError(f"{source}: not UTF-8 ({error}); save it as UTF-8") from error
    if not rows or "image" not in rows[0]:
        raise UserError(f"{source}: no column image; its first line must name the columns")
    uneven = next((number for number, row in enumerate(rows, start=1) if len(row) != len(rows[0])), None)
    if uneven:
        raise UserError(f"{source}, row {uneven}: {len(rows[uneven - 1])} cells instead of {len(rows[0])}; repair the row")
    return rows[0], rows[1:]


def _way_back(source: Path, folder: Path) -> str:
    return os.path.relpath(source.resolve().parent, folder.resolve())


def _moved(image: str, prefix: str) -> str:
    absolute = PurePosixPath(image).is_absolute() or PureWindowsPath(image).is_absolute()
    return image if absolute or prefix == "." else f"{prefix}/{image}"
