"""Fixtures that several tests share: a tiny architecture, its weights, and a tiny data set."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bridgeclip_models.architecture import Architecture, build_model, load_architecture

_CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 16, "patch_size": 16, "head_width": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
_COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.json"
    path.write_text(json.dumps(_CONFIG))
    return path


@pytest.fixture
def tiny(config_file: Path) -> Architecture:
    return load_architecture(str(config_file))


@pytest.fixture
def weights(tiny: Architecture) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return build_model(tiny).state_dict()


@pytest.fixture
def pairs_csv(tmp_path: Path) -> Path:
    """Writes 24 small pictures of one colour each, with captions that name the colour."""
    rng = np.random.default_rng(0)
    path = tmp_path / "pairs.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "text"])
        for index in range(24):
            name, colour = list(_COLOURS.items())[index % len(_COLOURS)]
            pixels = np.clip(rng.normal(colour, 20, (36, 48, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"{index}.png")
            writer.writerow([f"{index}.png", f"A {name} picture."])
    return path
