"""Compares `card` and `subsets` with the author's own scripts, run on the same rendered photos and the same checkpoint.

The scripts are not part of this project. Give a checkout of https://github.com/t-seino-ml/BridgeCLIP-japanese; pandas,
scikit-learn and tqdm must be installed:

  python tests/author_comparison.py /path/to/BridgeCLIP-japanese --work /tmp/comparison

The checkpoint is a ViT-B/32 with random weights, as the scripts know no other architecture. They are called as they are, but for
two things: the pretrained weights, which they download and then replace by the checkpoint, are left random; and their data loaders
decode in this process. Every score must agree to 1e-9, and the labels of every photo exactly. Where captions are equal, the
scripts take an arbitrary order, so their recall must lie between the card's bounds.
"""

import argparse
import csv
import json
import os
import sys
import tomllib
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path

import torch

from bridgeclip_models.architecture import build_model, load_architecture
from bridgeclip_models.cli import main as bridgeclip_models
from bridgeclip_models.render import generate
from bridgeclip_models.subsets import subset_rows

TRAIN, VAL, TOLERANCE = 200, 80, 1e-9
ARCHITECTURE = "ViT-B-32"


def prepare(work: Path) -> None:
    """Renders photos, labels them in Japanese as the scripts expect, and makes the checkpoint."""
    checkpoints = work / "checkpoints"
    checkpoints.mkdir(parents=True, exist_ok=True)
    for split, count in (("train", TRAIN), ("val", VAL)):
        if not (work / f"{split}.csv").is_file():
            generate(work, count, 1, split, os.cpu_count() or 1)
        write_japanese(work, split, "equal", lambda text, _row: text.partition(".")[0] + ".")
        write_japanese(work, split, "unique", lambda text, row: f"{text} No. {row}.")
    if not (checkpoints / "epoch_5.pt").is_file():
        torch.manual_seed(0)
        state = build_model(load_architecture(ARCHITECTURE)).state_dict()
        torch.save({"epoch": 5, "state_dict": {f"module.{name}": value for name, value in state.items()}}, checkpoints / "epoch_5.pt")
    (checkpoints / "results.jsonl").write_text(json.dumps({"epoch": 5, "clip_val_loss": 2.5}) + "\n")


