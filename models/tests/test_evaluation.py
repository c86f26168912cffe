"""k-NN voting, F1 and recall by their published definitions."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from bridgeclip_models.evaluation import distinct_captions, recall
from bridgeclip_models.knn import macro_f1, neighbours, vote


def test_a_tie_goes_to_the_label_of_the_most_similar_photo():
    assert vote([("II",), ("III",), ("III",), ("II",)], multi=False) == ("II",)


def test_multi_label_takes_every_label_of_half_the_neighbours():
    found = [("a", "b"), ("b",), ("a", "c"), ("d",)]
    assert set(vote(found, multi=True)) == {"a", "b"}
    assert vote([("a",), ("b",), ("b", "c"), ("d",), ("e",)], multi=True) == ("b",)
    assert vote([("x",), ("y",), ("z",)], multi=True) == ("x",)


def test_macro_f1_equals_scikit_learn():
    rng = np.random.default_rng(0)
    classes = ["a", "b", "c", "never"]
    truth, predicted = (rng.random((50, 4)) < [0.5, 0.3, 0.2, 0] for _ in range(2))
    names = lambda rows: [tuple(name for name, is_set in zip(classes, row, strict=True) if is_set) for row in rows]  # noqa: E731
    expected = f1_score(truth, predicted, average="macro", zero_division=0)
    assert macro_f1(names(truth), names(predicted), classes) == pytest.approx(expected)


def test_neighbours_are_sorted_by_similarity():
    reference = np.eye(3, dtype=np.float32)
    query = np.array([[0.1, 0.9, 0.4]], dtype=np.float32)
    assert neighbours(query, reference, k=2).tolist() == [[1, 2]]


def test_recall_counts_the_own_row():
    rows = np.eye(4, dtype=np.float32)
    assert recall(rows, rows, 1) == 1
    assert recall(rows, rows[[1, 0, 2, 3]], 1) == 0.5
    assert distinct_captions(["a", "b", "a", "c", "d"], 3) == [0, 1, 3]
