"""Measures what labels of photos that `bridgeclip suggest` names are worth, against labels of photos drawn by lot.

  benches/suggest/run PROGRAM PACKAGE PROFILE [--counts 100 300] [--draws 12]

PACKAGE is any model package with 512 values; a copy of it is changed. PROFILE is a folder of `bridgeclip-models profile
--seed 31 --references 2000 --held-out 9000`. Its reference is the reference; of the held-out photos, those of every other
bridge may be labelled, and the rest is answered by the published vote. Printed is the gain in mean macro-F1.
"""

import argparse
import csv
import json
import random
import shutil
import subprocess
import tempfile
from pathlib import Path
from statistics import mean, stdev

import numpy as np


class Photos:
    """Rows of a CSV with their embeddings."""

    def __init__(self, rows, embeddings):
        self.rows, self.embeddings = rows, embeddings

    @classmethod
    def read(cls, stem: Path):
        with stem.with_suffix(".csv").open(encoding="utf-8") as file:
            return cls(list(csv.DictReader(file)), np.load(stem.with_suffix(".npy")))

    def take(self, indexes):
        return Photos([self.rows[index] for index in indexes], self.embeddings[list(indexes)])

    def join(self, other):
        return Photos(self.rows + other.rows, np.concatenate([self.embeddings, other.embeddings]))

    def write(self, stem: Path):
        np.save(stem.with_suffix(".npy"), self.embeddings)
        with stem.with_suffix(".csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, self.rows[0])
            writer.writeheader()
            writer.writerows(self.rows)
        return ["--csv", stem.with_suffix(".csv"), "--embeddings", stem.with_suffix(".npy")]


class Bench:
    def __init__(self, args, folder: Path):
        self.program, self.folder, self.package = args.program, folder, folder / "package"
        shutil.copytree(args.package, self.package)
        self.reference, held_out = Photos.read(args.profile / "reference"), Photos.read(args.profile / "held-out")
        is_pool = [int(row["bridge"].rsplit("-", 1)[1]) % 2 == 0 for row in held_out.rows]
        self.pool = held_out.take([index for index, mine in enumerate(is_pool) if mine])
        self.test = held_out.take([index for index, mine in enumerate(is_pool) if not mine]).write(folder / "test")

    def run(self, *words) -> str:
        done = subprocess.run([self.program, *map(str, words)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(map(str, words))}: {done.stderr}")
        return done.stdout

    def score(self, labelled: Photos) -> float:
        self.run("reference", "import", *labelled.write(self.folder / "reference"), "--package", self.package)
        found = self.run("eval", "classify", *self.test, "--package", self.package, "--json")
        return json.loads(found)["classification"]["mean_macro_f1"]

    def with_labels_of(self, indexes) -> float:
        return self.score(self.reference.join(self.pool.take(indexes)))

    def suggested(self, count: int):
        names, vectors = self.folder / "names.txt", self.folder / "pool.npy"
        numbers = {row["image"]: index for index, row in enumerate(self.pool.rows)}
        names.write_text("".join(f"{name}\n" for name in numbers), encoding="utf-8")
        np.save(vectors, self.pool.embeddings)
        self.run("reference", "import", *self.reference.write(self.folder / "reference"), "--package", self.package)
        options = ["--names", names, "--embeddings", vectors, "--package", self.package, "--count", count, "--json"]
        return [numbers[json.loads(line)["photo"]] for line in self.run("suggest", *options).splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("package", type=Path)
    parser.add_argument("profile", type=Path)
    parser.add_argument("--counts", type=int, nargs="+", default=[100, 300])
    parser.add_argument("--draws", type=int, default=12)
    args = parser.parse_args()
    lots = random.Random(31)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(args, Path(folder))
        base = bench.score(bench.reference)
        print(f"{len(bench.reference.rows)} references: {base:.4f}; {len(bench.pool.rows)} photos to choose from")
        for count in args.counts:
            chosen = bench.with_labels_of(bench.suggested(count)) - base
            pool = range(len(bench.pool.rows))
            drawn = [bench.with_labels_of(lots.sample(pool, count)) - base for _ in range(args.draws)]
            print(f"{count} labels: suggested {chosen:+.4f}, by lot {mean(drawn):+.4f} (deviation {stdev(drawn):.4f})", flush=True)


if __name__ == "__main__":
    main()
