"""The rows of a labelled CSV: photos, captions, and labels in English or Japanese."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np

from ..captions import RATING_GLYPHS, categories
from ..errors import UserError
from ..knn import LabelSet
from ..pairs import Pair, photo_path, read_table

_TRUE, _FALSE = ("true", "1", "1.0"), ("false", "0", "0.0", "")


@dataclass(frozen=True)
class Rows:
    """Rows of a CSV, in its order."""

    pairs: list[Pair]  # captions may be empty
    labels: dict[str, list[LabelSet]]  # English names in the order of the cells, by category id
    valid: np.ndarray  # bool [rows], whether all four categories are valid

    def __len__(self) -> int:
        return len(self.pairs)

    def take(self, rows: Sequence[int]) -> "Rows":
        """Returns these rows in this order."""
        labels = {name: [found[row] for row in rows] for name, found in self.labels.items()}
        return Rows([self.pairs[row] for row in rows], labels, self.valid[np.asarray(rows, np.int64)])

    def truth(self, category: str) -> np.ndarray:
        """Returns bool [rows, classes]."""
        return indicator(self.labels[category], category)


def indicator(labels: Sequence[LabelSet], category: str) -> np.ndarray:
    """Returns which classes each row has: bool [rows, classes], in the published order."""
    numbers = {name: number for number, name in enumerate(categories()[category].classes)}
    matrix = np.zeros((len(labels), len(numbers)), bool)
    for row, found in enumerate(labels):
        matrix[row, [numbers[name] for name in found]] = True
    return matrix


def read_rows(path: Path, image_root: Path | None) -> Rows:
    """Reads a CSV with the columns image, text and those of the four categories.

    The columns `<category>_valid` are optional; without them a category is valid where it has a label. A label that is
    neither a published English name nor a Japanese one ends the reading with its line.
    """
    columns = {category.id: category.column for category in categories().values()}
    pairs, labels, valid = [], {name: [] for name in columns}, []
    for place, row in read_table(path, ("image", "text", *columns.values())):
        pairs.append(Pair(place, photo_path(place, path, row["image"], image_root), row["text"]))
        for name, column in columns.items():
            labels[name].append(_cell(row[column], name, place))
        valid.append(all(_is_valid(row, column, labels[name][-1], place) for name, column in columns.items()))
    if not pairs:
        raise UserError(f"{path}: no rows; at least one is needed")
    return Rows(pairs, labels, np.array(valid))


def _cell(cell: str, category: str, place: str) -> LabelSet:
    known = _spellings()[category]
    words = [word for word in (part.strip() for part in cell.split("|")) if word]
    if unknown := [word for word in words if word not in known]:
        raise UserError(f"{place}: {unknown[0]!r} is no class of {category}; known are {', '.join(known)}")
    return tuple(dict.fromkeys(known[word] for word in words))


def _is_valid(row: dict[str, str], column: str, labels: LabelSet, place: str) -> bool:
    key = f"{column}_valid"
    if key not in row:
        return bool(labels)
    flag = row[key].strip().lower()
    if flag not in _TRUE + _FALSE:
        raise UserError(f"{place}: {key} is {row[key]!r}; True or False is expected")
    return flag in _TRUE


@cache
def _spellings() -> dict[str, dict[str, str]]:
    """Returns the English name of each known spelling, by category id."""
    text = resources.files(__package__.rpartition(".")[0]).joinpath("labels.toml").read_text(encoding="utf-8")
    found = {item["id"]: {name: c["en"] for c in item["classes"] for name in (c["en"], c["ja"])} for item in tomllib.loads(text)["category"]}
    found["soundness"] |= {glyph: rating for rating, glyph in RATING_GLYPHS.items()}
    return found
