"""Writes a profile as the files that the device program reads, and measures k-NN on it.

    reference.npy, reference.csv    `bridgeclip reference import --embeddings reference.npy --csv reference.csv`
    held-out.npy, held-out.csv      `bridgeclip reference fit-rules` and `bridgeclip eval classify`, both with `--embeddings`
    held-out-texts.npy              `bridgeclip eval retrieval --image-embeddings held-out.npy --text-embeddings held-out-texts.npy`

The CSV files have the published columns and the columns `member` and `bridge`. No photo exists: the column `image` holds
names. The held-out photos show other bridges than the reference.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..captions import Labels, caption, categories
from ..knn import LabelSet, macro_f1, neighbours, vote
from .geometry import Geometry
from .labels import Photos, photos

QUERIES = 512  # photos whose neighbours are searched together, which limits memory


@dataclass(frozen=True)
class Part:
    """Photos with their embeddings."""

    name: str
    photos: Photos
    embeddings: np.ndarray  # [photos][512], float32


@dataclass(frozen=True)
class Profile:
    """A reference, and photos of other bridges with embeddings of their captions."""

    reference: Part
    held_out: Part
    texts: np.ndarray  # [held out photos][512], float32


def make(seed: int, references: int, held_out: int) -> Profile:
    """Returns the profile of a seed; the same seed and counts give the same values."""
    rng = np.random.default_rng([seed, 1])
    geometry = Geometry(rng)
    parts = []
    for name, count in (("reference", references), ("held-out", held_out)):
        shown = photos(rng, count)
        parts.append(Part(name, shown, geometry.embed(rng, shown)))
    return Profile(*parts, geometry.embed_captions(rng, parts[1].photos))


def write(profile: Profile, out: Path) -> None:
    """Writes the files into a folder, which is made if it is not there."""
    out.mkdir(parents=True, exist_ok=True)
    for part in (profile.reference, profile.held_out):
        np.save(out / f"{part.name}.npy", part.embeddings)
        with (out / f"{part.name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(_table(part))
    np.save(out / "held-out-texts.npy", profile.texts)


def knn_macro_f1(profile: Profile) -> dict[str, float]:
    """Returns the macro-F1 of the published k-NN vote by category id, and their `mean`."""
    reference, held_out = profile.reference, profile.held_out
    batches = np.array_split(held_out.embeddings, -(-len(held_out.embeddings) // QUERIES))
    nearest = np.concatenate([neighbours(batch, reference.embeddings) for batch in batches])
    known, truth = label_sets(reference.photos), label_sets(held_out.photos)
    scores = {}
    for id, category in categories().items():
        predicted = [vote([known[id][row] for row in rows], multi=category.multi) for rows in nearest]
        scores[id] = macro_f1(truth[id], predicted, category.classes)
    return scores | {"mean": float(np.mean(list(scores.values())))}


def label_sets(shown: Photos) -> dict[str, list[LabelSet]]:
    """Returns the labels of each photo, by category id."""
    names = {id: category.classes for id, category in categories().items()}
    sets = lambda id, rows: [tuple(names[id][index] for index in np.flatnonzero(row)) for row in rows]
    single = lambda id, classes: [(names[id][index],) for index in classes]
    return {
        "soundness": single("soundness", shown.soundness),
        "measure": single("measure", shown.measure),
        "damage_type": sets("damage_type", shown.damage),
        "damage_location": sets("damage_location", shown.location),
    }


def _table(part: Part) -> Iterator[list[str]]:
    columns = [category.column for category in categories().values()]
    yield ["image", "text", *columns, *(f"{column}_valid" for column in columns), "bridge", "member"]
    sets = label_sets(part.photos)
    for row, labels in enumerate(zip(*sets.values())):
        (soundness,), (measure,), damage, location = labels
        text = caption(Labels(soundness, measure, damage, location))
        place = f"{part.name}-{part.photos.bridge[row]}"
        cells = ["|".join(names) for names in labels]
        yield [f"{part.name}/{row:06}.jpg", text, *cells, *["1"] * 4, place, f"{place}-{part.photos.member[row]}"]
