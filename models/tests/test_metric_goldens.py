"""The metrics that are compared with the device software's."""

import json

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, balanced_accuracy_score, ndcg_score

from bridgeclip_models.captions import categories
from bridgeclip_models.metric_goldens import calibration_error, classification_scores, retrieval_scores, write_metrics


def test_the_file_is_the_same_each_time_and_has_the_awkward_cases(tmp_path):
    first, second = (write_metrics(tmp_path / name) for name in ("a.json", "b.json"))
    assert first.read_bytes() == second.read_bytes()
    cases = json.loads(first.read_text())["classification"]
    assert [case["category"] for case in cases] == [name for name in categories() for _ in range(2)]
    for case in cases:
        classes = case["expected"]["classes"]
        assert any(c["support"] == 0 for c in classes)
        assert any(c["true_positives"] + c["false_positives"] == 0 for c in classes)
        assert "" in case["truth"]


def test_balanced_accuracy_is_that_of_scikit_learn():
    rows, columns = np.array([0, 0, 1, 2, 2]), np.array([0, 1, 1, 0, 3])
    scores = classification_scores(np.eye(4, dtype=bool)[rows], np.eye(4, dtype=bool)[columns], categories()["soundness"])
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        assert scores["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(rows, columns))


def test_rankings_are_scored_as_by_scikit_learn():
    rng = np.random.default_rng(1)
    queries, items = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in rng.normal(size=(2, 30, 8)))
    sets = [{str(value)} for value in rng.integers(0, 3, 30)]
    scores = retrieval_scores(queries, items, {"x": sets}, skip_own=False)["attributes"]["x"]
    relevant = np.array([[a == b for b in sets] for a in sets])
    similarity = queries @ items.T
    precision = [average_precision_score(*pair) for pair in zip(relevant, similarity, strict=True)]
    assert scores["mean_average_precision"] == pytest.approx(np.mean(precision))
    assert scores["ndcg_at_10"] == pytest.approx(ndcg_score(relevant, similarity, k=10))


def test_calibration_error():
    assert calibration_error(np.array([1, 1, 0.5, 0.5]), np.array([True, False, True, False])) == 0.25
