"""Figures measured on embeddings: k-NN classification and retrieval."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from .captions import categories
from .knn import LabelSet, macro_f1, neighbours, vote
from .pairs import read_table


def read_labels(path: Path) -> dict[str, list[LabelSet]]:
    """Returns the labels of each row of a CSV, by category id."""
    rows = [row for _, row in read_table(path, [category.column for category in categories().values()])]
    return {
        category.id: [tuple(filter(None, row[category.column].split("|"))) for row in rows] for category in categories().values()
    }


def knn_macro_f1(
    queries: np.ndarray, truth: Mapping[str, Sequence[LabelSet]], reference: np.ndarray, labels: Mapping[str, Sequence[LabelSet]]
) -> dict[str, float]:
    """Returns the macro-F1 of k-NN classification by category id, and their `mean`.

    Embeddings are unit-length rows [photos, dim].
    """
    nearest = neighbours(queries, reference)
    scores = {}
    for category in categories().values():
        known = labels[category.id]
        predicted = [vote([known[row] for row in rows], multi=category.multi) for rows in nearest]
        scores[category.id] = macro_f1(truth[category.id], predicted, category.classes)
    return scores | {"mean": float(np.mean(list(scores.values())))}


def distinct_captions(captions: Sequence[str], count: int) -> list[int]:
    """Returns the first `count` rows with distinct captions.

    Among equal captions, only one of the pairs could count as a hit.
    """
    first: dict[str, int] = {}
    for row, caption in enumerate(captions):
        first.setdefault(caption, row)
    return list(first.values())[:count]


def recall(queries: np.ndarray, targets: np.ndarray, k: int) -> float:
    """Returns R@k: the share of queries whose own row is among the k most similar targets.

    Both are unit-length rows [pairs, dim].
    """
    similarity = queries @ targets.T
    own = np.diagonal(similarity)[:, None]
    return float(np.mean((similarity > own).sum(axis=1) < k))
