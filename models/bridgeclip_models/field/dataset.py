"""A bench on disk: photos, masks, the CSV of labels that the device program reads, and a line of JSON for each photo.

    OUT/photos/SPLIT-00000.jpg          the photo, with EXIF
    OUT/masks/SPLIT-00000-0.png         its first damage: 255 where it is, 0 elsewhere; as large as the upright photo
    OUT/SPLIT.csv                       labels and captions
    OUT/SPLIT.jsonl                     what the CSV cannot say: places, sizes, scales, masks
    OUT/records/SPLIT-00000.json        the photo's line; it is written last, so it says that the photo is complete

A photo depends on seed, split, index and megapixels alone.
"""

import io
import json
import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from ..captions import Labels
from ..errors import UserError
from ..files import write_atomically
from ..render.dataset import row, scene_seed, write_csv
from .damage_concrete import crack_width
from .develop import jpeg
from .exif import exif
from .materials import generator
from .plan import Damage, Plan, plan
from .scene import Photo, photograph

PHOTOS, MASKS, RECORDS = "photos", "masks", "records"
VERSION = 2  # of the scenes: a folder holds photos of one version
_SIDEWAYS = 0.7  # share of upright-held photos that are stored as the sensor lies
_TURN_RIGHT = 6  # EXIF orientation of such photos


@dataclass(frozen=True)
class Bench:
    """What to render. `megapixels` is the smallest and the largest size."""

    out: Path
    count: int
    seed: int
    split: str = "field"
    megapixels: tuple[float, float] = (12.0, 20.0)

    @property
    def csv(self) -> Path:
        return self.out / f"{self.split}.csv"

    @property
    def lines(self) -> Path:
        return self.out / f"{self.split}.jsonl"

    def name(self, index: int) -> str:
        return f"{self.split}-{index:05d}"

    def record(self, index: int) -> Path:
        return self.out / RECORDS / f"{self.name(index)}.json"

    def settings(self) -> dict:
        return {"version": VERSION, "seed": self.seed, "split": self.split, "megapixels": list(self.megapixels)}


def render(bench: Bench, jobs: int | None = None) -> None:
    """Renders the photos that are missing, then writes the CSV and the lines. Ctrl-C ends after the photos in work."""
    todo = [index for index in range(bench.count) if not _is_done(bench, index)]
    _report(bench, bench.count - len(todo), last=not todo)
    for done, _ in enumerate(_rendered(bench, todo, jobs or os.cpu_count() or 1), start=bench.count - len(todo) + 1):
        _report(bench, done, last=done == bench.count)
    _write_tables(bench)


def _is_done(bench: Bench, index: int) -> bool:
    path = bench.record(index)
    if not path.is_file():
        return False
    found = json.loads(path.read_text(encoding="utf-8"))["settings"]
    if found != bench.settings():
        raise UserError(
            f"{path}: rendered with {found}, wanted are {bench.settings()}; give another --out or remove that folder"
        )
    return True


def _rendered(bench: Bench, todo: list[int], jobs: int) -> Iterator[int]:
    if jobs == 1:
        for index in todo:
            yield render_one(bench, index)
        return
    pool = ProcessPoolExecutor(jobs, initializer=partial(signal.signal, signal.SIGINT, signal.SIG_IGN))
    try:
        for future in as_completed([pool.submit(render_one, bench, index) for index in todo]):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def render_one(bench: Bench, index: int) -> int:
    """Renders one photo and writes its files, the record last. Returns the index."""
    scene = plan(scene_seed(bench.seed, bench.split, index))
    rng = generator(scene.seed, "file")
    photo = photograph(scene, float(rng.uniform(*bench.megapixels)))
    name = bench.name(index)
    sideways = photo.pixels.shape[0] > photo.pixels.shape[1] and rng.random() < _SIDEWAYS
    pixels = np.ascontiguousarray(np.rot90(photo.pixels)) if sideways else photo.pixels
    orientation = _TURN_RIGHT if sideways else 1
    metadata = exif(photo, (pixels.shape[1], pixels.shape[0]), orientation, rng)
    write_atomically(bench.out / PHOTOS / f"{name}.jpg", jpeg(pixels, photo.exposure, metadata))
    for number, mask in enumerate(photo.masks):
        write_atomically(bench.out / MASKS / f"{name}-{number}.png", _png(mask))
    line = describe(scene, photo, name) | {"orientation": orientation, "settings": bench.settings()}
    write_atomically(bench.record(index), json.dumps(line, ensure_ascii=False).encode())
    return index


def _png(mask: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(buffer, "PNG", compress_level=2)
    return buffer.getvalue()


def describe(scene: Plan, photo: Photo, name: str) -> dict:
    """Returns what is known about a photo. Places are in px of the upright photo, sizes in mm on the surface."""
    height, width = photo.pixels.shape[:2]
    labels = scene.labels
    damages = zip(scene.damages, photo.masks, photo.scales, strict=True)
    return {
        "image": f"{PHOTOS}/{name}.jpg",
        "width": width,
        "height": height,
        "member": scene.member,
        "soundness": labels.soundness,
        "measure": labels.measure,
        "damage_type": list(labels.damage_type),
        "damage_location": list(labels.damage_location),
        "focal_px": round(photo.focal, 1),
        "distance_mm": round(photo.distance),
        "sun": bool(scene.light.sun_strength),
        "damages": [_damage(*parts, f"{MASKS}/{name}-{number}.png") for number, parts in enumerate(damages)],
        "distractors": [distractor.kind for distractor in scene.distractors],
    }


def _damage(damage: Damage, mask: np.ndarray, scale: float, path: str) -> dict:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    seen = bool(len(rows))
    box = (
        [int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1)]
        if seen
        else None
    )
    found = {
        "type": damage.kind,
        "location": damage.member,
        "mask": path,
        "box": box,
        "area_px": int(mask.sum()),
        "share": round(float(mask.mean()), 6),
        "mm_per_px": round(scale, 4),
        "extent_mm": round(damage.spot.extent, 1),
        "severity": round(damage.spot.severity, 3),
    }
    if damage.kind == "cracking":
        found["crack_width_mm"] = round(crack_width(damage.spot), 3)
    return found


def _write_tables(bench: Bench) -> None:
    texts = [bench.record(index).read_text(encoding="utf-8") for index in range(bench.count)]
    write_atomically(bench.lines, "".join(f"{text}\n" for text in texts).encode())
    write_csv(bench.csv, [_csv_row(json.loads(text)) for text in texts])


def _csv_row(line: dict) -> dict[str, str]:
    """Returns the photo's row. One that shows no damage has no valid kind of damage, as in inspection records."""
    found = row(
        line["image"],
        Labels(line["soundness"], line["measure"], tuple(line["damage_type"]), tuple(line["damage_location"])),
    )
    return found if line["damage_type"] else found | {"damage_type_valid": "0"}


def _report(bench: Bench, done: int, *, last: bool) -> None:
    if sys.stderr.isatty():
        print(f"\r{bench.split}: {done} of {bench.count} photos", end="\n" if last else "", file=sys.stderr, flush=True)
    elif last or done % 100 == 0:
        print(f"{bench.split}: {done} of {bench.count} photos", file=sys.stderr, flush=True)
