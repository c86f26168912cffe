"""Trains an open_clip model on a CSV of photos and captions.

The CSV needs the columns image and text; other columns are ignored. Image paths start at the folder of the CSV, or with
--image-root at that folder, which then replaces their directory part. The first photo that cannot be read ends the training
with its row and the reason.

The defaults are the published recipe: ten epochs in batches of 128, learning rate 1e-4 with 1000 steps of warm-up and a
cosine schedule, AdamW with weight decay 0.1 and betas 0.9, 0.98, contrastive loss, no augmentation.

The folder --out receives epoch_N.pt after each epoch and results.jsonl with the validation losses. `export` takes that
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
from ..checkpoint import best_checkpoint, load_checkpoint
from ..device import choose_bfloat16, choose_device
from ..pairs import read_pairs
from ..progress import say
from ..recipe import Recipe
from ..run_folder import RunFolder
from ..training import PairSet, Trainer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    data = parser.add_argument_group("data")
    data.add_argument("--train", required=True, type=Path, metavar="CSV", help="pairs to train on")
    data.add_argument("--val", required=True, type=Path, metavar="CSV", help="pairs to measure the loss on after each epoch")
    data.add_argument("--image-root", type=Path, metavar="DIR", help="folder of the photos of both CSV files")
    data.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of this run")
    model = parser.add_argument_group("model")
    model.add_argument(
        "--architecture", required=True, metavar="NAME",
        help="open_clip model name (ViT-B-32) or the path of an open_clip model config (.json)",
    )
    model.add_argument(
        "--pretrained", metavar="SOURCE",
        help="weights to start from: a checkpoint, the folder of a run, or an open_clip tag (default: random weights)",
    )
    _add_recipe(parser.add_argument_group("recipe"))
    work = parser.add_argument_group("work")
    work.add_argument("--resume", action="store_true", help="go on with the run in --out; starts one if there is none")
    work.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: %(default)s)")
    work.add_argument(
        "--precision", choices=("auto", "f32", "bf16"), default="auto",
        help="arithmetic of the model; auto takes bf16 where the device has it (default: %(default)s)",
    )
    work.add_argument("--workers", type=int, default=os.cpu_count() or 1, metavar="N", help="threads that decode photos (default: all)")
    work.add_argument("--cache", action="store_true", help="keep the decoded photos in memory: about 150 MB per 1000 photos")


def run(args: argparse.Namespace) -> None:
    architecture = load_architecture(args.architecture)
    torch.manual_seed(args.seed)
    model = build_model(architecture)
    if args.pretrained:
        model.load_state_dict(load_checkpoint(args.pretrained, architecture).state_dict)
    train, val = (
        PairSet.of(
            read_pairs(path, args.image_root), architecture.vision.image_size, architecture.text.context_length, args.workers
        )
        for path in (args.train, args.val)
    )
    recipe = _recipe(args)
    recipe.check(len(train))
    device = choose_device(args.device)
    if args.cache:
        say(f"decoding {len(train) + len(val)} photos into memory")
        train.photos.keep()
        val.photos.keep()
    folder = RunFolder(args.out, args.out.resolve().name, recipe)
    trainer = Trainer(model, recipe, train, val, folder, device, choose_bfloat16(args.precision, device))
    trainer.run(resume=args.resume)
    say(f"done; the best epoch is {best_checkpoint(args.out)}")


def _add_recipe(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--epochs", type=int, default=Recipe.epochs, metavar="N", help="default: %(default)s")
    group.add_argument("--batch-size", type=int, default=Recipe.batch_size, metavar="N", help="default: %(default)s")
    group.add_argument("--lr", type=float, default=Recipe.learning_rate, metavar="X", help="default: %(default)s")
    group.add_argument("--warmup", type=int, default=Recipe.warmup_steps, metavar="STEPS", help="default: %(default)s")
    group.add_argument("--weight-decay", type=float, default=Recipe.weight_decay, metavar="X", help="default: %(default)s")
    group.add_argument("--seed", type=int, default=Recipe.seed, metavar="N", help="default: %(default)s")
    group.add_argument("--augment", action="store_true", help="random resized crop, mirroring and brightness of the training photos")
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
        share_captions=args.share_captions,
    )
