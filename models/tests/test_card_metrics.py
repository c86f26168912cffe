"""Scores of the card against scikit-learn, and ties by going through all orders."""

from itertools import permutations

import numpy as np
import pytest
from sklearn import metrics

from bridgeclip_models.captions import categories
from bridgeclip_models.card.classification import balanced_accuracy, knn_answers, macro_f1_figures, scores
from bridgeclip_models.card.linear import HeadRecipe, head_answers, train_heads
from bridgeclip_models.card.resampling import mean_figure, ratio_figure, row_weights
from bridgeclip_models.card.retrieval import Side, match_values, ranking_values, recall_values
from bridgeclip_models.metric_goldens import retrieval_scores


def matrices(seed, classes=6, rows=80):
    rng = np.random.default_rng(seed)
    rates = np.linspace(0, 0.5, classes)
    return rng.random((rows, classes)) < rates, rng.random((rows, classes)) < rates[::-1]


@pytest.mark.parametrize("seed", range(5))
def test_classification_equals_scikit_learn(seed):
    truth, answer = matrices(seed)
    known = truth.any(axis=1)
    t, a = truth[known].astype(int), answer[known].astype(int)
    found = scores(truth, answer)
    for average in ("macro", "micro", "weighted"):
        assert found[f"{average}_f1"] == pytest.approx(metrics.f1_score(t, a, average=average, zero_division=0), abs=1e-12)
    for average in ("macro", "weighted"):
        assert found[f"{average}_precision"] == pytest.approx(metrics.precision_score(t, a, average=average, zero_division=0), abs=1e-12)
        assert found[f"{average}_recall"] == pytest.approx(metrics.recall_score(t, a, average=average, zero_division=0), abs=1e-12)
    occurring = t.any(axis=0)
    assert found["mAP"] == pytest.approx(metrics.average_precision_score(t[:, occurring], a[:, occurring], average="macro"), abs=1e-12)
    assert found["exact_match"] == pytest.approx(metrics.accuracy_score(t, a), abs=1e-12)


def test_balanced_accuracy_equals_scikit_learn():
    rng = np.random.default_rng(0)
    truth, answer = (np.eye(4, dtype=bool)[rng.choice(4, 60, p=[0.6, 0.2, 0.2, 0])] for _ in range(2))
    expected = metrics.balanced_accuracy_score(truth.argmax(axis=1), answer.argmax(axis=1))
    assert balanced_accuracy(truth, answer) == pytest.approx(expected, abs=1e-12)


def test_intervals_are_those_of_resampled_rows():
    truth, answer = matrices(1)
    weights = row_weights(len(truth), 7, 50)
    figure = macro_f1_figures({"a": truth}, {"a": answer}, weights)["a"]
    drawn = [np.repeat(np.arange(len(truth)), weights[n].astype(int)) for n in range(50)]
    values = [scores(truth[rows], answer[rows])["macro_f1"] for rows in drawn]
    assert (figure.low, figure.high) == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])), abs=1e-12)
    assert figure.low < figure.value < figure.high
    per_row = np.where(np.arange(len(truth)) % 3, np.arange(len(truth)) / 100, np.nan)
    means = [np.nanmean(per_row[rows]) for rows in drawn]
    assert mean_figure(per_row, weights).low == pytest.approx(np.quantile(means, 0.025))
    ratio = ratio_figure(2 * per_row, per_row, weights)
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((2, 2, 2))


def plain(rows):
    return Side(rows.astype(np.float32), np.arange(len(rows)))


