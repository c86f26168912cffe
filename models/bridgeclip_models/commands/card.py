"""Measures every table of the published model card on your CSV files, as Markdown and as JSON.

  classification   macro-F1 of k-NN and of linear heads, for the fine-tuned and the base model, with mAP and exact match
  retrieval        R@1, R@5 and R@10 in both directions, by shared labels too (AttrMatch, mAP, NDCG@10), and the gains over base
  data scaling     of the models trained on the 13 subsets (--runs), and of k-NN with fewer reference photos
  captions         how many are equal; equal captions limit what R@k can be, so its bounds are beside it
  comparison       each figure with its bootstrap interval, the published figure, and the difference

The CSV files have the columns image,text,kenzenudo,taisaku,damage_type,damage_loc and optionally <column>_valid, with English or
Japanese labels. k-NN compares with the training rows whose four categories are all valid.

Embeddings are kept in --work. A stopped measurement continues where it was, and a second one with other options only computes
what is new. The linear heads take most of the time: as published, each of the 30 epochs sees each training photo changed at
random, so each photo is embedded 30 times, and --work grows by 2 KB for each photo and view (5.6 GB for the published set).
--head-views 1 embeds each photo once; --no-heads leaves the heads out.

The card says which published figures it compares with: `en` for the checkpoint with English captions, `ja` for the README of the
Japanese one, or a file of your own (its form: bridgeclip_models/card/published.py).

Examples:
  bridgeclip-models card --train train.csv --val val.csv --image-root photos --checkpoint epoch_5.pt --architecture ViT-B-32 \\
      --base laion2b_s34b_b79k --out card
  bridgeclip-models card --train train.csv --val val.csv --image-root photos --checkpoint runs/all --base laion2b_s34b_b79k \\
      --runs runs --head-views 1 --out card
"""

import argparse
import json
import os
from io import BytesIO
from pathlib import Path

import torch

from ..architecture import Architecture, load_architecture
from ..card.embeddings import Cache, Encoder
from ..card.linear import HeadRecipe
from ..card.measure import Measurement, Plan, sizes_within
from ..card.published import SETS, load_published
from ..card.report import card_json, card_markdown
from ..card.rows import Rows, read_rows
from ..device import choose_device
from ..errors import UserError
from ..files import write_atomically
from ..model_source import load_model
from ..progress import say
from ..subsets import ALL, SIZES, parse_size, size_name

HEADS = "linear_heads.pt"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    data = parser.add_argument_group("data")
    data.add_argument("--train", required=True, type=Path, metavar="CSV", help="labelled rows for k-NN and the linear heads")
    data.add_argument("--val", required=True, type=Path, metavar="CSV", help="labelled rows that are measured")
    data.add_argument("--image-root", type=Path, metavar="DIR", help="folder of the photos of both CSV files")
    data.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for card.md, card.json and linear_heads.pt")
    data.add_argument("--work", type=Path, metavar="DIR", help="folder for embeddings (default: work in --out)")
    model = parser.add_argument_group("models")
    model.add_argument("--checkpoint", required=True, metavar="SOURCE", help="the fine-tuned model, as SOURCE of export")
    model.add_argument("--base", metavar="SOURCE", help="the model before fine-tuning; without it its columns stay empty")
    model.add_argument("--architecture", metavar="NAME", help="of all models; needed unless the checkpoint names it")
    model.add_argument("--runs", type=Path, metavar="DIR", help="folder whose subfolders 10k, 20k ... all are runs on these subsets")
    _add_measuring(parser.add_argument_group("measuring"))


def _add_measuring(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--published", default="en", metavar="SET", help=f"{' or '.join(SETS)}, or a file (default: %(default)s)")
    group.add_argument(
        "--sizes", nargs="+", default=[*map(size_name, SIZES), ALL], metavar="N",
        help="training rows in the data scaling; those beyond the training set are left out (default: the published 13)",
    )
    group.add_argument("--no-heads", action="store_true", help="leave the linear heads out")
    group.add_argument("--head-epochs", type=int, default=HeadRecipe.epochs, metavar="N", help="default: %(default)s")
    group.add_argument("--head-lr", type=float, default=HeadRecipe.learning_rate, metavar="X", help="default: %(default)s")
    group.add_argument(
        "--head-views", type=int, metavar="N",
        help="random changes of each training photo; 0 takes the centre only (default: one per epoch, as published)",
    )
    group.add_argument("--seed", type=int, default=0, metavar="N", help="of the resamples and the heads (default: %(default)s)")
    group.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: %(default)s)")
    group.add_argument("--workers", type=int, default=os.cpu_count() or 1, metavar="N", help="threads that decode photos (default: all)")


