"""The demo and its goldens, at sizes that take seconds."""

import json
import sqlite3

import numpy as np
import pytest

from bridgeclip_models.captions import categories
from bridgeclip_models.cli import main
from bridgeclip_models.demo import Demo, Plan
from bridgeclip_models.evaluation import read_labels
from bridgeclip_models.recipe import Recipe

RECIPE = Recipe(epochs=1, batch_size=8, warmup_steps=1, augment="none", share_captions=True)
PLAN = Plan(train=24, select=8, tune=8, val=10, reference=16, recipe=RECIPE)


@pytest.fixture
def lines() -> list[str]:
    return []


def test_demo_is_made_once_and_its_goldens_agree(tmp_path, lines, monkeypatch):
    work, out = tmp_path / "work", tmp_path / "demo"
    work.mkdir()
    out.mkdir()
    demo = Demo(PLAN, work, out, lines.append)
    demo.make()
    figures = json.loads((out / "FIGURES.json").read_text())
    assert figures["knn"]["reference_pictures"] == 16
    assert figures["package_bytes"]["float"]["sum"] <= 12_000_000
    rows = np.load(work / "val_embeddings.npy")
    assert rows.shape == (10, 128) and rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)

    first_run = len(lines)
    demo.make()
    assert not [line for line in lines[first_run:] if "macro-F1" not in line], "done steps are skipped"

    goldens = tmp_path / "goldens"
    assert main(["goldens", "--out", str(goldens), "--only", "demo", "--demo", str(out), "--work", str(work)]) == 0
    photos = json.loads((goldens / "demo" / "photos.json").read_text())
    assert np.load(goldens / "demo" / "photos.npy").shape == (len(photos), 128)
    assert len(json.loads((goldens / "demo" / "captions.json").read_text())) == 20

    write_reference(out / "float" / "reference.db", np.load(work / "train_embeddings.npy")[:16], work / "reference.csv")
    assert main(["goldens", "--out", str(goldens), "--only", "classifiers", "--demo", str(out)]) == 0
    answers = json.loads((goldens / "classifiers" / "predictions.json").read_text())
    assert {method: len(rows) for method, rows in answers.items()} == {"knn": 10, "linear": 10, "zero-shot": 10}
    assert all(len(row.split(",")) == 4 for rows in answers.values() for row in rows)


def write_reference(path, rows, csv):
    """Writes the parts of the device program's reference that the goldens read."""
    labels = read_labels(csv)
    names = categories()
    with sqlite3.connect(path) as database:
        database.execute(f"CREATE TABLE photo (id INTEGER PRIMARY KEY, {', '.join(names)})")
        database.execute("CREATE TABLE vector (id INTEGER PRIMARY KEY, f32 BLOB)")
        for index, row in enumerate(rows):
            codes = [bytes(category.classes.index(name) for name in labels[id][index]) for id, category in names.items()]
            database.execute("INSERT INTO photo VALUES (?, ?, ?, ?, ?)", (index + 1, *codes))
            database.execute("INSERT INTO vector VALUES (?, ?)", (index + 1, row.astype("<f4").tobytes()))
