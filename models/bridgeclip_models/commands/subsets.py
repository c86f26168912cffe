"""Samples the subsets of a training set by which the published data scaling is measured.

The rows are those that the author's scripts take, by pandas with seed 42. Each subset contains the smaller ones. All columns
are kept. The files are named after the CSV: train.csv -> train_10k.csv ... train_120k.csv, train_all.csv.

`finetune --subset 10k` and `card` sample by themselves; this command is for other programs, such as open_clip_train.

Examples:
  bridgeclip-models subsets train.csv
  bridgeclip-models subsets train.csv --sizes 10k 50k all --out subsets
"""

import argparse
from pathlib import Path

from ..subsets import ALL, SEED, SIZES, parse_size, size_name, write_subsets


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="CSV", help="the training set; needs the column image")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the subsets (default: that of the CSV)")
    published = [*map(size_name, SIZES), ALL]
    parser.add_argument(
        "--sizes", nargs="+", default=published, metavar="N",
        help=f"numbers of rows (10000 or 10k), or {ALL} (default: {' '.join(published)})",
    )
    parser.add_argument("--seed", type=int, default=SEED, metavar="N", help="the published one is %(default)s")


def run(args: argparse.Namespace) -> None:
    sizes = [parse_size(size) for size in args.sizes]
    for path in write_subsets(args.source, args.out or args.source.parent, sizes, args.seed):
        print(path)
