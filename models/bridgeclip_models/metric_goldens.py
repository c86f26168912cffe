"""Seeded labels and embeddings with their metrics by scikit-learn and NumPy, to test those of the device software.

An answer lists classes by index with their confidence. Some classes never occur, some are never answered, some photos
have no true label, and half of the embeddings have many equal similarities.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .captions import Category, categories
from .errors import UserError
from .json_lines import write_lists
from .ranking import average_precision, ndcg

_PHOTOS = 120
_PAIRS = 60
_DIM = 16
_CUTOFFS = (1, 5, 10)
_BINS = 10


def write_metrics(path: Path) -> Path:
    """Writes `classification` (labels, answers and scores per category) and `retrieval` (embeddings, labels and scores)."""
    rng = np.random.default_rng(42)
    cases = [_classification_case(rng, category) for category in categories().values() for _ in range(2)]
    return write_lists(path, {"classification": cases, "retrieval": [_retrieval_case(rng, tied) for tied in (False, True)]})


def classification_scores(truth: np.ndarray, answer: np.ndarray, category: Category) -> dict:
    """Returns the scores of 0/1 matrices [photos, classes], by scikit-learn with `zero_division=0`."""
    try:
        from sklearn import metrics
    except ImportError as error:
        raise UserError("scikit-learn is needed: pip install '.[test]'") from error
    scores = {"photos": len(truth), "exact_match": metrics.accuracy_score(truth, answer)}
    for average, names in {"macro": ("precision", "recall", "f1"), "weighted": ("precision", "recall", "f1"), "micro": ("f1",)}.items():
        values = metrics.precision_recall_fscore_support(truth, answer, average=average, zero_division=0)
        found = dict(zip(("precision", "recall", "f1"), values, strict=False))
        scores |= {f"{average}_{name}": found[name] for name in names}
    occurring_classes = truth.any(axis=0)
    scores["mean_average_precision"] = metrics.average_precision_score(
        truth[:, occurring_classes], answer[:, occurring_classes].astype(float), average="macro"
    )
    per_class = zip(*metrics.precision_recall_fscore_support(truth, answer, average=None, zero_division=0), strict=True)
    counts = metrics.multilabel_confusion_matrix(truth, answer).tolist()
    scores["classes"] = [_class_scores(*row) for row in zip(category.classes, per_class, counts, strict=True)]
    if not category.multi:
        rows, columns = truth.argmax(axis=1), answer.argmax(axis=1)
        occurring = np.unique(rows)
        scores["balanced_accuracy"] = metrics.recall_score(rows, columns, labels=occurring, average="macro", zero_division=0)
        scores["confusion"] = metrics.confusion_matrix(rows, columns, labels=range(len(category.classes))).tolist()
    return scores


def calibration_error(confidence: np.ndarray, correct: np.ndarray) -> float:
    """Returns the expected calibration error (arXiv 1706.04599) over ten equal bins, which include their upper bounds."""
    bins = np.clip(np.ceil(confidence * _BINS - 1e-6) - 1, 0, _BINS - 1)
    gaps = [np.sum(bins == i) * abs(correct[bins == i].mean() - confidence[bins == i].mean()) for i in range(_BINS) if np.any(bins == i)]
    return float(np.sum(gaps) / len(confidence))


def retrieval_scores(queries: np.ndarray, items: np.ndarray, labels: dict[str, list[set[str]]], *, skip_own: bool) -> dict:
    """Returns recall and attribute scores of unit-length rows. Row i of the queries belongs to row i of the items."""
    orders = [_order(query, items, index if skip_own else None) for index, query in enumerate(queries)]
    scores: dict = {"pairs": len(queries)}
    if not skip_own:
        ranks = np.array([order.index(own) for own, order in enumerate(orders)])
        scores["recall"] = {str(k): float(np.mean(ranks < k)) for k in _CUTOFFS}
    scores["attributes"] = {name: _attribute_scores(orders, sets) for name, sets in labels.items()}
    return scores


def _order(query: np.ndarray, items: np.ndarray, without: int | None) -> list[int]:
    # Each row is summed in the same order, so that equal rows get equal similarities. Ties are broken by index.
    similarity = np.array([np.sum(query * item) for item in items])
    return [index for index in np.argsort(-similarity, kind="stable").tolist() if index != without]


def _attribute_scores(orders: list[list[int]], sets: list[set[str]]) -> dict:
    rankings = [np.array([bool(sets[own] & sets[item]) for item in order]) for own, order in enumerate(orders) if sets[own]]
    return {
        "queries": len(rankings),
        "attr_match": {str(k): float(np.mean([ranking[:k].sum() / k for ranking in rankings])) for k in _CUTOFFS},
        "mean_average_precision": float(np.mean([average_precision(ranking) for ranking in rankings])),
        "ndcg_at_10": float(np.mean([ndcg(ranking, 10) for ranking in rankings])),
    }


def _class_scores(label: str, scores: Sequence[float], counts: list[list[int]]) -> dict:
    precision, recall, f1, support = scores
    (true_negatives, false_positives), (false_negatives, true_positives) = counts
    return {
        "label": label, "precision": precision, "recall": recall, "f1": f1, "support": int(support),
        "true_positives": true_positives, "false_positives": false_positives,
        "false_negatives": false_negatives, "true_negatives": true_negatives,
    }  # fmt: skip


def _classification_case(rng: np.random.Generator, category: Category) -> dict:
    count = len(category.classes)
    never_true, never_answered = rng.permutation(count)[:2]
    truth = _label_matrix(rng, category, never_true, rare=0.15)
    answer = np.where(rng.random((_PHOTOS, 1)) < 0.6, truth, _label_matrix(rng, category, never_answered, rare=0))
    answer[:, never_answered] = False
    answer[answer.sum(axis=1) == 0, (never_answered + 1) % count] = True
    # Half of the values are shares of ten neighbours, as k-NN produces them.
    confidence = np.where(rng.random(answer.shape) < 0.5, rng.integers(1, 11, answer.shape) / 10, rng.random(answer.shape))
    confidence = confidence.astype(np.float32).astype(np.float64)
    known = truth.any(axis=1)
    expected = classification_scores(truth[known], answer[known], category)
    chosen = answer & known[:, None]
    expected["calibration"] = {"expected_error": calibration_error(confidence[chosen], truth[chosen])}
    answers = [[[int(i), float(confidence[row, i])] for i in np.flatnonzero(answer[row])] for row in range(_PHOTOS)]
    return {"category": category.id, "truth": _cells(truth, category), "answers": answers, "expected": expected}


def _label_matrix(rng: np.random.Generator, category: Category, never: int, *, rare: float) -> np.ndarray:
    """Returns a 0/1 matrix [photos, classes] that never has the class `never`. A share of `rare` rows is empty."""
    weights = rng.random(len(category.classes)) ** 3
    weights[never] = 0
    first = rng.choice(len(weights), _PHOTOS, p=weights / weights.sum())
    matrix = np.eye(len(weights), dtype=bool)[first]
    if category.multi:
        matrix |= rng.random(matrix.shape) < 0.3 * weights
    matrix[rng.random(_PHOTOS) < rare] = False
    return matrix


def _cells(matrix: np.ndarray, category: Category) -> list[str]:
    return ["|".join(category.classes[index] for index in np.flatnonzero(row)) for row in matrix]


def _retrieval_case(rng: np.random.Generator, tied: bool) -> dict:
    images, texts = (_tied_rows(rng) if tied else _rows(rng) for _ in range(2))
    if not tied:
        texts = np.round(texts + images, 3)
    stored = {"images": images.tolist(), "texts": texts.tolist()}
    images, texts = _unit(images), _unit(texts)
    columns = {c.id: _cells(_label_matrix(rng, c, 0, rare=0.1)[:_PAIRS], c) for c in categories().values()}
    labels = {name: [set(filter(None, cell.split("|"))) for cell in cells] for name, cells in columns.items()}
    expected = {
        "image_to_text": retrieval_scores(images, texts, labels, skip_own=False),
        "text_to_image": retrieval_scores(texts, images, labels, skip_own=False),
        "image_to_image": retrieval_scores(images, images, labels, skip_own=True),
    }
    rows = [list(row) for row in zip(*columns.values(), strict=True)]
    return stored | {"labels": rows, "expected": expected}


def _rows(rng: np.random.Generator) -> np.ndarray:
    return np.round(rng.normal(size=(_PAIRS, _DIM)), 3)  # few digits keep the file small


def _tied_rows(rng: np.random.Generator) -> np.ndarray:
    """Returns rows of plus or minus a quarter: exactly of unit length, with products that are multiples of an eighth."""
    return rng.choice([-0.25, 0.25], size=(_PAIRS, _DIM))


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
