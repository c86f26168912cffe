"""Makes embeddings of labelled photos that do not exist, tuned to the published figures, to try rules of answers on.

With 30,000 references, the macro-F1 of k-NN and of linear heads is that of the published model; see the module `profile`
for how the embeddings are made. The held-out photos show other bridges than the reference. The same seed gives the same
files.

Example:
  bridgeclip-models profile --seed 1 --references 30000 --held-out 2680 --out work/profile
  bridgeclip reference import --embeddings work/profile/reference.npy --csv work/profile/reference.csv --package PACKAGE
  bridgeclip reference fit-heads --package PACKAGE
  bridgeclip reference fit-rules --csv work/profile/held-out.csv --embeddings work/profile/held-out.npy --package PACKAGE

The package must have embeddings of 512 values.
"""

import argparse
import json
from pathlib import Path

from ..errors import UserError
from ..profile.files import knn_macro_f1, make, write

PHOTOS_MAX = 1_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="of all random choices, at least 0 (default: %(default)s)")
    parser.add_argument("--references", type=int, default=30_000, metavar="N", help="photos of the reference (default: %(default)s)")
    parser.add_argument("--held-out", type=int, default=2_680, metavar="M", help="photos of other bridges (default: %(default)s)")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to write; files in it are replaced")


def run(args: argparse.Namespace) -> None:
    for name, count in (("--references", args.references), ("--held-out", args.held_out)):
        if not 10 <= count <= PHOTOS_MAX:
            raise UserError(f"{name} is {count}; expected 10 to {PHOTOS_MAX}")
    if args.seed < 0:
        raise UserError(f"--seed is {args.seed}; expected a number of at least 0")
    profile = make(args.seed, args.references, args.held_out)
    write(profile, args.out)
    print(json.dumps({"knn_macro_f1": {id: round(value, 4) for id, value in knn_macro_f1(profile).items()}}))
