"""Renders a field bench: photos of bridges of 12 to 20 megapixels with damage anywhere in the frame, and masks of it.

`render` writes photos/, masks/, SPLIT.csv (labels, as `bridgeclip reference build` and `bridgeclip eval` read them) and
SPLIT.jsonl (places, sizes and scales) into --out. Photos that are there already are kept, so after Ctrl-C the same
command continues. The same seed gives the same photos, whatever the number of jobs. `sheet` makes a contact sheet of
them. `difficulty` trains the demo model further on one split and measures k-NN on another.

The photos are rendered, not taken: figures on them compare methods, and say nothing about real bridges.

Examples:
  bridgeclip-models field render --count 500 --seed 1 --out work/field
  bridgeclip-models field sheet work/field/field.jsonl --out sheet.jpg --outlines
  bridgeclip-models field render --count 3000 --split train --megapixels 0.12 --out work/small
  bridgeclip-models field render --count 150 --split select --megapixels 0.12 --out work/small
  bridgeclip-models field render --count 500 --split val --megapixels 0.12 --out work/small
  bridgeclip-models field difficulty --photos work/small --work work/run
"""

import argparse
import json
import sys
from functools import partial
from pathlib import Path

from ..errors import UserError
from ..field.dataset import Bench, render
from ..field.sheet import contact_sheet

_MEGAPIXELS = (0.05, 64.0)
_COUNT_MAX = 99_999


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    make = actions.add_parser("render", help="render photos with masks and labels")
    make.add_argument("--count", required=True, type=int, metavar="N", help="number of photos")
    make.add_argument(
        "--seed", type=int, default=1, metavar="S", help="of all random choices, at least 0 (default: %(default)s)"
    )
    make.add_argument(
        "--split",
        default="field",
        metavar="NAME",
        help="name of the files; splits share no scene (default: %(default)s)",
    )
    make.add_argument(
        "--megapixels",
        default="12-20",
        metavar="M",
        help="size of the photos, one number or a range (default: %(default)s)",
    )
    make.add_argument("--jobs", type=int, metavar="J", help="processes (default: one for each core)")
    make.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to write")
    show = actions.add_parser("sheet", help="make a contact sheet")
    show.add_argument("lines", type=Path, metavar="JSONL", help="the file SPLIT.jsonl of a bench")
    show.add_argument("--out", required=True, type=Path, metavar="FILE", help="JPEG or PNG to write")
    show.add_argument("--count", type=int, default=24, metavar="N", help="photos (default: %(default)s)")
    show.add_argument("--columns", type=int, default=6, metavar="N", help="default: %(default)s")
    show.add_argument("--width", type=int, default=320, metavar="PX", help="of each photo (default: %(default)s)")
    show.add_argument("--outlines", action="store_true", help="draw damages and labels onto the photos")
    hard = actions.add_parser("difficulty", help="train the demo model on photos and measure k-NN as published")
    hard.add_argument(
        "--photos", required=True, type=Path, metavar="DIR", help="a bench with the splits train, select and val"
    )
    hard.add_argument("--work", required=True, type=Path, metavar="DIR", help="folder of the training")
    hard.add_argument("--epochs", type=int, default=8, metavar="N", help="default: %(default)s")


def run(args: argparse.Namespace) -> None:
    {"render": _render, "sheet": _sheet, "difficulty": _difficulty}[args.action](args)


def _difficulty(args: argparse.Namespace) -> None:
    from ..field.difficulty import Splits, measured  # PyTorch takes seconds to load, and rendering does without

    splits = Splits(*(args.photos / f"{name}.csv" for name in ("train", "select", "val")))
    report = partial(print, file=sys.stderr, flush=True)  # standard output has the figures alone
    print(json.dumps(measured(splits, args.work, args.epochs, report), indent=2))


def _sheet(args: argparse.Namespace) -> None:
    if min(args.count, args.columns, args.width) < 1:
        raise UserError("--count, --columns and --width must be at least 1")
    contact_sheet(args.lines, args.columns, args.width, args.count, outlined=args.outlines).save(args.out)


def _render(args: argparse.Namespace) -> None:
    if not 1 <= args.count <= _COUNT_MAX:
        raise UserError(f"--count is {args.count}; expected 1 to {_COUNT_MAX}")
    if args.seed < 0:
        raise UserError(f"--seed is {args.seed}; expected a number of at least 0")
    if args.jobs is not None and args.jobs < 1:
        raise UserError(f"--jobs is {args.jobs}; expected at least 1")
    if not args.split or not all(letter.isalnum() or letter == "_" for letter in args.split):
        raise UserError(f"--split is {args.split!r}; expected letters, digits and underscores")
    render(Bench(args.out, args.count, args.seed, args.split, _sizes(args.megapixels)), args.jobs)


def _sizes(text: str) -> tuple[float, float]:
    """Returns the smallest and the largest size of `12` or `12-20`."""
    try:
        low, _, high = text.partition("-")
        sizes = float(low), float(high or low)
    except ValueError:
        raise UserError(f"--megapixels is {text!r}; expected a number or a range such as 12-20") from None
    if not _MEGAPIXELS[0] <= sizes[0] <= sizes[1] <= _MEGAPIXELS[1]:
        raise UserError(
            f"--megapixels is {text!r}; expected {_MEGAPIXELS[0]} to {_MEGAPIXELS[1]:g}, the smaller number first"
        )
    return sizes
