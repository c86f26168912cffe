"""k-NN classification by cosine similarity and its F1 score, by their published definitions."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

K = 10
_CHUNK = 256  # queries whose similarities are held in memory at a time

LabelSet = tuple[str, ...]  # classes of one photo in one category, in the order of the CSV cell


def neighbours(queries: np.ndarray, reference: np.ndarray, k: int = K) -> np.ndarray:
    """Returns the numbers of the k most similar reference rows, best first: [queries, k], k at most their number.

    Rows are unit-length embeddings. Of equally similar rows the earlier one comes first.
    """
    k = min(k, len(reference))
    chunks = [_nearest(queries[start : start + _CHUNK] @ reference.T, k) for start in range(0, len(queries), _CHUNK)]
    return np.concatenate(chunks) if chunks else np.empty((0, k), np.int64)


def _nearest(similarity: np.ndarray, k: int) -> np.ndarray:
    least = np.partition(similarity, -k, axis=1)[:, -k]
    found = np.empty((len(similarity), k), np.int64)
    for number, (row, bound) in enumerate(zip(similarity, least, strict=True)):
        candidates = np.flatnonzero(row >= bound)
        found[number] = candidates[np.argsort(-row[candidates], kind="stable")][:k]
    return found


def vote(found: Sequence[LabelSet], *, multi: bool) -> LabelSet:
    """Returns the joint answer of k neighbours, which are given best first.

    Single label: the most frequent label, or the earliest of several. Multi label: every label of at least half of the
    neighbours; if there is none, the label by the single-label rule.
    """
    counts = Counter(label for labels in found for label in labels)  # ordered by first occurrence
    if multi:
        common = tuple(label for label, count in counts.items() if count >= len(found) / 2)
        if common:
            return common
    return (max(counts, key=counts.__getitem__),)


def macro_f1(truth: Sequence[LabelSet], predicted: Sequence[LabelSet], classes: Sequence[str]) -> float:
    """Returns the mean over all classes of F1 = 2 hits / (2 hits + false + missed). A class that never occurs counts 0."""
    scores = [_f1([name in labels for labels in truth], [name in labels for labels in predicted]) for name in classes]
    return float(np.mean(scores))


def _f1(truth: list[bool], predicted: list[bool]) -> float:
    hits = np.sum(np.logical_and(truth, predicted))
    total = np.sum(truth) + np.sum(predicted)
    return float(2 * hits / total) if total else 0.0
