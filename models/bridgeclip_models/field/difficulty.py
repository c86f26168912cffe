"""How hard a bench is: k-NN as published, on embeddings of an encoder that is trained as the demo's is.

The encoder is the demo model, trained further on the photos and captions of one split: from random weights it would
need more photos than two cores render in an hour. Its embeddings of that split are the reference: the photos whose four
categories are all known, as published.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ..architecture import build_model
from ..captions import categories
from ..checkpoint import best_checkpoint, read_state_dict
from ..demo_model import DEFAULT_DEMO, FLOAT_PACKAGE, demo_architecture, load_demo_model
from ..device import choose_device, choose_precision
from ..embed import embed_images
from ..evaluation import read_labels
from ..knn import LabelSet, neighbours, vote
from ..pairs import read_pairs
from ..progress import say
from ..recipe import Recipe
from ..run_folder import RunFolder
from ..training import PairSet, Trainer

SAMPLES = 1000  # of the bootstrap
RECIPE = Recipe(learning_rate=5e-4, warmup_steps=20, augment="none", share_captions=True)

Labels = dict[str, list[LabelSet]]


@dataclass(frozen=True)
class Splits:
    """The CSV files of three splits of a bench: `select` chooses the epoch, `val` is measured."""

    train: Path
    select: Path
    val: Path


def measured(splits: Splits, work: Path, epochs: int, out: Callable[[str], None] = say) -> dict:
    """Trains an encoder, or continues, and returns macro-F1 by category and their mean, each with its 95 % interval."""
    model = _trained(splits, work, replace(RECIPE, epochs=epochs), out)
    known, truth = read_labels(splits.train), read_labels(splits.val)
    reference, queries = (
        embed_images(model, [pair.image for pair in read_pairs(csv)]) for csv in (splits.train, splits.val)
    )
    complete = [row for row in range(len(reference)) if all(labels[row] for labels in known.values())]
    reference, known = reference[complete], {name: [labels[row] for row in complete] for name, labels in known.items()}
    hits = {name: indicators(queries, truth[name], reference, known[name], name) for name in known}
    return {"reference_photos": len(reference), "held_out_photos": len(queries), "macro_f1": intervals(hits)}


def indicators(
    queries: np.ndarray, truth: list[LabelSet], reference: np.ndarray, known: list[LabelSet], category: str
) -> np.ndarray:
    """Returns the true and the predicted classes of each photo: bool [2, photos, classes]. Photos without a known true
    class have neither, so that they do not count."""
    of = categories()[category]
    predicted = [vote([known[row] for row in rows], multi=of.multi) for rows in neighbours(queries, reference)]
    has = lambda labels: [[name in found for name in of.classes] for found in labels]  # noqa: E731
    both = np.array([has(truth), has(predicted)])
    return both & both[0].any(axis=1)[None, :, None]


def macro_f1_of(hits: np.ndarray) -> float:
    """Returns the macro-F1 of `indicators`; a class that occurs nowhere counts 0."""
    right = (hits[0] & hits[1]).sum(axis=0)
    total = hits.sum(axis=(0, 1))
    return float(np.mean(2 * right / np.maximum(total, 1)))


def intervals(hits: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Returns macro-F1 with percentiles of a seeded bootstrap over the photos, by category and for the mean."""
    rng = np.random.default_rng(0)
    count = next(iter(hits.values())).shape[1]
    drawn = [rng.integers(0, count, count) for _ in range(SAMPLES)]
    scores = {name: np.array([macro_f1_of(each[:, rows]) for rows in drawn]) for name, each in hits.items()}
    value = {name: macro_f1_of(each) for name, each in hits.items()}
    scores["mean"], value["mean"] = np.mean(list(scores.values()), axis=0), float(np.mean(list(value.values())))
    return {
        name: {
            "value": round(value[name], 4),
            "low": round(float(np.percentile(scores[name], 2.5)), 4),
            "high": round(float(np.percentile(scores[name], 97.5)), 4),
        }
        for name in scores
    }


def _trained(splits: Splits, work: Path, recipe: Recipe, out: Callable[[str], None]) -> torch.nn.Module:
    torch.manual_seed(1)
    architecture, device = demo_architecture(), choose_device("auto")
    sets = [_pairs(csv) for csv in (splits.train, splits.select)]
    folder = RunFolder(work, "field", recipe)
    trainer = Trainer(
        load_demo_model(DEFAULT_DEMO / FLOAT_PACKAGE),
        recipe,
        *sets,
        folder,
        device,
        choose_precision("auto", device),
        out=out,
    )
    trainer.run(resume=True)
    model = build_model(architecture).eval()
    model.load_state_dict(read_state_dict(best_checkpoint(work)))
    return model


def _pairs(csv: Path) -> PairSet:
    architecture = demo_architecture()
    pairs = PairSet.of(
        read_pairs(csv), architecture.vision.image_size, architecture.text.context_length, os.cpu_count() or 1
    )
    pairs.photos.keep()
    return pairs
