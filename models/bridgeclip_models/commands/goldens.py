"""Remakes the reference results for the tests of the device software.

  tokens.json    texts and their 77 tokens by open_clip's tokenizer
  captions.json  labels and their captions, by the published template
  heads.json     small linear heads in their stored form, features, and their logits
  metrics.json   labels, answers and embeddings with their metrics, by scikit-learn and NumPy
  photos/        pictures of all shapes and formats, and what Pillow and open_clip make of them (needs the demo's photos)
  vit_b32/       the full ViT-B/32 with weights that can be made again from their names: graphs, inputs, embeddings
  demo/          embeddings of sample photos, captions and the held-out pictures, by the demo model (needs `demo` first)
  classifiers/   answers of the published classifiers on the held-out pictures (needs the demo package, and demo/ above)

Run it in the folder `models`:
  bridgeclip-models goldens --out ../tests/data
  bridgeclip-models goldens --out ../tests/data --only tokens captions heads
"""

import argparse
from pathlib import Path

from ..demo_model import DEFAULT_DEMO, DEFAULT_WORK
from ..goldens import PARTS, write_goldens


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the goldens; files there are replaced")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=f"any of: {', '.join(PARTS)}")
    parser.add_argument(
        "--demo", type=Path, default=DEFAULT_DEMO, metavar="DIR", help="folder with the demo package and photos (default: %(default)s)"
    )
    parser.add_argument(
        "--work", type=Path, default=DEFAULT_WORK, metavar="DIR",
        help="work folder of the demo, with its held-out pictures (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> None:
    for path in write_goldens(args.out, args.only, args.demo, args.work):
        print(path)
