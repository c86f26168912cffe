"""JSON files with one entry per line, so that a change touches few lines."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path


def write_list(path: Path, entries: Sequence[object]) -> Path:
    path.write_text(f"{_lines(entries)}\n", encoding="utf-8")
    return path


def write_lists(path: Path, lists: Mapping[str, Sequence[object]]) -> Path:
    """Writes an object whose values are lists."""
    members = ",\n".join(f"{json.dumps(name)}: {_lines(entries)}" for name, entries in lists.items())
    path.write_text(f"{{\n{members}\n}}\n", encoding="utf-8")
    return path


def _lines(entries: Sequence[object]) -> str:
    # ASCII escapes make invisible and look-alike characters readable.
    return "[\n" + ",\n".join(json.dumps(entry, ensure_ascii=True) for entry in entries) + "\n]"
