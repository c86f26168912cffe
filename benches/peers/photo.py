"""Compares the way from a photo file to the encoder's input, and to its verdict, with the published one, on one core.

    run photo [--rounds N]      makes what is missing, measures, prints a table and writes photo.json

The published way uses Pillow, PyTorch and faiss. Photos are generated: textured like concrete, JPEG quality 90, of 12 and 20
megapixels. Both sides search the 90,987 vectors of `run search`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np

from peers import BRIDGECLIP, HERE, Files, processor, torch_model
from search import NEIGHBOURS
from search import make as make_reference

SIZES = {"12 MP": (4000, 3000), "20 MP": (5472, 3648)}
SIZE = 224


def make_photo(files: Files, name: str) -> Path:
    """Makes a photo of noise at all scales, like a concrete face."""
    from PIL import Image

    path = files.folder / f"photo_{name.replace(' ', '_')}.jpg"
    if path.exists():
        return path
    width, height = SIZES[name]
    random = np.random.default_rng(0)
    picture = np.full((height, width, 3), 128, dtype=np.float32)
    cell = 1024
    while cell >= 1:
        grid = random.normal(0, 1, (height // cell + 2, width // cell + 2, 3)).clip(-3, 3)
        layer = Image.fromarray(((grid + 3) * 42).astype(np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
        picture += (np.asarray(layer, dtype=np.float32) - 126) * (0.12 if cell == 1 else 0.25)
        cell //= 2
    Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(path, quality=90)
    return path


def pillow_tensor(path: Path) -> np.ndarray:
    """Prepares a photo as open_clip does."""
    from bridgeclip_models.package import MEAN, STD
    from PIL import Image

    photo = Image.open(path).convert("RGB")
    short = min(photo.size)
    width, height = (SIZE * side // short for side in photo.size)
    photo = photo.resize((width, height), Image.Resampling.BICUBIC)
    left, top = round((width - SIZE) / 2), round((height - SIZE) / 2)
    pixels = np.asarray(photo.crop((left, top, left + SIZE, top + SIZE)), dtype=np.float32) / np.float32(255)
    return np.ascontiguousarray(((pixels - np.float32(MEAN)) / np.float32(STD)).transpose(2, 0, 1)[None])


class Published:
    def __init__(self, files: Files, package: Path) -> None:
        import faiss

        faiss.omp_set_num_threads(1)
        self.encode = torch_model(files)
        rows = np.load(package / "rows.npy")
        self.index = faiss.IndexFlatIP(rows.shape[1])
        self.index.add(rows)

    def turn(self, photo: Path, count: int) -> tuple[float, float]:
        """Returns the milliseconds from file to tensor, and from file to neighbours."""
        return self._median(count, lambda: pillow_tensor(photo)), self._median(count, lambda: self._verdict(photo))

    def _verdict(self, photo: Path) -> None:
        embedding = self.encode(pillow_tensor(photo))
        self.index.search(embedding / np.linalg.norm(embedding), NEIGHBOURS)

    def _median(self, count: int, work) -> float:
        times = []
        for _ in range(count + 1):
            begin = time.perf_counter()
            work()
            times.append((time.perf_counter() - begin) * 1e3)
        return statistics.median(times[1:])


class Ours:
    def __init__(self, package: Path, decode: str) -> None:
        self.package, self.decode = package, decode

    def turn(self, photo: Path, count: int) -> tuple[float, float]:
        command = [BRIDGECLIP, "bench", "photo", "--json", "--package", self.package, "--photo", photo, "--decode", self.decode]
        command += ["--repeat", count]
        done = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True)
        report = json.loads(done.stdout)["photo"]
        return report["input"]["median_ms"], report["verdict"]["median_ms"]


def measure(files: Files, rounds: int, count: int) -> dict:
    package = make_reference(files, "clusters")
    photos = {name: make_photo(files, name) for name in SIZES}
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    engines = {"Pillow, PyTorch, faiss": Published(files, package), "BridgeCLIP": Ours(package, "scaled"), "BridgeCLIP, exact": Ours(package, "exact")}
    times: dict = {name: {engine: [] for engine in engines} for name in photos}
    for number in range(rounds):
        for name, photo in photos.items():
            for engine in engines:
                print(f"\rround {number + 1} of {rounds}: {name}, {engine:<30}", end="", file=sys.stderr)
                times[name][engine].append(engines[engine].turn(photo, count))
    print("\r" + " " * 60, end="\r", file=sys.stderr)
    medians = {name: {engine: [statistics.median(column) for column in zip(*values)] for engine, values in row.items()} for name, row in times.items()}
    sizes = {name: photo.stat().st_size for name, photo in photos.items()}
    return {"date": date.today().isoformat(), "processor": processor(), "times_ms": medians, "bytes": sizes}


def table(results: dict) -> str:
    lines = [
        f"{results['date']}, {results['processor']}, one core",
        "",
        "| photo | engine | file to tensor, ms | ours is faster by | file to verdict, ms | ours is faster by |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in results["times_ms"].items():
        ours = row["BridgeCLIP"]
        for engine, (tensor, verdict) in row.items():
            photo = f"{name}, {results['bytes'][name] / 1e6:.1f} MB"
            lines.append(f"| {photo} | {engine} | {tensor:.1f} | {tensor / ours[0]:.2f} | {verdict:.1f} | {verdict / ours[1]:.2f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=HERE / "work", help="where models and photos are kept between runs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=7, help="runs of each engine in a round")
    args = parser.parse_args()
    results = measure(Files(args.work), args.rounds, args.count)
    (HERE / "photo.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(table(results))


if __name__ == "__main__":
    main()
