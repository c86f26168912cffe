"""Small linear heads, and PyTorch's logits of some features with them."""

from pathlib import Path

import torch

from .captions import categories
from .golden_images import floats
from .heads import Preparation, heads_bytes
from .json_lines import write_lists
from .seeded import Spread, seeded

_DIM = 12
_LENGTHS = (9.0, 10.0, 11.5)  # lengths of features; CLIP's ViT-B/32 produces such


def write_heads(out: Path) -> Path:
    """Writes `heads.json`: the stored form in hexadecimal digits, and features before normalisation with their logits."""
    heads = seeded_heads(_DIM)
    features = [_feature(index, length) for index, length in enumerate(_LENGTHS)]
    return write_lists(
        out / "heads.json",
        {"heads": [heads_bytes(heads.state_dict(), Preparation(256, 224)).hex()], "examples": [_example(heads, feature) for feature in features]},
    )


def seeded_heads(dim: int) -> torch.nn.ModuleDict:
    """Returns a LayerNorm and a Linear for each category, under the name of its CSV column."""
    heads = torch.nn.ModuleDict(
        {
            category.column: torch.nn.Sequential(torch.nn.LayerNorm(dim), torch.nn.Linear(dim, len(category.classes)))
            for category in categories().values()
        }
    )
    weights = {
        name: torch.from_numpy(seeded(f"heads.{name}", tuple(value.shape), Spread(float(name.endswith("0.weight")), 0.4)))
        for name, value in heads.state_dict().items()
    }
    heads.load_state_dict(weights, strict=True)
    return heads.eval()


def _feature(index: int, length: float) -> torch.Tensor:
    values = torch.from_numpy(seeded(f"feature.{index}", (_DIM,), Spread(0.1, 1.0)))
    return values * (length / values.norm())


@torch.inference_mode()
def _example(heads: torch.nn.ModuleDict, feature: torch.Tensor) -> dict[str, list[float]]:
    logits = {category.id: floats(heads[category.column](feature)) for category in categories().values()}
    return {"feature": floats(feature)} | logits