def write_japanese(work: Path, split: str, kind: str, caption: Callable[[str, int], str]) -> None:
    """Writes SPLIT_KIND.csv with Japanese labels, absolute paths, and some rows that are not valid."""
    text = resources.files("bridgeclip_models").joinpath("labels.toml").read_text(encoding="utf-8")
    japanese = {item["column"]: {c["en"]: c["ja"] for c in item["classes"]} for item in tomllib.loads(text)["category"]}
    with (work / f"{split}.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        row["image"], row["text"] = str((work / row["image"]).resolve()), caption(row["text"], number)
        for place, (column, names) in enumerate(japanese.items()):
            known = number % 7 != place  # a seventh of the labels of each category is missing
            row[column] = "|".join(names[label] for label in row[column].split("|")) if known else ""
            row[f"{column}_valid"] = str(known)
    with (work / f"{split}_{kind}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def author_results(checkout: Path, work: Path, kind: str) -> dict[str, dict]:
    """Runs the author's scripts."""
    sys.path.insert(0, str(checkout))
    from classification.evaluate import evaluate_model
    from classification.models.clip_finetuned_knn import run_knn
    from classification.retrieval_eval import run_retrieval_eval

    train, val, checkpoint = (str(work / name) for name in (f"train_{kind}.csv", f"val_{kind}.csv", "checkpoints/epoch_5.pt"))
    run_knn(train, val, str(work / "knn.csv"), ckpt_path=checkpoint, num_workers=0)
    run_retrieval_eval(val, str(work / "retrieval.json"), ckpt_path=checkpoint, num_workers=0)
    return {"knn": evaluate_model(str(work / "knn.csv")), "retrieval": json.loads((work / "retrieval.json").read_text())}


def author_linear(work: Path, kind: str) -> dict:
    """Lets the author's prediction run with the heads that `card` has trained."""
    from classification.evaluate import evaluate_model
    from classification.models.clip_classifier import build_clip_ft
    from classification.train import predict_and_save

    model = build_clip_ft(mode="linear_probe", ckpt_dir=str(work / "checkpoints"))
    heads = torch.load(work / f"card_{kind}" / "linear_heads.pt")
    model.load_state_dict(model.state_dict() | heads)
    torch.save(model.state_dict(), work / "best_model.pt")
    predict_and_save(
        "clip_ft", "linear_probe", str(work / "best_model.pt"), str(work / f"val_{kind}.csv"), str(work / "linear.csv"),
        num_workers=0, clip_ckpt_dir=str(work / "checkpoints"),
    )  # fmt: skip
    return evaluate_model(str(work / "linear.csv"))


def measure(work: Path, kind: str) -> dict:
    """Runs `card`."""
    out = work / f"card_{kind}"
    words = ["card", "--train", work / f"train_{kind}.csv", "--val", work / f"val_{kind}.csv", "--checkpoint", work / "checkpoints"]
    words += ["--architecture", ARCHITECTURE, "--out", out, "--work", work / "embeddings", "--head-epochs", 3, "--head-views", 1]
    if bridgeclip_models([str(word) for word in [*words, "--device", "cpu", "--published", "ja"]]):
        raise SystemExit("card failed")
    return json.loads((out / "card.json").read_text())


def scores_of(found: Mapping[str, dict], method: str) -> dict[str, float]:
    """Returns the card's scores of a method under the author's names."""
    columns = {"soundness": "kenzenudo", "measure": "taisaku", "damage_type": "damage_type", "damage_location": "damage_loc"}
    renamed = {"exact_match": "exact_match_accuracy", "photos": "n_samples"}
    return {f"{columns[name]}.{renamed.get(key, key)}": value for name, scores in found["details"][method].items() for key, value in scores.items()}


def compare_classification(name: str, mine: Mapping[str, float], theirs: Mapping[str, dict], overall: float) -> list[str]:
    pairs = {key: (value, theirs[key.partition(".")[0]][key.partition(".")[2]]) for key, value in mine.items()}
    return _differences(f"{name}", pairs | {"mean macro-F1": (overall, theirs["overall"]["mean_macro_f1"])})


def compare_retrieval(found: Mapping[str, dict], theirs: Mapping[str, dict], *, ties: bool) -> list[str]:
    figures = found["figures"]
    names = {"i2t": "image_to_text", "t2i": "text_to_image"}
    pairs = {f"{name}.{key}": (figures[f"retrieval.tuned.{names[name]}.{key}"], value) for name in names for key, value in theirs[name].items()}
    columns = {"kenzenudo": "soundness", "taisaku": "measure", "damage_type": "damage_type", "damage_loc": "damage_location"}
    for short, direction in (("t2i", "text_to_image"), ("i2i", "image_to_image")):
        for part in ("match", "rank"):
            for column, scores in theirs[f"{short}_attribute_{part}"].items():
                for key, value in scores.items():
                    if key != "n_query":
                        mine = f"{key}_own_last" if (short, part) == ("i2i", "rank") else key
                        pairs[f"{short}.{column}.{key}"] = (figures[f"attributes.tuned.{direction}.{columns[column]}.{mine}"], value)
    if not ties:
        return _differences("retrieval", {key: (figure["value"], value) for key, (figure, value) in pairs.items()})
    outside = [key for key, (figure, value) in pairs.items() if not figure.get("worst", value) - TOLERANCE <= value <= figure.get("best", value) + TOLERANCE]
    print(f"retrieval with equal captions: {len(pairs) - len(outside)} of {len(pairs)} scores lie within the bounds")
    return [f"retrieval with ties: {key} is {pairs[key][1]}, outside of {pairs[key][0]}" for key in outside]


def compare_losses() -> list[str]:
    """Compares the heads' loss on random logits."""
    from classification.train import _build_criteria, _compute_loss

    from bridgeclip_models.captions import categories
    from bridgeclip_models.card.linear import _loss

    torch.manual_seed(1)
    shapes = {category.column: len(category.classes) for category in categories().values()}
    logits = {column: torch.randn(64, classes) for column, classes in shapes.items()}
    labels = {column: (torch.rand(64, classes) < 0.2).float() for column, classes in shapes.items()}
    heads = torch.nn.ModuleDict({column: _Given(values) for column, values in logits.items()})
    mine = _loss(heads, torch.zeros(64, 1), {name: labels[category.column] for name, category in categories().items()})
    theirs = _compute_loss(_build_criteria("cpu", None), logits, labels)
    return _differences("linear loss", {"sum": (mine.item(), theirs.item())}, tolerance=1e-6)


class _Given(torch.nn.Module):
    def __init__(self, values: torch.Tensor) -> None:
        super().__init__()
        self._values = values

    def forward(self, _features: torch.Tensor) -> torch.Tensor:
        return self._values


def compare_subsets() -> list[str]:
    """Compares the rows with pandas, called as make_subsets_en.sh (commit 6a7eca2) calls it."""
    import pandas

    frame = pandas.DataFrame({"image": range(130_930), "text": ""})
    wrong = [
        size for size in range(10_000, 130_000, 10_000)
        if frame[["image", "text"]].sample(n=size, random_state=42).reset_index(drop=True)["image"].tolist() != subset_rows(len(frame), size)
    ]  # fmt: skip
    print(f"subsets: {12 - len(wrong)} of 12 have the same rows")
    return [f"subset of {size}: other rows" for size in wrong]


def _differences(name: str, pairs: Mapping[str, tuple[float, float]], tolerance: float = TOLERANCE) -> list[str]:
    wrong = [f"{name}: {key} is {mine} here, {theirs} there" for key, (mine, theirs) in pairs.items() if not abs(mine - theirs) <= tolerance]
    worst = max(abs(mine - theirs) for mine, theirs in pairs.values())
    print(f"{name}: {len(pairs)} scores, largest difference {worst:.1e}")
    return wrong


def without_download() -> None:
    """Lets open_clip make random weights where the scripts ask for pretrained ones."""
    import open_clip

    original = open_clip.create_model_and_transforms
    open_clip.create_model_and_transforms = lambda name, pretrained=None, **options: original(name, pretrained=None, **options)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, help="folder with the author's scripts")
    parser.add_argument("--work", type=Path, required=True, help="folder for photos, checkpoint and results")
    args = parser.parse_args()
    if not (args.checkout / "classification" / "retrieval_eval.py").is_file():
        parser.error(f"{args.checkout}: no classification/retrieval_eval.py in it")
    without_download()
    prepare(args.work)
    wrong = compare_subsets()
    for kind in ("unique", "equal"):
        theirs, mine = author_results(args.checkout, args.work, kind), measure(args.work, kind)
        wrong += compare_retrieval(mine, theirs["retrieval"], ties=kind == "equal")
        if kind == "unique":
            wrong += compare_classification("k-NN", scores_of(mine, "knn"), theirs["knn"], mine["figures"]["classification.knn.mean"]["value"])
            linear = author_linear(args.work, kind)
            wrong += compare_classification("linear", scores_of(mine, "linear"), linear, mine["figures"]["classification.linear.mean"]["value"])
            wrong += compare_losses()
    print("\n".join(wrong) if wrong else "all agree")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
