"""Makes the demo: renders pictures, trains a small CLIP on them, exports it as a package, and measures it.

No download is needed. The pictures are drawings with known labels, so the model knows synthetic pictures only: it shows that
everything works together, and says nothing about real bridges.

The folder --out receives float/ and package/ (the same model in int8), photos/ (samples to try) and FIGURES.json, the
figures on pictures that the training did not see. The folder --work keeps the data set, the checkpoints and the embeddings.
Steps that are done are skipped; after Ctrl-C, the same command continues. It takes about half an hour on two processor cores.

Examples:
  bridgeclip-models demo
  bridgeclip-models demo --bridgeclip ../target/release/bridgeclip
"""

import argparse
from dataclasses import replace
from pathlib import Path

from ..demo import Demo, Plan
from ..demo_model import DEFAULT_DEMO, DEFAULT_WORK


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--work", type=Path, default=DEFAULT_WORK, metavar="DIR", help="data set, checkpoints, embeddings (default: %(default)s)"
    )
    parser.add_argument(
        "--out", type=Path, default=DEFAULT_DEMO, metavar="DIR", help="packages, photos and figures (default: %(default)s)"
    )
    parser.add_argument(
        "--bridgeclip", type=Path, metavar="PATH", help="the device program: adds the reference database for k-NN, and makes the int8 package"
    )
    size = parser.add_argument_group("size (smaller for a trial, in folders of its own)")
    for split in ("train", "select", "tune", "val", "reference"):
        size.add_argument(f"--{split}", type=int, default=getattr(Plan, split), metavar="N", help="pictures (default: %(default)s)")
    size.add_argument("--epochs", type=int, default=Plan.recipe.epochs, metavar="N", help="default: %(default)s")
    size.add_argument("--batch-size", type=int, default=Plan.recipe.batch_size, metavar="N", help="default: %(default)s")
    size.add_argument("--warmup", type=int, default=Plan.recipe.warmup_steps, metavar="STEPS", help="default: %(default)s")


def run(args: argparse.Namespace) -> None:
    recipe = replace(Plan.recipe, epochs=args.epochs, batch_size=args.batch_size, warmup_steps=args.warmup)
    plan = Plan(
        train=args.train, select=args.select, tune=args.tune, val=args.val, reference=args.reference, recipe=recipe
    )
    args.work.mkdir(parents=True, exist_ok=True)
    args.out.mkdir(parents=True, exist_ok=True)
    Demo(plan, args.work, args.out).make(args.bridgeclip)