def run(args: argparse.Namespace) -> None:
    published = load_published(args.published)
    train, val = read_rows(args.train, args.image_root), read_rows(args.val, args.image_root)
    say(f"{len(train)} training rows, {int(train.valid.sum())} with four valid categories; {len(val)} validation rows")
    device = choose_device(args.device)
    given = load_architecture(args.architecture) if args.architecture else None
    tuned = _encoder("fine-tuned", args.checkpoint, given, device)
    base = _encoder("base", args.base, _bare(tuned.architecture), device) if args.base else None
    sizes, too_large = sizes_within([parse_size(size) for size in args.sizes], len(train))
    cache = Cache(args.work or args.out / "work", args.workers)
    measurement = Measurement(train, val, cache, Plan(_heads(args), tuple(sizes), args.seed))
    if too_large:
        measurement.found.notes.append(f"Left out, as the training set has {len(train)} rows: subsets of {', '.join(map(size_name, too_large))}.")
    _measure(measurement, tuned, base, args, sizes)
    setup = _setup(measurement, train, val, tuned, base)
    write_atomically(args.out / "card.json", (json.dumps(card_json(measurement.found, setup, published), indent=2) + "\n").encode())
    write_atomically(args.out / "card.md", card_markdown(measurement.found, setup, published).encode())
    say(f"{args.out / 'card.md'} and card.json: {len(measurement.found.figures)} figures")


def _measure(measurement: Measurement, tuned: Encoder, base: Encoder | None, args: argparse.Namespace, sizes: list[int]) -> None:
    for encoder, model, prefix in ((tuned, "tuned", ""), *([(base, "base", "base_")] if base else [])):
        measurement.knn(encoder, f"{prefix}knn")
        measurement.retrieval(encoder, model)
        if not args.no_heads:
            weights = measurement.linear(encoder, f"{prefix}linear")
            if encoder is tuned:
                _write_heads(args.out / HEADS, weights)
    if base:
        measurement.gains(base, tuned)
    for size in sizes:
        measurement.reference_scaling(tuned, size)
    if args.runs:
        _measure_runs(measurement, tuned, args.runs, sizes)


def _measure_runs(measurement: Measurement, tuned: Encoder, runs: Path, sizes: list[int]) -> None:
    if not runs.is_dir():
        raise UserError(f"{runs}: no such folder; --runs is the folder that holds the runs on the subsets")
    for size in sizes:
        name = size_name(size) if size else ALL
        if (runs / name).is_dir():
            encoder = _encoder(f"trained on {name}", str(runs / name), _bare(tuned.architecture), tuned.device)
            measurement.training_scaling(encoder, size)
        elif size:
            measurement.found.notes.append(f"No run on {name}: train it with `finetune --subset {name} --out {runs / name}`.")
        else:
            measurement.training_scaling(tuned, size)
            measurement.found.notes.append(f"{runs} has no run `{ALL}`; the checkpoint itself takes its place in the data scaling.")


def _encoder(name: str, source: str, given: Architecture | None, device: torch.device) -> Encoder:
    checkpoint, architecture = load_model(source, given)
    return Encoder.of(name, checkpoint, architecture, device)


def _bare(architecture: Architecture) -> Architecture:
    """Returns the architecture without what its own checkpoint says about photos; another checkpoint may say something else."""
    return Architecture(architecture.name, architecture.config)


def _heads(args: argparse.Namespace) -> HeadRecipe | None:
    if args.no_heads:
        return None
    views = args.head_epochs if args.head_views is None else args.head_views
    if args.head_epochs < 1 or views < 0:
        raise UserError("--head-epochs must be at least 1, and --head-views at least 0")
    return HeadRecipe(epochs=args.head_epochs, learning_rate=args.head_lr, seed=args.seed, views=min(views, args.head_epochs))


def _write_heads(path: Path, weights: dict[str, torch.Tensor]) -> None:
    file = BytesIO()
    torch.save(weights, file)
    write_atomically(path, file.getvalue())


def _setup(measurement: Measurement, train: Rows, val: Rows, tuned: Encoder, base: Encoder | None) -> dict[str, object]:
    def model(encoder: Encoder) -> dict[str, str]:
        return {"file": encoder.checkpoint.file, "sha256": encoder.checkpoint.sha256, "architecture": encoder.architecture.name}

    return {
        "checkpoint": model(tuned),
        "base": model(base) if base else None,
        "validation_rows": len(val),
        "validation_rows_valid": int(val.valid.sum()),
        "reference_rows": int(train.valid.sum()),
        "captions": measurement.captions(tuned),
    }
