"""Bootstrap intervals: the figures of many resamples of the measured rows."""

from dataclasses import dataclass

import numpy as np

RESAMPLES = 1000
LEVEL = 0.95  # share of the resamples that an interval holds


@dataclass(frozen=True)
class Figure:
    """A measured figure, its interval over resamples of the rows, and its bounds where ties leave it open."""

    value: float
    low: float
    high: float
    worst: float | None = None  # if every tie were decided against the query
    best: float | None = None  # if every tie were decided for it


def row_weights(rows: int, seed: int, resamples: int = RESAMPLES) -> np.ndarray:
    """Returns how often each row is drawn in each resample: float64 [resamples, rows], each summing to `rows`."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(rows, np.full(rows, 1 / rows), size=resamples).astype(np.float64)


def interval(values: np.ndarray) -> tuple[float, float]:
    """Returns the bounds that leave (1 - LEVEL) / 2 of the resamples on each side."""
    tail = (1 - LEVEL) / 2
    known = values[np.isfinite(values)]
    return tuple(float(bound) for bound in np.quantile(known, [tail, 1 - tail])) if len(known) else (np.nan, np.nan)


def weighted_means(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns the mean of the values [rows] in each resample; NaN values have no part in it."""
    known = np.isfinite(values)
    sums = weights[:, known].sum(axis=1)
    return np.divide(weights[:, known] @ values[known], sums, out=np.full(len(weights), np.nan), where=sums > 0)


def mean_figure(values: np.ndarray, weights: np.ndarray, worst: np.ndarray | None = None, best: np.ndarray | None = None) -> Figure:
    """Returns the mean of a value per row, NaN where a row has none, with the means of its bounds."""
    bounds = [None if bound is None else _mean(bound) for bound in (worst, best)]
    return Figure(_mean(values), *interval(weighted_means(values, weights)), *bounds)


def ratio_figure(above: np.ndarray, below: np.ndarray, weights: np.ndarray) -> Figure:
    """Returns the ratio of two means over the same rows. The resamples draw the same rows for both."""
    low = _mean(below)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = weighted_means(above, weights) / weighted_means(below, weights)
    return Figure(_mean(above) / low if low else np.nan, *interval(ratios))


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else 0.0
