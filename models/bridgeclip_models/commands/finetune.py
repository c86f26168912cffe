"""Trains an open_clip model on a CSV of photos and captions.

The CSV needs the columns image and text; other columns are ignored. Image paths start at the folder of the CSV, or with
--image-root at that folder, which then replaces their directory part. The first photo that cannot be read ends the training
with its row and the reason.

The defaults are the published recipe, that of the author's retrain_clip_short.sh: ten epochs in batches of 128, learning rate
1e-4 after 1000 steps of warm-up, a cosine schedule down to 0, AdamW with weight decay 0.1 and betas 0.9, 0.98, contrastive
loss, float16 with loss scaling on a GPU, and open_clip's random crop (90 to 100 % of the photo's area). The module recipe.py
says where each value comes from. Two things to know:

  epochs   The published Japanese epoch_5.pt comes from a run of 100 epochs (train_clip.sh), whose rate at epoch 5 is still
           near its peak; the subsets and the English run have 10. To repeat the former give --epochs 100 and stop it with
           Ctrl-C once the validation loss rises.
  warm-up  It may be longer than the training, as in the published 10k subset: the rate then only rises. You are told.

--subset 10k takes the rows of the published subset of that size (pandas' sample with seed 42).

The folder --out receives epoch_N.pt after each epoch, results.jsonl with the validation losses, and open_clip_config.json. `export` takes that
folder and chooses the best epoch. Ctrl-C saves the state; the same command with --resume continues from there.

Examples:
  bridgeclip-models finetune --train train.csv --val val.csv --image-root photos --architecture ViT-B-32 \\
      --pretrained laion2b_s34b_b79k --out runs/bridge
  bridgeclip-models export runs/bridge --architecture ViT-B-32 --out packages/bridge
"""

import argparse
import os
from pathlib import Path

import torch

from ..architecture import build_model, load_architecture
from ..checkpoint import best_checkpoint
from ..device import PRECISIONS, choose_device, choose_precision
from ..errors import UserError
from ..model_source import load_model
from ..pairs import Pair, read_pairs
from ..progress import say
from ..recipe import AUGMENTS, Recipe
from ..run_folder import RunFolder
from ..subsets import parse_size, subset_rows
from ..training import PairSet, Trainer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    data = parser.add_argument_group("data")
    data.add_argument("--train", required=True, type=Path, metavar="CSV", help="pairs to train on")
    data.add_argument("--val", required=True, type=Path, metavar="CSV", help="pairs to measure the loss on after each epoch")
    data.add_argument("--subset", default="all", metavar="N", help="train on a random subset: 10000 or 10k (default: %(default)s)")
    data.add_argument("--image-root", type=Path, metavar="DIR", help="folder of the photos of both CSV files")
    data.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of this run")
    model = parser.add_argument_group("model")
    model.add_argument(
        "--architecture", required=True, metavar="NAME",
        help="open_clip model name (ViT-B-32) or the path of an open_clip model config (.json)",
    )
    model.add_argument(
        "--pretrained", metavar="SOURCE",
        help="weights to start from, as SOURCE of export: a checkpoint, a folder, or an open_clip tag (default: random weights)",
    )
    _add_recipe(parser.add_argument_group("recipe"))
    work = parser.add_argument_group("work")
    work.add_argument("--resume", action="store_true", help="go on with the run in --out; starts one if there is none")
    work.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: %(default)s)")
    work.add_argument(
        "--precision", choices=PRECISIONS, default="auto",
        help="arithmetic of the model; auto takes f16 with loss scaling on a GPU, as published, and on a CPU bf16 if the "
        "processor has it, else f32 (default: %(default)s)",
    )
    work.add_argument("--workers", type=int, default=os.cpu_count() or 1, metavar="N", help="threads that decode photos (default: all)")
    work.add_argument(
        "--cache", action="store_true",
        help="keep the decoded photos in memory, about 150 MB per 1000 photos; needs --augment none or strong, as the published "
        "crop is taken from the whole photo",
    )


def run(args: argparse.Namespace) -> None:
    recipe = _recipe(args)
    if args.cache and recipe.augment == "crop":
        raise UserError("--cache keeps photos that are cut at the centre already; give --augment none or strong with it, or leave it out")
    architecture = load_architecture(args.architecture)
    torch.manual_seed(args.seed)
    model = build_model(architecture)
    if args.pretrained:
        checkpoint, architecture = load_model(args.pretrained, architecture)
        model.load_state_dict(checkpoint.state_dict)
    size, length = architecture.vision.image_size, architecture.text.context_length
    pairs = (_sampled(read_pairs(args.train, args.image_root), recipe.subset), read_pairs(args.val, args.image_root))
    recipe.check(len(pairs[0]))
    train, val = (PairSet.of(found, size, length, args.workers) for found in pairs)
    device = choose_device(args.device)
    if args.cache:
        say(f"decoding {len(train) + len(val)} photos into memory")
        train.photos.keep()
        val.photos.keep()
    folder = RunFolder(args.out, args.out.resolve().name, recipe, architecture)
    precision = choose_precision(args.precision, device)
    trainer = Trainer(model, recipe, train, val, folder, device, precision, architecture.preprocessing)
    trainer.run(resume=args.resume)
    say(f"done; the best epoch is {best_checkpoint(args.out)}")


def _sampled(pairs: list[Pair], subset: int) -> list[Pair]:
    return [pairs[row] for row in subset_rows(len(pairs), subset)] if subset else pairs


def _add_recipe(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--epochs", type=int, default=Recipe.epochs, metavar="N", help="default: %(default)s")
    group.add_argument("--batch-size", type=int, default=Recipe.batch_size, metavar="N", help="default: %(default)s")
    group.add_argument("--lr", type=float, default=Recipe.learning_rate, metavar="X", help="default: %(default)s")
    group.add_argument("--warmup", type=int, default=Recipe.warmup_steps, metavar="STEPS", help="default: %(default)s")
    group.add_argument("--weight-decay", type=float, default=Recipe.weight_decay, metavar="X", help="default: %(default)s")
    group.add_argument("--seed", type=int, default=Recipe.seed, metavar="N", help="default: %(default)s")
    group.add_argument(
        "--augment", choices=AUGMENTS, default=Recipe.augment,
        help="what happens to training photos: crop is open_clip's, as published; strong crops more, mirrors and changes the "
        "brightness (default: %(default)s)",
    )
    group.add_argument(
        "--share-captions", action="store_true",
        help="pairs of a batch with equal captions count as matches of each other; useful if captions repeat",
    )


def _recipe(args: argparse.Namespace) -> Recipe:
    return Recipe(
        epochs=args.epochs,
        batch_size=args.batch_size,
        learning_rate=args.lr,
        warmup_steps=args.warmup,
        weight_decay=args.weight_decay,
        seed=args.seed,
        augment=args.augment,
        subset=parse_size(args.subset),
        share_captions=args.share_captions,
    )
