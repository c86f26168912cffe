"""What the benches of answers share: photos of a profile, and the program working on a copy of a package."""

import csv
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "models/demo/package"


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

    def where(self, wants):
        return self.take([index for index, row in enumerate(self.rows) if wants(row)])

    def join(self, other):
        return Photos(self.rows + other.rows, np.concatenate([self.embeddings, other.embeddings]))

    def write(self, stem: Path):
        """Writes the photos, and returns the arguments that name them to the program."""
        np.save(stem.with_suffix(".npy"), self.embeddings)
        with stem.with_suffix(".csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, self.rows[0])
            writer.writeheader()
            writer.writerows(self.rows)
        return ["--csv", stem.with_suffix(".csv"), "--embeddings", stem.with_suffix(".npy")]

    def halves(self):
        """Divides the photos by their bridges: those with even numbers, and those with odd ones."""
        is_even = lambda row: int(row["bridge"].rsplit("-", 1)[1]) % 2 == 0
        return self.where(is_even), self.where(lambda row: not is_even(row))


class Program:
    """The program, and a copy of the demo package that takes the embeddings of a profile."""

    def __init__(self, program: str, folder: Path):
        self.program, self.folder, self.package = program, folder, folder / "package"
        shutil.copytree(DEMO, self.package)
        manifest = self.package / "package.toml"
        text, count = re.subn(r"(?m)^embedding_dim = \d+$", "embedding_dim = 512", manifest.read_text(encoding="utf-8"))
        assert count == 1, manifest
        manifest.write_text(text, encoding="utf-8")

    def run(self, *words) -> str:
        done = subprocess.run([self.program, *map(str, words)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(map(str, words))}: {done.stderr}")
        return done.stdout

    def refer_to(self, photos: Photos) -> None:
        self.run("reference", "import", *photos.write(self.folder / "reference"), "--package", self.package)

    def scores(self, photos, *options) -> dict:
        """Returns the scores of the answers to photos, which are named by arguments."""
        found = self.run("eval", "classify", *photos, "--package", self.package, "--json", *options)
        return json.loads(found)["classification"]
