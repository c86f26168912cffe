"""k-NN classification by cosine similarity and its F1 score, by their published definitions."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

K = 10

LabelSet = tuple[str, ...]  # classes of one photo in one category, in the order of the CSV cell


def neighbours(queries: np.ndarray, reference: np.ndarray, k: int = K) -> np.ndarray:
    """Returns the numbers of the k most similar reference rows, best first: [queries, k]. Rows are unit-length embeddings."""
    order = np.argsort(-(queries @ reference.T), axis=1, kind="stable")
    return order[:, :k]


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
