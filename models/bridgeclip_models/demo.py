"""Steps of the demo: rendering pictures, training the demo model, exporting it, and measuring it on unseen pictures. The
device program then adds the reference and makes the int8 package.

Each step writes a file to the work folder or the demo folder, and is skipped while that file is newer than its sources.
The four splits share no scene: `train`; `select`, which chooses the epoch; `tune`, to which the device program fits its
rules; and `val`, from which all figures come.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from .architecture import build_model
from .checkpoint import best_checkpoint, read_state_dict
from .demo_model import FIGURES, FLOAT_PACKAGE, NAME, PACKAGE, PHOTO_LABELS, PHOTOS, demo_architecture, load_demo_model
from .device import choose_device, choose_precision
from .embed import embed_images, embed_texts
from .errors import UserError
from .evaluation import distinct_captions, knn_macro_f1, read_labels, recall
from .export import export_package
from .model_source import load_checkpoint
from .package import TOKENIZER, Identity
from .pairs import read_pairs
from .progress import say
from .recipe import Recipe
from .render import generate, sample_photos
from .run_folder import RunFolder
from .towers import IMAGE_GRAPH, IMAGE_WEIGHTS, TEXT_WEIGHTS
from .training import PairSet, Trainer
from .verdict_figures import run_json, verdict_figures

REFERENCE = "reference.db"  # file that the device program adds to a package
RETRIEVAL_PAIRS = 300
RETRIEVAL_K = 10
IDENTITY = Identity(
    name=NAME,
    version="1.0.0",
    description="A small CLIP trained on rendered drawings; it knows synthetic pictures only and says nothing about real bridges.",
    caption_language="en",
    licence="MIT OR Apache-2.0",
)


@dataclass(frozen=True)
class Plan:
    """The sizes of everything. The defaults make the demo package that is shipped."""

    train: int = 10_000  # number of rendered pictures in the split
    select: int = 500
    tune: int = 3_000
    val: int = 1_500
    reference: int = 2_500  # number of pictures for k-NN, the first rows of `train`
    seed: int = 1
    recipe: Recipe = Recipe(epochs=12, learning_rate=1e-3, warmup_steps=200, augment="none", share_captions=True)


@dataclass(frozen=True)
class Demo:
    """One demo: its folders, and the steps that fill them."""

    plan: Plan
    work: Path  # data set, checkpoints and embeddings
    out: Path  # packages, sample photos and figures
    say: Callable[[str], None] = say

    def make(self, bridgeclip: Path | None = None) -> None:
        """Runs all steps in order. `bridgeclip` is the device program; without it only the float package is made."""
        self.render()
        self.train()
        self.export()
        self.embed()
        if bridgeclip:
            self.add_reference(bridgeclip)
            self.fit(bridgeclip)
            self.quantize(bridgeclip)
        self.measure(bridgeclip)

    def csv(self, split: str) -> Path:
        return self.work / f"{split}.csv"

    @property
    def checkpoint(self) -> Path:
        """The best epoch with its weights rounded to float16, so that the package stores them without loss."""
        return self.work / f"{NAME}.pt"

    def embeddings(self, name: str) -> Path:
        return self.work / f"{name}_embeddings.npy"

    def render(self) -> None:
        """Renders the data set and the sample photos."""
        workers = os.cpu_count() or 1
        for split in ("train", "select", "tune", "val"):
            count = getattr(self.plan, split)
            if self.csv(split).is_file():
                self._check_count(split, count)
            else:
                self.say(f"rendering {count} pictures for {split}")
                generate(self.work, count, self.plan.seed, split, workers)
        reference = self.csv("reference")
        if not reference.is_file():
            _copy_rows(self.csv("train"), reference, self.plan.reference)
        if not (self.out / PHOTOS / PHOTO_LABELS).is_file():
            sample_photos(self.out / PHOTOS, self.plan.seed)

    def train(self) -> None:
        """Trains or continues a stopped training, then rounds the weights of the best epoch."""
        if self.checkpoint.is_file():
            return
        torch.manual_seed(self.plan.seed)
        run, device = self.work / "run", choose_device("auto")
        trainer = Trainer(
            build_model(demo_architecture()), self.plan.recipe, self._pairs("train"), self._pairs("select"),
            RunFolder(run, NAME, self.plan.recipe), device, choose_precision("auto", device), out=self.say,
        )
        trainer.run(resume=True)
        best = best_checkpoint(run)
        self.say(f"the best epoch is {best}")
        self._write_rounded(read_state_dict(best))

    def export(self) -> None:
        package = self.out / FLOAT_PACKAGE
        if not _is_newer(package / IMAGE_GRAPH, self.checkpoint):
            architecture = demo_architecture()
            checkpoint = load_checkpoint(str(self.checkpoint), architecture)
            export_package(checkpoint, architecture, IDENTITY, package, store="f16", overwrite=True)
            self.say(f"exported {package}")

    def embed(self) -> None:
        """Embeds the photos of train and val, and the captions of val, as float32 unit rows in the order of the CSV."""
        model = load_demo_model(self.out / FLOAT_PACKAGE)
        for split in ("train", "val"):
            pairs = read_pairs(self.csv(split))
            self._embed(split, lambda pairs=pairs: embed_images(model, [pair.image for pair in pairs]))
        captions = [pair.caption for pair in read_pairs(self.csv("val"))]
        self._embed("val_caption", lambda: embed_texts(model, captions))

    def measure(self, bridgeclip: Path | None = None) -> None:
        """Writes the figures on held-out pictures. With the device program, they include those of its verdicts."""
        figures = {
            "note": "Measured on rendered drawings that carry marks for rating and measure. They say nothing about real photos.",
            "held_out_pictures": self.plan.val,
            "knn": self._knn_figures(),
            "text_to_image": self._retrieval_figures(),
            "package_bytes": {name: _package_bytes(self.out / name) for name in (FLOAT_PACKAGE, PACKAGE) if (self.out / name).is_dir()},
            "training": {"pictures": self.plan.train, "pictures_to_choose_the_epoch": self.plan.select, **asdict(self.plan.recipe)},
        }
        if bridgeclip:
            figures["verdicts"] = {"rules_fitted_to_pictures": self.plan.tune} | verdict_figures(
                bridgeclip, self.out / FLOAT_PACKAGE, self.csv("val"), self.embeddings("val")
            )
        path = self.out / FIGURES
        path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        scores, retrieval = figures["knn"]["macro_f1"], figures["text_to_image"]
        self.say(f"k-NN macro-F1 {scores['mean']:.4f}, text to image R@{RETRIEVAL_K} {retrieval['recall']:.4f}; see {path}")

    def add_reference(self, bridgeclip: Path) -> None:
        """Lets the device program embed the reference rows into the float package."""
        package = self.out / FLOAT_PACKAGE
        if not _is_newer(package / REFERENCE, self.checkpoint):
            self._run(bridgeclip, "reference", "build", "--csv", self.csv("reference"), "--package", package)

    def fit(self, bridgeclip: Path) -> None:
        """Lets the device program add linear heads, the embeddings of its prompts and its rules to the reference."""
        package, done = self.out / FLOAT_PACKAGE, self.work / "rules.json"
        if _is_newer(done, package / REFERENCE):
            return
        self._run(bridgeclip, "reference", "fit-heads", "--package", package)
        self._run(bridgeclip, "reference", "fit-prompts", "--package", package)
        rules = run_json(bridgeclip, "reference", "fit-rules", "--csv", self.csv("tune"), "--package", package)
        done.write_text(json.dumps(rules, indent=2) + "\n", encoding="utf-8")

    def quantize(self, bridgeclip: Path) -> None:
        """Lets the device program make the int8 package, calibrated with the pictures of `select`."""
        package = self.out / PACKAGE
        if _is_newer(package / IMAGE_GRAPH, self.out / FLOAT_PACKAGE / REFERENCE):
            return
        if package.exists():
            shutil.rmtree(package)
        self._run(bridgeclip, "package", "quantize", self.out / FLOAT_PACKAGE, "--out", package, "--calibrate", self.work / "select")

    def _run(self, *command: object) -> None:
        words = [str(word) for word in command]
        self.say(" ".join(words))
        try:
            subprocess.run(words, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise UserError(f"{words[0]}: {error}") from error

    def _pairs(self, split: str) -> PairSet:
        """Returns a split, decoded into memory."""
        architecture = demo_architecture()
        size, length = architecture.vision.image_size, architecture.text.context_length
        pairs = PairSet.of(read_pairs(self.csv(split)), size, length, os.cpu_count() or 1)
        pairs.photos.keep()
        return pairs

    def _write_rounded(self, state_dict: dict[str, torch.Tensor]) -> None:
        rounded = {name: value.half().float() for name, value in state_dict.items()}
        part = self.checkpoint.with_suffix(".part")
        torch.save({"name": NAME, "state_dict": rounded}, part)
        part.replace(self.checkpoint)

    def _check_count(self, split: str, count: int) -> None:
        found = len(read_pairs(self.csv(split)))
        if found != count:
            raise UserError(f"{self.csv(split)}: {found} pictures from an earlier run, {count} are wanted; give another --work and --out")

    def _embed(self, name: str, compute: Callable[[], np.ndarray]) -> None:
        path = self.embeddings(name)
        if not _is_newer(path, self.checkpoint):
            self.say(f"embedding {path}")
            np.save(path, compute())

    def _knn_figures(self) -> dict:
        train, val = np.load(self.embeddings("train")), np.load(self.embeddings("val"))
        reference = train[: self.plan.reference]
        scores = knn_macro_f1(val, read_labels(self.csv("val")), reference, read_labels(self.csv("reference")))
        return {"k": 10, "reference_pictures": len(reference), "macro_f1": _rounded(scores)}

    def _retrieval_figures(self) -> dict:
        images, texts = np.load(self.embeddings("val")), np.load(self.embeddings("val_caption"))
        rows = distinct_captions([pair.caption for pair in read_pairs(self.csv("val"))], RETRIEVAL_PAIRS)
        return {
            "pairs": len(rows),
            "chosen": "the first held-out pairs whose captions differ from each other",
            "k": RETRIEVAL_K,
            "recall": round(recall(texts[rows], images[rows], RETRIEVAL_K), 4),
        }


def _is_newer(path: Path, source: Path) -> bool:
    return path.is_file() and path.stat().st_mtime >= source.stat().st_mtime


def _copy_rows(source: Path, target: Path, count: int) -> None:
    with source.open(encoding="utf-8") as lines:  # no cell that we write contains a line break
        target.write_text("".join(islice(lines, count + 1)), encoding="utf-8")


def _package_bytes(package: Path) -> dict[str, int]:
    sizes = {name: (package / name).stat().st_size for name in (IMAGE_WEIGHTS, TEXT_WEIGHTS, TOKENIZER)}
    return sizes | {"sum": sum(sizes.values())}


def _rounded(scores: dict[str, float]) -> dict[str, float]:
    return {name: round(score, 4) for name, score in scores.items()}
