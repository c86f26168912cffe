"""Compares a quantised package with the float package it was made from, on rendered pictures that neither has seen.

The device program embeds and classifies them with both. The exit code is 1 if the quantised package is worse than promised.

Run it in the folder `models`:
  bridgeclip-models compare --bridgeclip ../target/release/bridgeclip
"""

import argparse
import tempfile
from pathlib import Path

from ..compare import compare
from ..demo_model import DEFAULT_DEMO, FLOAT_PACKAGE, PACKAGE
from ..errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bridgeclip", type=Path, required=True, metavar="PATH", help="the device program")
    parser.add_argument("--float", type=Path, default=DEFAULT_DEMO / FLOAT_PACKAGE, metavar="DIR", help="default: %(default)s")
    parser.add_argument("--int8", type=Path, default=DEFAULT_DEMO / PACKAGE, metavar="DIR", help="default: %(default)s")
    parser.add_argument("--pictures", type=int, default=300, metavar="N", help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the pictures; 1 are the held-out ones of the demo")
    parser.add_argument("--work", type=Path, metavar="DIR", help="keep the pictures in this folder; a temporary one if not given")


def run(args: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        work = args.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        agreement = compare(args.bridgeclip, args.float, args.int8, work, args.pictures, args.seed)
    print(f"{agreement.pictures} pictures, {args.int8} against {args.float}")
    for line in agreement.lines():
        print(f"  {line}")
    if not agreement.is_good:
        raise UserError("the quantised package falls short of what is promised")
