"""Trains an open_clip model on pairs of image and caption, by the published recipe.

The CSV files need the columns `image` and `text`; other columns are ignored. Every epoch writes epoch_N.pt (weights,
optimizer, random state) and a line of results.jsonl; the best epoch is the one with the lowest clip_val_loss, and `export`
finds it by itself. Ctrl-C stops after the current batch; the same command with --resume goes on from there.

An unreadable image stops the run and names its row.

Example:
  bridgeclip-models finetune --train train.csv --val val.csv --image-root photos --architecture ViT-B-32 \\
      --pretrained laion2b_s34b_b79k --out runs/bridge
  bridgeclip-models export runs/bridge --architecture ViT-B-32 --out packages/bridge
"""

import argparse
import os
from pathlib import Path

from ..architecture import load_architecture
from ..finetune import Settings, finetune
from ..recipe import Recipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _add_data(parser)
    _add_recipe(parser)
    _add_machine(parser)


def run(args: argparse.Namespace) -> None:
    recipe = Recipe(
        epochs=args.epochs, batch_size=args.batch_size, learning_rate=args.lr, warmup_steps=args.warmup,
        weight_decay=args.weight_decay, seed=args.seed, crop_share=args.augment_crop, flip=args.augment_flip,
        share_captions=args.share_captions,
    )
    settings = Settings(
        train_csv=args.train, val_csv=args.val, image_root=args.image_root, pretrained=args.pretrained, out=args.out,
        recipe=recipe, device=args.device, precision=args.precision, keep_images=args.keep_images, threads=args.threads,
        resume=args.resume,
    )
    print(finetune(load_architecture(args.architecture), settings))


def _add_data(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("data and model")
    group.add_argument("--train", required=True, type=Path, metavar="CSV", help="pairs to train on")
    group.add_argument("--val", required=True, type=Path, metavar="CSV", help="pairs to choose the best epoch by")
    group.add_argument(
        "--image-root", type=Path, metavar="DIR",
        help="folder that replaces the directory part of the image column (default: relative to the CSV)",
    )
    group.add_argument("--architecture", required=True, metavar="NAME", help="open_clip model name, or a model config (.json)")
    group.add_argument("--pretrained", metavar="SOURCE", help="weights to start from: pretrained tag or checkpoint (default: random)")
    group.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the run")
    group.add_argument("--resume", action="store_true", help="continue the run in --out, if there is one")


def _add_recipe(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("recipe (the defaults are the published values)")
    shown = "(default: %(default)s)"
    group.add_argument("--epochs", type=_at_least_one, default=Recipe.epochs, help=shown)
    group.add_argument("--batch-size", type=_at_least_one, default=Recipe.batch_size, help=f"pairs per step {shown}")
    group.add_argument("--lr", type=float, default=Recipe.learning_rate, help=f"highest learning rate {shown}")
    group.add_argument("--warmup", type=int, default=Recipe.warmup_steps, metavar="STEPS", help=f"steps up to it {shown}")
    group.add_argument("--weight-decay", type=float, default=Recipe.weight_decay, help=f"of matrices and embeddings {shown}")
    group.add_argument("--seed", type=int, default=Recipe.seed, help=f"of order, crops and initial weights {shown}")
    group.add_argument(
        "--augment-crop", type=_share, default=Recipe.crop_share, metavar="SHARE",
        help="random crops that keep at least this share of the area, such as 0.9 (default: no crops)",
    )
    group.add_argument("--augment-flip", action="store_true", help="mirror half of the images left to right")
    group.add_argument(
        "--share-captions", action="store_true",
        help="pairs of a batch with the same caption are hits of each other; for small sets with few captions",
    )


def _add_machine(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("machine")
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 ... (default: %(default)s)")
    group.add_argument("--precision", choices=("auto", "f32", "bf16"), default="auto", help="arithmetic (default: the faster)")
    group.add_argument("--keep-images", action="store_true", help="keep decoded images in memory: 150 kB each at 224 px")
    group.add_argument("--threads", type=_at_least_one, default=os.cpu_count() or 1, help="that decode images (default: all cores)")


def _at_least_one(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1 is needed")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError("a share above 0 and up to 1 is needed")
    return value
