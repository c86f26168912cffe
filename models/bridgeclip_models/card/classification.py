"""Scores of answers in the four categories, as the author's evaluate.py computes them with scikit-learn.

Rows without a true label do not count. A class without true or answered rows counts 0.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from ..captions import categories
from ..knn import LabelSet, neighbours, vote
from .resampling import Figure, interval
from .rows import Rows, indicator


def knn_answers(queries: np.ndarray, reference: np.ndarray, labels: Mapping[str, Sequence[LabelSet]]) -> dict[str, np.ndarray]:
    """Returns the votes of the ten nearest rows: bool [queries, classes] by category id. Embeddings are unit rows."""
    nearest = neighbours(queries, reference)
    return {
        name: indicator([_vote([labels[name][row] for row in rows], multi=category.multi) for rows in nearest], name)
        for name, category in categories().items()
    }


def _vote(found: Sequence[LabelSet], *, multi: bool) -> LabelSet:
    return vote(found, multi=multi) if any(found) else ()


def scores(truth: np.ndarray, answer: np.ndarray) -> dict[str, float]:
    """Returns the scores of 0/1 matrices [rows, classes]: macro, micro and weighted F1 and so on, and mAP."""
    known = truth.any(axis=1)
    truth, answer = truth[known], answer[known]
    hits, true, given = (truth & answer).sum(axis=0), truth.sum(axis=0), answer.sum(axis=0)
    precision, recall, f1 = _ratio(hits, given), _ratio(hits, true), _ratio(2 * hits, true + given)
    share = _ratio(true, np.full_like(true, true.sum()))
    return {
        "photos": int(known.sum()),
        "macro_f1": float(f1.mean()),
        "micro_f1": float(_ratio(2 * hits.sum(keepdims=True), (true + given).sum(keepdims=True))[0]),
        "weighted_f1": float(f1 @ share),
        "macro_precision": float(precision.mean()),
        "macro_recall": float(recall.mean()),
        "weighted_precision": float(precision @ share),
        "weighted_recall": float(recall @ share),
        "exact_match": float((truth == answer).all(axis=1).mean()) if len(truth) else 0.0,
        "mAP": mean_average_precision(truth, answer),
    }


def balanced_accuracy(truth: np.ndarray, answer: np.ndarray) -> float:
    """Returns the mean recall of the classes that occur, each row having one class (the first, as argmax finds it)."""
    known = truth.any(axis=1)
    rows, columns = truth[known].argmax(axis=1), np.where(answer[known].any(axis=1), answer[known].argmax(axis=1), -1)
    recalls = [(columns[rows == name] == name).mean() for name in np.unique(rows)]
    return float(np.mean(recalls)) if recalls else 0.0


def mean_average_precision(truth: np.ndarray, answer: np.ndarray) -> float:
    """Returns the mean over the classes that occur of the average precision of yes and no as scores.

    Such a ranking has two steps: first the rows with yes, in any order, then all rows. That is
    scikit-learn's average_precision_score on 0/1 answers.
    """
    hits, true, given = (truth & answer).sum(axis=0), truth.sum(axis=0), answer.sum(axis=0)
    found = _ratio(hits, true)
    values = found * _ratio(hits, given) + (1 - found) * true / max(len(truth), 1)
    return float(values[true > 0].mean()) if (true > 0).any() else 0.0


def macro_f1_figures(truth: Mapping[str, np.ndarray], answers: Mapping[str, np.ndarray], weights: np.ndarray) -> dict[str, Figure]:
    """Returns the macro-F1 of each category and their `mean`, with intervals over the resamples."""
    found = {name: _macro_f1(truth[name], answers[name], weights) for name in truth}
    once = {name: macro_f1(truth[name], answers[name]) for name in truth}
    found["mean"] = np.mean(list(found.values()), axis=0)
    once["mean"] = float(np.mean(list(once.values())))
    return {name: Figure(once[name], *interval(values)) for name, values in found.items()}


def macro_f1(truth: np.ndarray, answer: np.ndarray) -> float:
    """Returns the macro-F1 of 0/1 matrices [rows, classes]."""
    return float(_macro_f1(truth, answer, np.ones((1, len(truth))))[0])


def _macro_f1(truth: np.ndarray, answer: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns the macro-F1 in each resample: [resamples]."""
    known = truth.any(axis=1)
    truth, answer, weights = truth[known].astype(float), answer[known].astype(float), weights[:, known]
    return _ratio(2 * (weights @ (truth * answer)), weights @ truth + weights @ answer).mean(axis=1)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.zeros(np.shape(below), float), where=np.asarray(below) > 0)
