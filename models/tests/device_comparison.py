"""Exports small models with every option that `export` accepts, and compares what the device program makes of them with PyTorch.

  python tests/device_comparison.py --bridgeclip ../target/release/bridgeclip

The models have seeded random weights. Photos and texts must have a cosine of at least 0.9999 to open_clip's own transform,
tokenizer and encoders. The int8 package that the device program makes must load and agree to 0.98.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image

from bridgeclip_models.architecture import build_model, load_architecture
from bridgeclip_models.cli import main as bridgeclip_models
from bridgeclip_models.render import generate

COSINE_MIN, COSINE_MIN_INT8 = 0.9999, 0.98
TEXTS = ("Cracking is observed in the main girder.", "Scour", "The soundness rating is Ⅲ.", " ".join(["crack"] * 100))
VISION = {"image_size": 64, "patch_size": 16, "width": 64, "layers": 2, "head_width": 16}
TEXT = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 4, "layers": 2}
HALF = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}

# Name -> changes to the vision tower, to the text tower, and to the model; and the way photos are prepared.
VARIANTS: dict[str, tuple[dict, dict, dict, dict]] = {
    "plain": ({}, {}, {}, {}),
    "half": ({}, {}, {}, HALF),
    "quick_gelu": ({}, {}, {"quick_gelu": True}, {}),
    "custom_text": ({}, {}, {"custom_text": True}, {}),
    "text_eos": ({}, {"pool_type": "eos", "eos_id": 49407}, {}, {}),
    "text_last": ({}, {"pool_type": "last"}, {"custom_text": True}, {}),
    "text_first": ({}, {"pool_type": "first", "no_causal_mask": True}, {"custom_text": True}, {}),
    "text_no_mask": ({}, {"no_causal_mask": True}, {"custom_text": True}, {}),
    "text_proj_bias": ({}, {"proj_bias": True}, {"custom_text": True}, {}),
    "text_proj_none": ({}, {"proj_type": "none", "width": 48, "heads": 3}, {"custom_text": True}, {}),
    "vision_avg": ({"pool_type": "avg"}, {}, {}, {}),
    "vision_avg_ln_after": ({"pool_type": "avg", "final_ln_after_pool": True}, {}, {}, {}),
    "vision_no_ln_pre": ({"no_ln_pre": True}, {}, {}, {}),
    "vision_sin_cos": ({"pos_embed_type": "sin_cos_2d"}, {}, {}, {}),
    "layer_scale": ({"ls_init_value": 0.1}, {"ls_init_value": 0.1}, {}, {}),
    "epsilon": ({"norm_kwargs": {"eps": 1e-3}}, {"norm_kwargs": {"eps": 1e-3}}, {}, {}),
    "mlp_ratio": ({"mlp_ratio": 2.5}, {"mlp_ratio": 3.0}, {}, {}),
}


def make(name: str, work: Path) -> Path:
    """Writes a hub's folder with this variant."""
    vision, text, model, prepared = VARIANTS[name]
    folder = work / name
    folder.mkdir()
    config = {"embed_dim": 48, "vision_cfg": VISION | vision, "text_cfg": TEXT | text, **model}
    content = {"model_cfg": config} | ({"preprocess_cfg": prepared | {"size": 64}} if prepared else {})
    (folder / "open_clip_config.json").write_text(json.dumps(content))
    torch.manual_seed(0)
    built = build_model(load_architecture(str(folder / "open_clip_config.json")))
    torch.save(built.state_dict(), folder / "open_clip_pytorch_model.bin")
    return folder


@torch.inference_mode()
def expected(folder: Path, photos: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the unit rows of open_clip for the photos and the texts."""
    architecture = load_architecture(str(folder / "open_clip_config.json"))
    model = build_model(architecture).eval()
    model.load_state_dict(torch.load(folder / "open_clip_pytorch_model.bin"))
    prepared = architecture.preprocessing
    transform = open_clip.image_transform(architecture.vision.image_size, is_train=False, mean=prepared.mean, std=prepared.std)
    pixels = torch.stack([transform(Image.open(photo).convert("RGB")) for photo in photos])
    tokens = open_clip.get_tokenizer("ViT-B-32")(list(TEXTS))
    return model.encode_image(pixels, normalize=True).numpy(), model.encode_text(tokens, normalize=True).numpy()


def embedded(bridgeclip: Path, package: Path, words: list[str]) -> np.ndarray:
    out = package.parent / "rows.npy"
    subprocess.run([bridgeclip, "embed", *words, "--package", package, "--out", out], check=True)
    return np.load(out)


def compare(bridgeclip: Path, name: str, work: Path, photos: list[Path]) -> list[float]:
    """Returns the least cosine of photos and texts, in float and in int8."""
    folder = make(name, work)
    package, int8 = folder / "float", folder / "int8"
    if bridgeclip_models(["export", str(folder), "--name", name.replace("_", "-"), "--out", str(package)]):
        raise RuntimeError("not exported")
    images, texts = expected(folder, photos)
    if texts.std(axis=0).max() < 1e-3:
        raise RuntimeError("all texts have the same embedding, so the comparison says nothing")
    words = [bridgeclip, "package", "quantize", package, "--calibrate", photos[0].parent, "--out", int8]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    found = []
    for made in (package, int8):
        rows = embedded(bridgeclip, made, [str(photo) for photo in photos]), embedded(bridgeclip, made, ["--text", *TEXTS])
        found += [float((rows[0] * images).sum(axis=1).min()), float((rows[1] * texts).sum(axis=1).min())]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bridgeclip", type=Path, required=True, metavar="PATH", help="the device program")
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="VARIANT")
    args = parser.parse_args()
    failed = []
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        generate(work, 12, 1, "val", 1)
        photos = sorted((work / "val").iterdir())
        for name in args.only:
            try:
                cosines = compare(args.bridgeclip.resolve(), name, work, photos)
            except (RuntimeError, subprocess.CalledProcessError) as error:
                failed.append(name)
                print(f"{name:20} FAILED: {error}", flush=True)
                continue
            good = min(cosines[:2]) >= COSINE_MIN and min(cosines[2:]) >= COSINE_MIN_INT8
            failed += [] if good else [name]
            print(f"{name:20} {'ok' if good else 'FAILED'}  photo, text; int8: " + "  ".join(f"{value:.6f}" for value in cosines), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
