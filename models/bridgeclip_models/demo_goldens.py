"""Goldens that need the demo package: embeddings by the demo model in PyTorch, with open_clip's preprocessing."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .checkpoint import sha256_of
from .demo_model import FLOAT_PACKAGE, PHOTO_LABELS, PHOTOS, load_demo_model
from .embed import embed_images, embed_texts
from .errors import UserError
from .golden_images import image_results
from .golden_texts import TEXTS
from .json_lines import write_list
from .pairs import read_pairs

_CAPTIONS = 20


def write_demo(out: Path, demo: Path, work: Path) -> Iterator[Path]:
    """Yields the files that it writes into `out`. Embeddings are float32 [rows, dim] of unit length.

    inputs.json                        seeded images and their embeddings
    photos.json, photos.npy            names and hashes of the sample photos, and their embeddings
    captions.json, captions.npy        captions and their embeddings
    val.csv, val_embeddings.npy        rows of the held-out pictures, which are not stored, and their embeddings
    """
    out.mkdir(exist_ok=True)
    model = load_demo_model(demo / FLOAT_PACKAGE)
    yield write_list(out / "inputs.json", image_results(model))
    photos = sorted(path for path in (demo / PHOTOS).iterdir() if path.suffix.lower() == ".jpg")
    yield write_list(out / "photos.json", [{"file": path.name, "sha256": sha256_of(path)} for path in photos])
    yield _write_array(out / "photos.npy", embed_images(model, photos))
    captions = _captions(demo / PHOTOS / PHOTO_LABELS)
    yield write_list(out / "captions.json", captions)
    yield _write_array(out / "captions.npy", embed_texts(model, captions))
    for name in ("val.csv", "val_embeddings.npy"):
        if not (work / name).is_file():
            raise UserError(f"{work / name}: not there; run `bridgeclip-models demo` with the same --work first")
        yield Path(shutil.copyfile(work / name, out / name))


def _captions(photo_labels: Path) -> list[str]:
    """Returns distinct captions of the sample photos, supplemented by texts that are awkward to tokenize."""
    half = _CAPTIONS // 2
    distinct = list(dict.fromkeys(pair.caption for pair in read_pairs(photo_labels)))[:half]
    others = [text for text in TEXTS if text and text not in distinct]
    step = len(others) // (_CAPTIONS - len(distinct))
    return (distinct + others[::step])[:_CAPTIONS]


def _write_array(path: Path, values: np.ndarray) -> Path:
    np.save(path, values.astype("<f4"))
    return path
