"""Converts linear heads in a PyTorch checkpoint to the file that the device program reads.

SOURCE is a file of `torch.save` (a state dict, or a dict with `state_dict`) or .safetensors. For each category it contains one
LayerNorm and one Linear with bias. Each tensor's name contains its category: soundness or kenzenudo, measure or taisaku,
damage_type, damage_location or damage_loc. Classes are in the published order.

The device divides features by their length before it applies the heads. That only changes the meaning of the LayerNorm's
epsilon: see --epsilon.

Example:
  bridgeclip-models heads linear_heads.pt --out heads.bin
  bridgeclip reference import-heads heads.bin --package packages/bridgeclip-english
"""

import argparse
from pathlib import Path

from ..checkpoint import read_state_dict
from ..heads import EPSILON, heads_bytes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="SOURCE", help="checkpoint file of the heads")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="file to write; replaced if it is there")
    parser.add_argument(
        "--epsilon", type=float, default=EPSILON, metavar="E",
        help="of the LayerNorms for features of length 1: PyTorch's 1e-5 over the square of the length that the features had "
        "in training, which is about 10 for ViT-B/32 (default: %(default)s)",
    )
    parser.add_argument(
        "--trust-pickle", action="store_true",
        help="load a checkpoint that holds more than tensors; it can run code, so only for files you trust",
    )


def run(args: argparse.Namespace) -> None:
    content = heads_bytes(read_state_dict(args.source, trust_pickle=args.trust_pickle), args.epsilon)
    args.out.write_bytes(content)
    print(f"{args.out}: {len(content)} bytes")
