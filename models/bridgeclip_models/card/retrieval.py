"""Retrieval scores per query: recall of the pair's own item, and items that share a label with the query.

Equal captions, and a photo that several rows name, are equally similar to any query, so their order in a ranking is
arbitrary. A score then is its mean over all orders, with the values of the worst and the best order beside it. Near the top
this decides everything: among captions by a template, most have equals.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..ranking import average_precision, ndcg

CUTOFFS = (1, 5, 10)
_CHUNK = 256  # queries whose similarities are held in memory at a time


@dataclass(frozen=True)
class Side:
    """Embeddings of one side of the pairs. Equal items are embedded once."""

    vectors: np.ndarray  # float32 [distinct items, dim], of unit length
    group: np.ndarray  # int [pairs], the item of each pair

    @property
    def rows(self) -> np.ndarray:
        """Embeddings of all pairs [pairs, dim]."""
        return self.vectors[self.group]


@dataclass(frozen=True)
class Values:
    """A score per query: its mean over all orders of ties, and over the worst and best orders. NaN: no such query."""

    expected: np.ndarray
    worst: np.ndarray
    best: np.ndarray


def recall_values(queries: Side, items: Side) -> dict[int, Values]:
    """Returns for each cutoff k whether a pair's own item is among the k most similar ones: [pairs], 0 to 1."""
    copies = np.bincount(items.group, minlength=len(items.vectors)).astype(np.float64)
    higher, equal = np.empty(len(queries.group)), np.empty(len(queries.group))
    for chunk, similarity in _similarities(queries, items.vectors):
        own = np.take_along_axis(similarity, items.group[chunk, None], axis=1)
        higher[chunk], equal[chunk] = (similarity > own) @ copies, (similarity == own) @ copies
    return {
        k: Values(np.clip((k - higher) / equal, 0, 1), (higher + equal <= k).astype(float), (higher < k).astype(float)) for k in CUTOFFS
    }


def match_values(queries: Side, items: Side, truth: np.ndarray, *, skip_own: bool = False) -> dict[int, Values]:
    """Returns for each cutoff k the share of the k most similar items with a label of the query: [pairs], NaN without labels.

    `truth` is bool [pairs, classes]. With `skip_own`, a pair's own item is left out.
    """
    labels, known = truth.astype(np.float32), truth.any(axis=1)
    found = {k: np.full((3, len(truth)), np.nan) for k in CUTOFFS}
    for chunk, similarity in _row_similarities(queries, items, skip_own=skip_own):
        relevant = labels[chunk] @ labels.T > 0
        for k, values in found.items():
            values[:, chunk] = np.where(known[chunk], _matches(similarity, relevant, k), np.nan)
    return {k: Values(*values) for k, values in found.items()}


def ranking_values(queries: Side, items: Side, truth: np.ndarray, *, skip_own: bool = False) -> dict[str, np.ndarray]:
    """Returns average precision and NDCG@10 by shared labels: [pairs], NaN without labels. Ties stay in order of the rows.

    With `skip_own`, a pair's own item is left out. The published program ranks it last instead, and counts it as relevant:
    its scores are those that end in `_own_last`.
    """
    labels, known = truth.astype(np.float32), truth.any(axis=1)
    names = ("mAP", "NDCG@10", *(("mAP_own_last", "NDCG@10_own_last") if skip_own else ()))
    found = {name: np.full(len(truth), np.nan) for name in names}
    for chunk, similarity in _row_similarities(queries, items, skip_own=skip_own):
        order = np.argsort(-similarity, axis=1, kind="stable")
        relevant = np.take_along_axis(labels[chunk] @ labels.T > 0, order, axis=1)
        for row, ranking in zip(range(chunk.start, chunk.stop), relevant, strict=True):
            if known[row]:
                values = (*_ranked(ranking[:-1]), *_ranked(ranking)) if skip_own else _ranked(ranking)
                for name, value in zip(names, values, strict=True):
                    found[name][row] = value
    return found


def _ranked(relevant: np.ndarray) -> tuple[float, float]:
    return average_precision(relevant), ndcg(relevant, min(10, len(relevant)))


def _matches(similarity: np.ndarray, relevant: np.ndarray, k: int) -> np.ndarray:
    """Returns the share of relevant items among the k first: mean over the orders of ties, worst, best [3, queries]."""
    k_found = min(k, similarity.shape[1])
    bound = np.partition(similarity, -k_found, axis=1)[:, -k_found, None]
    above, tied = similarity > bound, similarity == bound
    places = k_found - above.sum(axis=1)  # for the tied items
    sure, tied_hits, ties = (relevant & above).sum(axis=1), (relevant & tied).sum(axis=1), tied.sum(axis=1)
    worst, best = np.maximum(0, places - (ties - tied_hits)), np.minimum(places, tied_hits)
    return (sure + np.stack([places * tied_hits / ties, worst, best])) / k


def _similarities(queries: Side, vectors: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yields the similarities of some queries to all distinct items, which are exactly equal for equal items."""
    for start in range(0, len(queries.group), _CHUNK):
        chunk = slice(start, min(start + _CHUNK, len(queries.group)))
        yield chunk, queries.vectors[queries.group[chunk]] @ vectors.T


def _row_similarities(queries: Side, items: Side, *, skip_own: bool) -> Iterator[tuple[slice, np.ndarray]]:
    for chunk, similarity in _similarities(queries, items.vectors):
        rows = similarity[:, items.group]
        if skip_own:
            rows[np.arange(len(rows)), np.arange(chunk.start, chunk.stop)] = -np.inf
        yield chunk, rows
