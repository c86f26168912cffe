"""Compares the published code with this program, photo by photo and figure by figure, in both languages.

The published scripts run as they are, on the demo model instead of the published checkpoint, which is not needed for the
comparison. They are told to use it by replacing what open_clip returns for "ViT-B-32". Features of photos are computed once
for all values of k.
"""

import argparse
import csv
import importlib
import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import open_clip
import torch

from bridgeclip_models import captions
from bridgeclip_models.demo_model import DEFAULT_DEMO, FLOAT_PACKAGE, demo_architecture, load_demo_model
from bridgeclip_models.render.dataset import generate

ROOT = Path(__file__).parents[2]
PROGRAM = os.environ.get("BRIDGECLIP", str(ROOT / "target/release/bridgeclip"))
LANGUAGES = ("ja", "en")
ENGLISH = "6a7eca2"  # the last published commit with the English scripts
COLUMNS = tuple(category.column for category in captions.categories().values())
TOLERANCE = 1e-9
NEAR = 1e-3  # difference of two similarities that may change with the resize
SEED = 20261130
TRAIN_SHARE = 0.7  # of the photos; the others are classified


class Exact(np.ndarray):
    """Features whose products are the same for equal rows: sums in double precision, each in the same order."""

    def __matmul__(self, other: np.ndarray) -> np.ndarray:
        left, right = np.asarray(self, np.float64), np.asarray(other.T, np.float64)
        return np.stack([(row * right).sum(axis=1) for row in left]).astype(np.float32)


@dataclass
class Report:
    """What differs."""

    lines: list[str] = field(default_factory=list)
    failures: int = 0

    def say(self, line: str, *, good: bool) -> None:
        self.lines.append(line)
        self.failures += not good
        print(line if good else f"{line}   <-- differs", flush=True)


