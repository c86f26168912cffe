"""Answers of the published classifiers in NumPy and PyTorch on the demo's held-out pictures. Tests compare the device
software's answers with them, photo by photo.

All three classifiers see the same embeddings as the device software: those of the held-out pictures in the goldens, and
those of the labelled pictures in the float package's `reference.db`.
"""

import sqlite3
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from .captions import Category, categories
from .demo_model import FLOAT_PACKAGE, load_demo_model
from .embed import embed_texts
from .errors import UserError
from .heads import Preparation, heads_bytes
from .json_lines import write_lists
from .knn import LabelSet, neighbours, vote

_PROMPTS = Path(__file__).parents[2] / "deploy/prompts.toml"
_FEATURE_LENGTH = 10.0  # of CLIP's image features before normalisation, as the published heads receive them
_EPOCHS, _BATCH, _LEARNING_RATE, _WEIGHT_DECAY, _DROPOUT, _SEED = 30, 64, 1e-3, 1e-4, 0.3, 42
_SIZE = 224  # input of the demo's image encoder, in pixels; photos are prepared without a margin
_LINEAR_MIN, _ZERO_SHOT_MIN = 0.5, 0.3  # probability from which a class of a multi-label category counts


def write_classifiers(out: Path, demo: Path) -> Iterator[Path]:
    """Yields the files that it writes into `out/classifiers`.

    heads.bin          linear heads that PyTorch trained on the reference, in their stored form
    prompts.npy        float32 embeddings of the built-in prompts, class by class
    predictions.json   answers by method, one row per held-out picture: class indexes per category, joined by |
    """
    queries = _queries(out / "demo" / "val_embeddings.npy")
    rows, labels = _read_reference(demo / FLOAT_PACKAGE / "reference.db")
    folder = out / "classifiers"
    folder.mkdir(exist_ok=True)
    heads = _trained_heads(rows, labels)
    yield _write_bytes(folder / "heads.bin", heads_bytes(heads.state_dict(), Preparation(_SIZE, _SIZE)))
    prompts = _read_prompts(_PROMPTS)
    embedded = embed_texts(load_demo_model(demo / FLOAT_PACKAGE), [text for texts in prompts.values() for text in texts])
    np.save(folder / "prompts.npy", embedded.astype("<f4"))
    yield folder / "prompts.npy"
    answers = {
        "knn": _knn(queries, rows, labels),
        "linear": _linear(heads, queries),
        "zero-shot": _zero_shot(queries, embedded, prompts),
    }
    yield write_lists(folder / "predictions.json", {method: _cells(found) for method, found in answers.items()})


def _queries(path: Path) -> np.ndarray:
    if not path.is_file():
        raise UserError(f"{path}: not there; make the part `demo` first")
    return np.load(path)


def _read_reference(path: Path) -> tuple[np.ndarray, dict[str, list[LabelSet]]]:
    """Returns the reference's vectors [photos, dim], and by category id the labels of each photo."""
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    rows = np.stack([np.frombuffer(blob, "<f4") for (blob,) in database.execute("SELECT f32 FROM vector ORDER BY id")])
    columns = ", ".join(categories())
    codes = database.execute(f"SELECT {columns} FROM photo ORDER BY id").fetchall()
    labels = {
        category.id: [tuple(category.classes[index] for index in photo[place]) for photo in codes]
        for place, category in enumerate(categories().values())
    }
    return rows, labels


