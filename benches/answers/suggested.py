"""Measures what labels of photos that `bridgeclip suggest` names are worth, against labels of photos drawn by lot.

  benches/answers/suggested PROGRAM PROFILE [--counts 100 300] [--draws 12]

PROFILE is a folder of `bridgeclip-models profile --seed 31 --references 2000 --held-out 9000`. Its reference is the
reference; of the held-out photos, those of every other bridge may be labelled, and the rest is answered by the published
vote. Printed is the gain in mean macro-F1.
"""

import argparse
import json
import random
import tempfile
from pathlib import Path
from statistics import mean, stdev

import numpy as np
from photos import Photos, Program


class Bench:
    def __init__(self, args, folder: Path):
        self.folder, self.program = folder, Program(args.program, folder)
        self.reference = Photos.read(args.profile / "reference")
        self.pool, test = Photos.read(args.profile / "held-out").halves()
        self.test = test.write(folder / "test")

    def score(self, labelled: Photos) -> float:
        self.program.refer_to(labelled)
        return self.program.scores(self.test)["mean_macro_f1"]

    def with_labels_of(self, indexes) -> float:
        return self.score(self.reference.join(self.pool.take(indexes)))

    def suggested(self, count: int):
        names, vectors = self.folder / "names.txt", self.folder / "pool.npy"
        numbers = {row["image"]: index for index, row in enumerate(self.pool.rows)}
        names.write_text("".join(f"{name}\n" for name in numbers), encoding="utf-8")
        np.save(vectors, self.pool.embeddings)
        self.program.refer_to(self.reference)
        options = ["--names", names, "--embeddings", vectors, "--count", count, "--json"]
        lines = self.program.run("suggest", *options, "--package", self.program.package).splitlines()
        return [numbers[json.loads(line)["photo"]] for line in lines]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
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