@pytest.mark.parametrize("skip_own", [False, True])
def test_retrieval_without_ties_equals_the_plain_definition(skip_own):
    rng = np.random.default_rng(3)
    images, texts = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in rng.normal(size=(2, 50, 16)))
    items, queries = plain(images), plain(images if skip_own else texts)
    truth = rng.random((50, 5)) < 0.3
    labels = {"a": [set(np.flatnonzero(row).tolist()) for row in truth]}
    expected = retrieval_scores(queries.vectors, items.vectors, labels, skip_own=skip_own)
    for k, values in match_values(queries, items, truth, skip_own=skip_own).items():
        assert np.nanmean(values.expected) == pytest.approx(expected["attributes"]["a"]["attr_match"][str(k)], abs=1e-9)
        assert np.array_equal(values.worst, values.best, equal_nan=True)
    ranking = ranking_values(queries, items, truth, skip_own=skip_own)
    assert np.nanmean(ranking["mAP"]) == pytest.approx(expected["attributes"]["a"]["mean_average_precision"], abs=1e-9)
    assert np.nanmean(ranking["NDCG@10"]) == pytest.approx(expected["attributes"]["a"]["ndcg_at_10"], abs=1e-9)
    if not skip_own:
        for k, values in recall_values(queries, items).items():
            assert values.expected.mean() == pytest.approx(expected["recall"][str(k)], abs=1e-9)


def test_ties_count_as_the_mean_over_all_orders():
    """Six pairs, whose captions are of three kinds: goes through every order of the items."""
    group, truth = np.array([0, 0, 0, 1, 1, 2]), np.array([[1, 0], [0, 1], [1, 1], [1, 0], [0, 0], [0, 1]], bool)
    rng = np.random.default_rng(5)
    photos = plain(rng.normal(size=(6, 4)))
    captions = Side(rng.normal(size=(3, 4)).astype(np.float32), group)
    orders = [np.array(order) for order in permutations(range(6))]
    similarity = photos.vectors @ captions.vectors.T
    for query in range(6):
        row = similarity[query][group]
        ranked = [order[np.argsort(-row[order], kind="stable")].tolist() for order in orders]
        for k in (1, 5):
            hits = [query in order[:k] for order in ranked]
            found = recall_values(photos, captions)[k]
            assert found.expected[query] == pytest.approx(np.mean(hits))
            assert (found.worst[query], found.best[query]) == (min(hits), max(hits))
            if truth[query].any():
                shares = [np.mean([(truth[query] & truth[item]).any() for item in order[:k]]) for order in ranked]
                values = match_values(photos, captions, truth)[k]
                assert values.expected[query] == pytest.approx(np.mean(shares))
                assert (values.worst[query], values.best[query]) == pytest.approx((min(shares), max(shares)))


def test_fewer_items_than_the_cutoff():
    photos = plain(np.eye(3))
    assert recall_values(photos, photos)[10].expected.tolist() == [1, 1, 1]
    found = match_values(photos, photos, np.ones((3, 1), bool))
    assert found[10].expected.tolist() == pytest.approx([0.3] * 3)


def test_knn_without_any_label_answers_nothing():
    rows = np.eye(4, dtype=np.float32)
    labels = {name: [()] * 4 for name in categories()}
    answers = knn_answers(rows, rows, labels)
    assert not any(matrix.any() for matrix in answers.values())


def test_heads_learn_and_continue_bit_for_bit(tmp_path):
    rng = np.random.default_rng(0)
    truth = {name: np.eye(len(category.classes), dtype=bool)[rng.integers(0, len(category.classes), 256)] for name, category in categories().items()}
    features = np.concatenate(list(truth.values()), axis=1).astype(np.float32) + rng.normal(0, 0.1, (256, 48)).astype(np.float32)
    recipe = HeadRecipe(epochs=12, learning_rate=5e-2, dropout=0.1, views=0)
    arguments = (truth, features, truth, recipe)
    once = train_heads(lambda _: features, *arguments, tmp_path / "once.pt", lambda _: None)
    answers = head_answers(once, features)
    assert all((answers[name] == truth[name]).all(axis=1).mean() > 0.9 for name in truth)

    def interrupted(epoch):
        if epoch == 5:
            raise KeyboardInterrupt
        return features

    with pytest.raises(KeyboardInterrupt):
        train_heads(interrupted, *arguments, tmp_path / "twice.pt", lambda _: None)
    twice = train_heads(lambda _: features, *arguments, tmp_path / "twice.pt", lambda _: None)
    assert all((value == twice.state_dict()[name]).all() for name, value in once.state_dict().items())