def main() -> int:
    args = _arguments()
    if args.language:
        return _compare_language(args)
    args.work.mkdir(parents=True, exist_ok=True)
    _render(args)
    failures = 0
    for language in LANGUAGES:
        _check_out(args.checkout, "HEAD" if language == "ja" else ENGLISH, args.work / f"author-{language}")
        words = [sys.executable, __file__, *sys.argv[1:], "--language", language]
        failures += subprocess.run(words, check=False, env=os.environ | {"LABEL_LANG": language}).returncode
    return min(failures, 1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--work", type=Path, default=Path("/tmp/bridgeclip-author"))
    parser.add_argument("--photos", type=int, default=600)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--language", choices=LANGUAGES, help=argparse.SUPPRESS)
    return parser.parse_args()


def _render(args: argparse.Namespace) -> None:
    """Renders photos once, and writes the CSVs of both languages with absolute paths."""
    train = int(args.photos * TRAIN_SHARE)
    for split, count in (("train", train), ("val", args.photos - train)):
        path = args.work / f"{split}.csv"
        if not path.is_file() or sum(1 for _ in path.open()) != count + 1:
            generate(args.work, count, SEED, split)
        rows = list(csv.DictReader(path.open(encoding="utf-8")))
        for language in LANGUAGES:
            _write(args.work / f"{split}-{language}.csv", [_translated(row, language, args.work) for row in rows])


def _translated(row: dict[str, str], language: str, work: Path) -> dict[str, str]:
    """Returns a row in the published form of a language, with True for valid.

    Texts stay English, because the demo's text encoder knows no Japanese: similarities of Japanese texts would be noise.
    """
    row = row | {"image": str(work / row["image"])} | {f"{column}_valid": "True" for column in COLUMNS}
    if language == "en":
        return row
    japanese = _japanese()
    return row | {column: "|".join(japanese[column][name] for name in row[column].split("|")) for column in COLUMNS}


def _finding(row: dict[str, str]) -> str:
    """Returns the Japanese caption of a row with Japanese labels."""
    lists = {column: row[column].replace("|", "、") for column in COLUMNS}
    return (
        f"{lists['damage_loc']}において{lists['damage_type']}が見られます、健全度判定は{lists['kenzenudo']}です、"
        f"部材毎の対策区分判定は{lists['taisaku']}です。"
    )


def _japanese() -> dict[str, dict[str, str]]:
    """Returns the Japanese label of each English one, by column."""
    import tomllib
    from importlib import resources

    table = tomllib.loads(resources.files(captions.__package__).joinpath("labels.toml").read_text(encoding="utf-8"))
    return {item["column"]: {c["en"]: c["ja"] for c in item["classes"]} for item in table["category"]}


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _check_out(checkout: Path, commit: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    archive = subprocess.run(["git", "-C", str(checkout), "archive", commit], check=True, capture_output=True).stdout
    subprocess.run(["tar", "x", "-C", str(folder)], check=True, input=archive)


def _compare_language(args: argparse.Namespace) -> int:
    torch.set_num_threads(max(1, (os.cpu_count() or 2) // 2))
    warnings.filterwarnings("ignore")
    sys.path.insert(0, str(args.work / f"author-{args.language}"))
    report = Report()
    comparison = Comparison(args, report)
    if args.language == "ja":
        comparison.findings()
    comparison.knn()
    comparison.zero_shot()
    comparison.linear()
    comparison.retrieval()
    return min(report.failures, 1)


class Comparison:
    """The published code and this program on the CSVs of one language."""

    def __init__(self, args: argparse.Namespace, report: Report) -> None:
        self.args, self.report, self.language = args, report, args.language
        self.work = args.work / f"results-{args.language}"
        self.work.mkdir(exist_ok=True)
        self.train, self.val = (str(args.work / f"{split}-{self.language}.csv") for split in ("train", "val"))
        self.model = load_demo_model(DEFAULT_DEMO / FLOAT_PACKAGE).eval()
        self.checkpoint = self._save_checkpoint()
        self.package = self._package("package", None)
        self._replace_open_clip()

    def _save_checkpoint(self) -> Path:
        folder = self.work / "checkpoints"
        folder.mkdir(exist_ok=True)
        torch.save({"epoch": 1, "state_dict": self.model.state_dict()}, folder / "epoch_1.pt")
        (folder / "results.jsonl").write_text('{"clip_val_loss": 1.0, "epoch": 1}\n')
        return folder / "epoch_1.pt"

    def _package(self, name: str, resize: int | None) -> Path:
        """Exports the model, and builds the reference from the CSV as the published code reads it."""
        from bridgeclip_models.checkpoint import load_checkpoint
        from bridgeclip_models.export import export_package
        from bridgeclip_models.package import Identity

        folder, architecture = self.work / name, demo_architecture()
        checkpoint = load_checkpoint(str(self.checkpoint), architecture)
        identity = Identity("comparison", "1.0.0", "The demo model.", self.language, "MIT OR Apache-2.0")
        export_package(checkpoint, architecture, identity, folder, resize=resize, overwrite=True)
        self._run("reference", "build", "--csv", self.train, "--package", folder, "--decode", "exact")
        return folder

    def _replace_open_clip(self) -> None:
        """Makes open_clip return the demo model, which the published code asks for by the name of the published one."""
        import copy

        transform = open_clip.image_transform(self.model.visual.image_size, is_train=False)
        open_clip.create_model_and_transforms = lambda *_, **__: (copy.deepcopy(self.model), transform, transform)
        open_clip.get_tokenizer = lambda *_, **__: open_clip.SimpleTokenizer(context_length=self.model.context_length)

    def _run(self, *words: object) -> str:
        done = subprocess.run([PROGRAM, *map(str, words)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(map(str, words))}: {done.stderr}")
        return done.stdout

    def _module(self, name: str):  # noqa: ANN202
        return importlib.import_module(f"classification.{name}")

    # The comparisons

    def findings(self) -> None:
        """Compares the labels that are read from Japanese findings with one damage and one location."""
        extract = self._module("data.extract_labels")
        rows = [row for row in _read(self.train) if "|" not in row["damage_type"] + row["damage_loc"]]
        path, same = self.work / "findings.csv", self.work / "package-findings"
        _write(path, [{"image": row["image"], "text": _finding(row)} for row in rows])
        np.save(self.work / "any.npy", np.ones((len(rows), demo_architecture().embedding_dim), np.float32))
        shutil.copytree(self.package, same, dirs_exist_ok=True)
        words = ["--embeddings", self.work / "any.npy", "--csv", path, "--labels-from", "captions", "--package", same]
        self._run("reference", "import", *words)
        self._run("reference", "export", same, "--npy", self.work / "findings")
        japanese, count = _japanese(), 0
        for row, own in zip(_read(path), _read(self.work / "findings/rows.csv"), strict=True):
            found = extract.extract_labels_from_text(extract.extract_structured_text(row["text"]))
            theirs = {column: found[column] if isinstance(found[column], list) else [found[column]] for column in COLUMNS}
            count += any([japanese[column][own[column]]] != theirs[column] for column in COLUMNS)
        self._say(f"labels read from Japanese findings: rows that differ: {count} of {len(rows)}", count == 0)

    def knn(self) -> None:
        """Compares answers from photos, and from the published code's own features of them.

        The resize of this program and that of Pillow differ by one grey level here and there, so similarities differ in the
        fourth digit. A row may differ only if two of its nearest neighbours are closer to each other than that.
        """
        module = self._module("models.clip_finetuned_knn")
        module.extract_features = _remembered(module.extract_features, known := {})
        _quietly(module.run_knn, self.train, self.val, os.devnull, str(self.checkpoint), k=1, num_workers=0)
        train, val = known.values()
        same = self._package_of_features(train, val)
        gaps = -np.diff(-np.sort(-(val.astype(float) @ train.T.astype(float)), axis=1), axis=1)
        near_ties, others, from_features = 0, 0, 0
        for k in range(1, 21):
            theirs, ours = self.work / f"knn-{k}.csv", self.work / f"knn-{k}-ours.csv"
            _quietly(module.run_knn, self.train, self.val, str(theirs), str(self.checkpoint), k=k, num_workers=0)
            self._classify(ours, self.package, "--neighbours", k, "--embeddings", self.work / "ours.npy")
            differing = self._differing(theirs, ours)
            near_ties += sum(gaps[row, :k].min() < NEAR for row in differing)
            others += sum(gaps[row, :k].min() >= NEAR for row in differing)
            self._classify(ours, same, "--neighbours", k, "--embeddings", self.work / "val.npy")
            from_features += len(self._differing(theirs, ours))
        rows = f"of 20 x {self._rows()}"
        self._say(f"k-NN, k = 1 to 20, from the same features: rows that differ: {from_features} {rows}", from_features == 0)
        line = f"k-NN, k = 1 to 20, from photos: rows that differ: {near_ties + others} {rows}, {near_ties} of them by near ties"
        self._say(line, others == 0)
        self._evaluate(self.work / "knn-10.csv", "k-NN, k = 10")

    def _package_of_features(self, train: np.ndarray, val: np.ndarray) -> Path:
        """Returns a copy of the package whose reference has these features. Writes `val.npy`, and our own as `ours.npy`."""
        same = self.work / "package-features"
        shutil.copytree(self.package, same, dirs_exist_ok=True)
        np.save(self.work / "train.npy", train)
        np.save(self.work / "val.npy", val)
        self._run("reference", "import", "--embeddings", self.work / "train.npy", "--csv", self.train, "--package", same)
        (self.work / "ours.npy").unlink(missing_ok=True)
        photos = [row["image"] for row in _read(self.val)]
        self._run("embed", "--package", self.package, "--decode", "exact", "--out", self.work / "ours.npy", *photos)
        return same

    def zero_shot(self) -> None:
        name = "clip_zeroshot" if self.language == "ja" else "clip_zeroshot_en"
        prompts = self._module("prompts" if self.language == "ja" else "prompts_en").CLIP_TEMPLATES
        theirs, ours = self.work / "zeroshot.csv", self.work / "zeroshot-ours.csv"
        _quietly(self._module(f"models.{name}").run_on_csv, self.val, str(theirs))
        path = self.work / "prompts.toml"
        path.write_text(_prompts_toml(prompts, self.language), encoding="utf-8")
        self._run("reference", "fit-prompts", "--package", self.package, "--prompts", path)
        self._classify(ours, self.package, "--method", "zero-shot")
        count = len(self._differing(theirs, ours))
        self._say(f"zero-shot: rows that differ: {count} of {self._rows()}", count == 0)
        self._evaluate(theirs, "zero-shot")

    def linear(self) -> None:
        train, top1 = self._module("train"), self._module("predict_top1")
        out, folder = self.work / "linear", str(self.checkpoint.parent)
        torch.manual_seed(SEED)
        _quietly(
            train.train, "clip_ft", "linear_probe", self.train, self.val, str(out), self.args.epochs, 1e-3, 64, 0, 1e-4,
            clip_ckpt_dir=folder,
        )  # fmt: skip
        best, theirs, ours = out / "best_model.pt", self.work / "linear.csv", self.work / "linear-ours.csv"
        _quietly(train.predict_and_save, "clip_ft", "linear_probe", str(best), self.val, str(theirs), num_workers=0, clip_ckpt_dir=folder)
        top1.DEFAULT_CLIP_CKPT_DIR = folder
        best_class = self.work / "linear_top1.csv"
        _quietly(top1.predict_top1, "clip_ft", "linear_probe", str(best), self.val, None, str(best_class), num_workers=0)
        package = self._package("package-256", 256)
        heads = self.work / "heads.bin"
        words = ["heads", str(best), "--checkpoint", str(self.checkpoint), "--out", str(heads), "--epsilon", str(self._epsilon())]
        subprocess.run([sys.executable, "-m", "bridgeclip_models", *words], check=True, stdout=subprocess.DEVNULL)
        refused = subprocess.run([PROGRAM, "reference", "import-heads", heads, "--package", self.package], capture_output=True, check=False)
        self._say("heads of another preparation are refused", refused.returncode == 1)
        self._run("reference", "import-heads", heads, "--package", package)
        self._classify(ours, package, "--method", "linear")
        count = len(self._differing(theirs, ours))
        self._say(f"linear: rows that differ: {count} of {self._rows()}", count == 0)
        count = len(self._differing(best_class, ours, first_only=True))
        self._say(f"predict_top1: rows that differ: {count} of {self._rows()}", count == 0)
        self._evaluate(theirs, "linear")
        self._evaluate(best_class, "predict_top1")

    def _epsilon(self) -> float:
        """Returns PyTorch's epsilon for features of unit length: over the square of the features' mean length."""
        transform = open_clip.image_transform(self.model.visual.image_size, is_train=False)
        from PIL import Image

        paths = [row["image"] for row in _read(self.val)][:64]
        with torch.inference_mode():
            features = self.model.visual(torch.stack([transform(Image.open(path).convert("RGB")) for path in paths]))
        return 1e-5 / float(features.norm(dim=1).mean()) ** 2

    def retrieval(self) -> None:
        module = self._module("retrieval_eval")
        kept: dict[str, np.ndarray] = {}
        for name in ("extract_image_features", "extract_text_features"):
            setattr(module, name, _keeping(getattr(module, name), kept, name))
        out = self.work / "retrieval.json"
        _quietly(module.run_retrieval_eval, self.val, str(out), str(self.checkpoint), num_workers=0)
        as_run = _flat_retrieval(json.loads(out.read_text(encoding="utf-8")))
        # The matrix product of NumPy gives equal texts unequal sums here and there, which settles ties by rounding errors.
        module.extract_image_features = lambda *_, **__: kept["extract_image_features"].view(Exact)
        module.extract_text_features = lambda *_, **__: kept["extract_text_features"].view(Exact)
        _quietly(module.run_retrieval_eval, self.val, str(out), str(self.checkpoint), num_workers=0)
        exact = _flat_retrieval(json.loads(out.read_text(encoding="utf-8")))
        images, texts = self.work / "images.npy", self.work / "texts.npy"
        np.save(images, kept["extract_image_features"])
        np.save(texts, kept["extract_text_features"])
        ours = {ties: self._retrieval(images, texts, ties) for ties in ("published", "random", "first", "last")}
        self._compare_retrieval(as_run, exact, {ties: _flat(run) for ties, run in ours.items()}, ours["random"])

    def _retrieval(self, images: Path, texts: Path, ties: str) -> dict:
        words = ["--image-embeddings", images, "--text-embeddings", texts, "--ties", ties, "--json"]
        return json.loads(self._run("eval", "retrieval", "--csv", self.val, "--package", self.package, *words))["retrieval"]

    def _compare_retrieval(
        self, as_run: dict[str, float], exact: dict[str, float], ours: dict[str, dict[str, float]], random: dict
    ) -> None:
        worst = {ties: max(abs(found[name] - value) for name, value in exact.items()) for ties, found in ours.items()}
        line = ", ".join(f"{ties} {worst[ties]:.1e}" for ties in ours)
        good = worst["published"] <= TOLERANCE
        self._say(f"retrieval: greatest difference of {len(exact)} figures by rule of ties: {line}", good)
        for direction, key in (("image_to_text", "i2t"), ("text_to_image", "t2i")):
            low, high = random[direction]["recall_bounds"]["1"]
            expected, published = random[direction]["recall"]["1"], as_run[f"{key} R@1"]
            self._say(
                f"{direction} R@1: published script {published:.4f}, expected {expected:.4f}, between {low:.4f} and {high:.4f}",
                low - TOLERANCE <= published <= high + TOLERANCE,
            )

    # Helpers

    def _rows(self) -> int:
        return len(_read(self.val))

    def _classify(self, out: Path, package: Path, *more: object) -> None:
        self._run("eval", "classify", "--csv", self.val, "--package", package, "--decode", "exact", "--json", "--out-csv", out, *more)

    def _say(self, line: str, good: bool) -> None:
        self.report.say(f"[{self.language}] {line}", good=good)

    def _differing(self, theirs: Path, ours: Path, *, first_only: bool = False) -> list[int]:
        """Returns the rows whose predictions differ as sets, or in the first class of each category of ours."""
        japanese = _japanese()
        differing = []
        for index, (row, own) in enumerate(zip(_read(theirs), _read(ours), strict=True)):
            assert row["image"] == own["image"]
            for column in COLUMNS:
                labels = [name for name in own[f"pred_{column}"].split("|") if name]
                labels = labels[:1] if first_only else labels
                found = {japanese[column][name] if self.language == "ja" else name for name in labels}
                if found != {name for name in row[f"pred_{column}"].split("|") if name}:
                    differing.append(index)
                    break
        return differing

    def _evaluate(self, predictions: Path, what: str) -> None:
        """Compares the metrics of a file of predictions, both by the published code and by this program."""
        name = "evaluate" if self.language == "ja" else "evaluate_en"
        theirs = _quietly(self._module(name).evaluate_model, str(predictions))
        ours = json.loads(self._run("eval", "classify", "--predictions", predictions, "--json"))["classification"]
        differences = dict(_metric_differences(theirs, ours))
        worst = max(differences, key=differences.get)
        line = f"metrics of {what}: greatest difference of {len(differences)} figures {differences[worst]:.1e}"
        self._say(line, differences[worst] <= TOLERANCE)


def _metric_differences(theirs: dict, ours: dict) -> Iterable[tuple[str, float]]:
    ids = {category.column: id for id, category in captions.categories().items()}
    names = {"exact_match_accuracy": "exact_match", "mAP": "mean_average_precision", "n_samples": "photos"}
    for column, scores in theirs.items():
        if column == "overall":
            yield "mean", abs(scores["mean_macro_f1"] - ours["mean_macro_f1"])
            continue
        found = ours["categories"][ids[column]]
        for name, value in scores.items():
            if isinstance(value, float | int) and names.get(name, name) in found:
                yield f"{column} {name}", abs(found[names.get(name, name)] - value)
        classes = scores.get("per_class", {})
        for own, published in zip(found["classes"], classes.values(), strict=bool(classes)):
            for name, value in published.items():  # rounded to four digits
                yield f"{column} {own['label']} {name}", abs(round(own[name], 4) - value)


def _flat_retrieval(theirs: dict) -> dict[str, float]:
    """Returns the figures of the published script that this program has too."""
    flat = {f"{key} {name}": value for key in ("i2t", "t2i") for name, value in theirs[key].items()}
    for key in ("i2i", "t2i"):
        for kind in ("match", "rank"):
            for column, scores in theirs[f"{key}_attribute_{kind}"].items():
                flat |= {f"{key} {column} {name}": value for name, value in scores.items() if name != "n_query"}
    return flat


def _flat(run: dict) -> dict[str, float]:
    """Returns the figures of this program by the names of the published script."""
    keys = {"image_to_text": "i2t", "text_to_image": "t2i", "image_to_image": "i2i"}
    columns = {id: category.column for id, category in captions.categories().items()}
    flat = {}
    for direction, scores in run.items():
        key = keys[direction]
        flat |= {f"{key} R@{k}": value for k, value in scores.get("recall", {}).items()}
        for id, found in scores["attributes"].items():
            flat |= {f"{key} {columns[id]} AttrMatch@{k}": value for k, value in found["attr_match"].items()}
            flat[f"{key} {columns[id]} mAP"] = found["mean_average_precision"]
            flat[f"{key} {columns[id]} NDCG@10"] = found["ndcg_at_10"]
    return flat


def _prompts_toml(templates: dict[str, dict[str, list[str]]], language: str) -> str:
    japanese, lines = _japanese(), []
    for id, category in captions.categories().items():
        lines.append(f"[{id}]")
        for name in category.classes:
            theirs = templates[category.column][japanese[category.column][name] if language == "ja" else name]
            lines.append(f"{json.dumps(name)} = {json.dumps(theirs, ensure_ascii=False)}")
    return "\n".join(lines) + "\n"


def _read(path: str | Path) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _remembered(extract: Callable, known: dict[tuple, np.ndarray]) -> Callable:
    """Returns the function that extracts features, computing those of the same photos only once."""

    def features(model: object, preprocess: object, paths: list[str], **more: object) -> np.ndarray:
        if tuple(paths) not in known:
            known[tuple(paths)] = extract(model, preprocess, paths, **more)
        return known[tuple(paths)]

    return features


def _keeping(extract: Callable, kept: dict[str, np.ndarray], name: str) -> Callable:
    def features(*args: object, **more: object) -> np.ndarray:
        kept[name] = extract(*args, **more)
        return kept[name]

    return features


def _quietly(call: Callable, *args: object, **more: object):  # noqa: ANN202
    """Calls published code, without its output."""
    import contextlib

    with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing), contextlib.redirect_stderr(nothing):
        return call(*args, **more)


if __name__ == "__main__":
    sys.exit(main())
