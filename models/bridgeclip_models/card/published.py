"""Published figures to compare with: two sets come with the program, others from a file.

A file is JSON: `name` and `source` in words; `figures`, numbers by key as the card's own JSON has them; and optionally
`rows`, other models' macro-F1 in the four categories and their mean, to be shown in the table.
"""

import json
import math
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from ..errors import UserError

SETS = ("en", "ja")  # captions of the published checkpoint


@dataclass(frozen=True)
class Published:
    """Figures of somebody else."""

    name: str
    source: str
    figures: dict[str, float]
    rows: dict[str, list[float]] = field(default_factory=dict)  # model -> macro-F1 of the categories and their mean


def load_published(name_or_path: str) -> Published:
    """Reads one of the sets that come with the program, or a file."""
    if name_or_path in SETS:
        text = resources.files(__package__.rpartition(".")[0]).joinpath(f"published-{name_or_path}.json").read_text(encoding="utf-8")
    else:
        try:
            text = Path(name_or_path).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise UserError(f"{name_or_path}: no such file of published figures; give one, or {' or '.join(SETS)}") from None
    return _parsed(text, name_or_path)


def _parsed(text: str, source: str) -> Published:
    try:
        content = json.loads(text)
        published = Published(str(content["name"]), str(content["source"]), dict(content["figures"]), dict(content.get("rows", {})))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{source}: {error!r}; a JSON object with name, source and figures is expected") from error
    numbers = {**published.figures, **{f"{name}[{i}]": v for name, row in published.rows.items() for i, v in enumerate(row)}}
    for key, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise UserError(f"{source}: {key} is {value!r}; a number is expected")
    if uneven := [name for name, row in published.rows.items() if len(row) != 5]:
        raise UserError(f"{source}: rows.{uneven[0]} needs five numbers: four categories and their mean")
    return published
