"""The command line: each subcommand is in a module of its own."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from . import __version__
from .errors import UserError

DESCRIPTION = """\
Makes what BridgeCLIP Edge runs on a device.

  export    a checkpoint -> a model package (two ONNX graphs, weights, tokenizer, manifest)
  heads     linear heads of PyTorch -> the file that the device program reads
  finetune  a CSV of image,text -> checkpoints, by the published recipe
  subsets   a training set -> the published random subsets of 10k, 20k ... rows
  card      labelled CSV files, checkpoints -> every table of the published model card, with intervals
  field     nothing -> photos of bridges, rendered, with masks of their damages, to measure methods on
  demo      nothing -> a small model of our own that is really trained, on rendered pictures
  compare   a quantised package -> how far it agrees with the float package it was made from
  profile   nothing -> embeddings tuned to the published figures, to try rules of answers on
  goldens   the reference results that the tests of the device software compare with

`bridgeclip-models COMMAND --help` explains one command. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C.
"""

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130

# Their modules are imported on demand: PyTorch takes seconds to load, and --help should not wait for it.
COMMANDS = {
    "export": "make a model package from a checkpoint",
    "heads": "convert trained linear heads",
    "finetune": "train an open_clip model on pairs of image and caption",
    "subsets": "sample the published subsets of a training set",
    "card": "measure every table of the published model card",
    "field": "render photos of bridges with masks of their damages",
    "demo": "render a data set, train the demo model on it, measure and export it",
    "compare": "compare a quantised package with its float original",
    "profile": "make embeddings tuned to the published figures",
    "goldens": "remake the reference results of the tests",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit code."""
    argv = sys.argv[1:] if argv is None else list(argv)
    args = _parser(argv).parse_args(argv)
    try:
        args.run(args)
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return EXIT_INTERRUPTED
    return 0


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bridgeclip-models", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    wanted = next((word for word in argv if word in COMMANDS), None)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, formatter_class=argparse.RawDescriptionHelpFormatter)
        if name == wanted:
            module = importlib.import_module(f".commands.{name}", __package__)
            command.description = module.__doc__
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser
