"""Makes a model package from a checkpoint.

SOURCE is one of
  a file      epoch_5.pt as open_clip saves it, a bare state dict, or .safetensors; tensors may be under the keys state_dict or
              model, and have the prefixes module. and _orig_mod.
  a folder    of a run, with results.jsonl beside (or above) the epoch_N.pt files: takes the epoch with the lowest
              clip_val_loss; or of a hub, with open_clip_config.json beside the weights; or a CLIPModel of Hugging Face's
              transformers, with config.json and preprocessor_config.json
  a tag       one of open_clip's pretrained tags, such as laion2b_s34b_b79k (downloads the weights)

A hub's folder, and a run of `finetune`, say which architecture they have and with which mean and deviation pixels are
normalised; the package says so too. For other sources give --architecture; if it is a .json file, its preprocess_cfg counts.

Every tensor of the checkpoint must fit the architecture exactly: nothing is skipped, nothing is guessed. The finished
graphs are compared with PyTorch on random inputs before the package appears under its name. What the device program could
not run is refused by its name: other image towers (ResNet, timm, EVA), other text towers and tokenizers, CoCa, SigLIP,
another context length than 77, photos resized other than bicubically to the short side.

Examples:
  bridgeclip-models export logs/bridge/checkpoints --architecture ViT-B-32 --name bridgeclip-english \\
      --caption-language en --licence "MIT OR Apache-2.0" --out packages/bridgeclip-english
  bridgeclip-models export CLIP-ViT-B-32-laion2B-s34B-b79K --out packages/base
"""

import argparse
from pathlib import Path

from ..architecture import load_architecture
from ..export import export_package
from ..model_source import load_model
from ..package import Identity


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help="checkpoint file, folder of a training run, or pretrained tag")
    parser.add_argument(
        "--architecture", metavar="NAME",
        help="open_clip model name (ViT-B-32) or the path of an open_clip model config (.json); needed unless the source names it",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the new package")
    parser.add_argument("--name", help="name of the package: a-z, 0-9 and - (default: the name of the folder)")
    parser.add_argument("--version", default="1.0.0", help="version of the package, as 1.2.3 (default: %(default)s)")
    parser.add_argument("--description", help="one plain sentence about the model")
    parser.add_argument(
        "--caption-language", choices=("en", "ja"), default="en",
        help="language of the captions that the model was trained with (default: %(default)s)",
    )
    parser.add_argument(
        "--licence", default="unspecified", help="licence of the weights, as an SPDX expression (default: %(default)s)"
    )
    parser.add_argument(
        "--store", choices=("f32", "f16"), default="f32",
        help="how weights are stored; f16 halves the files and rounds the weights (default: %(default)s)",
    )
    parser.add_argument(
        "--resize", type=int, metavar="PX",
        help="short side of photos before their centre is cut out, in pixels (default: the size of the encoder's input, as in the "
        "published k-NN and retrieval; the published classifiers take 256 for an input of 224)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the folder if it holds a package already")
    parser.add_argument(
        "--trust-pickle", action="store_true",
        help="load a checkpoint that holds more than tensors; it can run code, so only for files you trust",
    )


def run(args: argparse.Namespace) -> None:
    given = load_architecture(args.architecture) if args.architecture else None
    checkpoint, architecture = load_model(args.source, given, trust_pickle=args.trust_pickle)
    identity = Identity(
        name=args.name or args.out.resolve().name,
        version=args.version,
        description=args.description or f"{architecture.name} image and text encoders from {checkpoint.file}.",
        caption_language=args.caption_language,
        licence=args.licence,
    )
    export_package(checkpoint, architecture, identity, args.out, store=args.store, resize=args.resize, overwrite=args.overwrite)
    print(f"{args.out}: package {identity.name} {identity.version} from {checkpoint.file}")
