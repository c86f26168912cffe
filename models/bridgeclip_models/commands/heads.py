"""Converts linear heads in a PyTorch checkpoint to the file that the device program reads.

SOURCE is a file of `torch.save` (a state dict, or a dict with `state_dict`) or .safetensors. For each category it contains one
LayerNorm and one Linear with bias. Each tensor's name contains its category: soundness or kenzenudo, measure or taisaku,
damage_type, damage_location or damage_loc. Classes are in the published order.

`best_model.pt` of the published training is such a file too; it also holds the image encoder (`visual.*`). Its photos were
resized to 8/7 of the encoder's size before their centre was cut out, which the file of heads records; the device program
refuses heads for photos that its package prepares otherwise. With --checkpoint, the encoder is compared with that of the
model: heads of --mode finetune fit only the encoder that was trained with them.

The device divides features by their length before it applies the heads. That only changes the meaning of the LayerNorm's
epsilon: see --epsilon.

Example:
  bridgeclip-models heads best_model.pt --checkpoint epoch_5.pt --out heads.bin
  bridgeclip reference import-heads heads.bin --package packages/bridgeclip-english
"""

import argparse
import sys
from pathlib import Path

from ..checkpoint import read_state_dict
from ..errors import UserError
from ..heads import EPSILON, Preparation, check_encoder, encoder_of, heads_bytes, published_preparation, without_encoder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="SOURCE", help="checkpoint file of the heads")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="file to write; replaced if it is there")
    parser.add_argument(
        "--epsilon", type=float, default=EPSILON, metavar="E",
        help="of the LayerNorms for features of length 1: PyTorch's 1e-5 over the square of the length that the features had "
        "in training, which is about 10 for ViT-B/32 (default: %(default)s)",
    )
    parser.add_argument(
        "--prepared", type=int, nargs=2, metavar=("SHORT_SIDE", "SIZE"),
        help="pixels of the photos' short side after resizing, and of the square cut out of their centre, in training; follows "
        "from the encoder if the file holds one",
    )
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FILE",
        help="checkpoint of the model that the package was made from; fails if the file holds another image encoder",
    )
    parser.add_argument(
        "--trust-pickle", action="store_true",
        help="load a checkpoint that holds more than tensors; it can run code, so only for files you trust",
    )


def run(args: argparse.Namespace) -> None:
    tensors = read_state_dict(args.source, trust_pickle=args.trust_pickle)
    encoder = encoder_of(tensors)
    if args.checkpoint:
        _compare(encoder, args)
    elif encoder:
        print(f"{args.source}: its image encoder was not compared with the package's; see --checkpoint", file=sys.stderr)
    preparation = _preparation(encoder, args)
    content = heads_bytes(without_encoder(tensors), preparation, args.epsilon)
    args.out.write_bytes(content)
    print(f"{args.out}: {len(content)} bytes; photos with a short side of {preparation.resize}, cut to {preparation.size} pixels")


def _compare(encoder: dict, args: argparse.Namespace) -> None:
    if not encoder:
        raise UserError(f"{args.source}: holds no image encoder to compare with --checkpoint; leave the option out")
    check_encoder(encoder, read_state_dict(args.checkpoint, trust_pickle=args.trust_pickle), str(args.checkpoint))


def _preparation(encoder: dict, args: argparse.Namespace) -> Preparation:
    if args.prepared:
        return Preparation(*args.prepared)
    if not encoder:
        raise UserError(f"{args.source}: does not say how photos were prepared; give --prepared, such as --prepared 224 224")
    return published_preparation(encoder)
