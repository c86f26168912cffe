"""Agreement between a package and its quantised version, in embeddings and in verdicts.

The device program does all the work, on rendered pictures. Both packages search the same reference.
"""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .captions import categories
from .errors import UserError
from .evaluation import read_labels
from .knn import LabelSet, macro_f1
from .pairs import read_pairs
from .render import generate

SPLIT = "val"
# Minimum agreement that is promised of a quantised package (F1_LOSS is a maximum).
COSINE_MEAN, COSINE_WORST, EQUAL_LABELS, F1_LOSS = 0.999, 0.997, 0.99, 0.003


@dataclass(frozen=True)
class Agreement:
    """Agreement of a quantised package with its float original."""

    pictures: int
    cosine_mean: float
    cosine_worst: float
    equal_labels: float  # share of equal verdicts, over all pictures and categories
    macro_f1_float: float  # mean over all categories
    macro_f1_int8: float

    @property
    def f1_loss(self) -> float:
        return self.macro_f1_float - self.macro_f1_int8

    @property
    def is_good(self) -> bool:
        return (
            self.cosine_mean >= COSINE_MEAN
            and self.cosine_worst >= COSINE_WORST
            and self.equal_labels >= EQUAL_LABELS
            and self.f1_loss <= F1_LOSS
        )

    def lines(self) -> list[str]:
        return [
            f"cosine of the embeddings: mean {self.cosine_mean:.5f} (at least {COSINE_MEAN}), worst {self.cosine_worst:.5f} (at least {COSINE_WORST})",
            f"k-NN labels that are equal: {self.equal_labels:.4f} (at least {EQUAL_LABELS})",
            f"mean macro-F1: {self.macro_f1_float:.4f} in float, {self.macro_f1_int8:.4f} in int8: "
            f"a loss of {self.f1_loss:.4f} (at most {F1_LOSS})",
        ]


def compare(bridgeclip: Path, float_package: Path, int8_package: Path, work: Path, count: int, seed: int) -> Agreement:
    """Compares two packages on `count` pictures. Renders the pictures into `work` unless they exist."""
    csv = work / f"{SPLIT}.csv"
    if not csv.is_file():
        generate(work, count, seed, SPLIT, 2)
    pictures = [pair.image for pair in read_pairs(csv)][:count]
    if len(pictures) < count:
        raise UserError(f"{csv}: {len(pictures)} pictures, {count} are wanted; give another --work")
    truth = {name: labels[:count] for name, labels in read_labels(csv).items()}
    packages = (float_package, int8_package)
    rows = [_embed(bridgeclip, package, pictures, work) for package in packages]
    verdicts = [_classify(bridgeclip, package, pictures) for package in packages]
    cosines = (rows[0] * rows[1]).sum(axis=1)
    equal = [set(a) == set(b) for name in truth for a, b in zip(verdicts[0][name], verdicts[1][name], strict=True)]
    scores = [_mean_macro_f1(truth, verdict) for verdict in verdicts]
    return Agreement(count, float(cosines.mean()), float(cosines.min()), float(np.mean(equal)), *scores)


def _embed(bridgeclip: Path, package: Path, pictures: Sequence[Path], work: Path) -> np.ndarray:
    out = work / f"{package.name}.npy"
    _run(bridgeclip, "embed", *pictures, "--package", package, "--out", out)
    return np.load(out).astype(np.float64)


def _classify(bridgeclip: Path, package: Path, pictures: Sequence[Path]) -> dict[str, list[LabelSet]]:
    lines = _run(bridgeclip, "classify", *pictures, "--package", package, "--json").splitlines()
    verdicts = [json.loads(line)["verdict"] for line in lines]
    return {name: [tuple(found["label"] for found in verdict[name]) for verdict in verdicts] for name in categories()}


def _mean_macro_f1(truth: dict[str, list[LabelSet]], predicted: dict[str, list[LabelSet]]) -> float:
    return float(np.mean([macro_f1(truth[name], predicted[name], category.classes) for name, category in categories().items()]))


def _run(*command: object) -> str:
    words = [str(word) for word in command]
    try:
        return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise UserError(f"{' '.join(words[:2])}: {error}") from error
