"""Scores of one ranking, given which of its items are relevant, best first."""

import numpy as np


def average_precision(relevant: np.ndarray) -> float:
    """Returns the mean precision at the relevant items; 0 if there is none. `relevant` is bool [items]."""
    precision = np.cumsum(relevant) / np.arange(1, len(relevant) + 1)
    return float(precision[relevant].mean()) if relevant.any() else 0.0


def ndcg(relevant: np.ndarray, k: int) -> float:
    """Returns the discounted gain of the first k items over that of an ideal ranking; 0 if none is relevant."""
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.sort(relevant)[::-1][:k]
    return float((relevant[:k] * discount).sum() / (ideal * discount).sum()) if relevant.any() else 0.0