def _read_prompts(path: Path) -> dict[tuple[str, str], list[str]]:
    """Returns the prompts by category id and class, in the order of the classes."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return {(category.id, name): table[category.id][name] for category in categories().values() for name in category.classes}


def _knn(queries: np.ndarray, rows: np.ndarray, labels: Mapping[str, Sequence[LabelSet]]) -> dict[str, list[LabelSet]]:
    # In float32 the order of nearly equal similarities would depend on how a machine adds up.
    nearest = neighbours(queries.astype(np.float64), rows.astype(np.float64))
    return {
        category.id: [vote([labels[category.id][row] for row in found], multi=category.multi) for found in nearest]
        for category in categories().values()
    }


def _trained_heads(rows: np.ndarray, labels: Mapping[str, Sequence[LabelSet]]) -> torch.nn.ModuleDict:
    """Trains heads by the published recipe: AdamW with a cosine schedule by epochs, whole batches only, and cross-entropy or
    binary cross-entropy."""
    torch.manual_seed(_SEED)
    dim, features = rows.shape[1], torch.from_numpy(rows * _FEATURE_LENGTH)
    heads = torch.nn.ModuleDict({category.column: _head(dim, len(category.classes)) for category in categories().values()})
    for category in categories().values():
        _train(heads[category.column], features, _targets(category, labels[category.id]), category.multi)
    return heads.eval()


def _head(dim: int, classes: int) -> torch.nn.Sequential:
    return torch.nn.Sequential(torch.nn.LayerNorm(dim), torch.nn.Dropout(_DROPOUT), torch.nn.Linear(dim, classes))


def _targets(category: Category, labels: Sequence[LabelSet]) -> torch.Tensor:
    return torch.tensor([[float(name in found) for name in category.classes] for found in labels])


def _train(head: torch.nn.Module, features: torch.Tensor, targets: torch.Tensor, multi: bool) -> None:
    loss = torch.nn.BCEWithLogitsLoss() if multi else torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.AdamW(head.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, _EPOCHS)
    for _ in range(_EPOCHS):
        for batch in torch.randperm(len(features)).split(_BATCH):
            if len(batch) == _BATCH:
                optimizer.zero_grad()
                loss(head(features[batch]), targets[batch]).backward()
                optimizer.step()
        schedule.step()


@torch.inference_mode()
def _linear(heads: torch.nn.ModuleDict, queries: np.ndarray) -> dict[str, list[LabelSet]]:
    features = torch.from_numpy(queries * _FEATURE_LENGTH)
    answers = {}
    for category in categories().values():
        outputs = heads[category.column](features)
        probabilities = outputs.sigmoid() if category.multi else outputs.softmax(1)
        answers[category.id] = _decide(category, probabilities.numpy(), lambda found: found > _LINEAR_MIN)
    return answers


def _zero_shot(
    queries: np.ndarray, embedded: np.ndarray, prompts: Mapping[tuple[str, str], Sequence[str]]
) -> dict[str, list[LabelSet]]:
    """Answers by a softmax over the cosines with each class: the normalised mean of its prompts."""
    starts = np.cumsum([0, *(len(texts) for texts in prompts.values())])
    means = [embedded[start:end].mean(axis=0) for start, end in zip(starts[:-1], starts[1:], strict=True)]
    classes = {key: torch.nn.functional.normalize(torch.from_numpy(mean), dim=0) for key, mean in zip(prompts, means, strict=True)}
    images = torch.from_numpy(queries)
    answers = {}
    for category in categories().values():
        matrix = torch.stack([classes[category.id, name] for name in category.classes])
        probabilities = (images @ matrix.T).softmax(1).numpy()
        answers[category.id] = _decide(category, probabilities, lambda found: found >= _ZERO_SHOT_MIN)
    return answers


def _decide(category: Category, probabilities: np.ndarray, enough: Callable[[np.ndarray], np.ndarray]) -> list[LabelSet]:
    """Chooses the most probable class, or in multi-label categories every class that is `enough`, if there is one."""
    answers = []
    for row in probabilities:
        chosen = np.flatnonzero(enough(row)) if category.multi else ()
        answers.append(tuple(category.classes[index] for index in (chosen if len(chosen) else (int(row.argmax()),))))
    return answers


def _cells(answers: Mapping[str, Sequence[LabelSet]]) -> list[str]:
    """Returns one string per photo: categories separated by commas, class indexes in ascending order separated by |."""
    cells = [
        ["|".join(map(str, sorted(category.classes.index(name) for name in found))) for found in answers[category.id]]
        for category in categories().values()
    ]
    return [",".join(photo) for photo in zip(*cells, strict=True)]


def _write_bytes(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
