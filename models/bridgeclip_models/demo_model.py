"""The demo model: its architecture, its files, and the PyTorch model read back from the exported package."""

from importlib import resources
from pathlib import Path

import onnx
import torch
from onnx import TensorProto, numpy_helper

from .architecture import Architecture, build_model, load_architecture
from .checkpoint import fit
from .errors import UserError
from .towers import IMAGE_GRAPH, TEXT_GRAPH

NAME = "bridgeclip-demo"
# Names of files and folders in the demo folder.
PACKAGE = "package"  # int8, made by the device program
FLOAT_PACKAGE = "float"  # source of the int8 package
PHOTOS = "photos"
PHOTO_LABELS = "photos.csv"  # inside PHOTOS
FIGURES = "FIGURES.json"

_PROJECT = Path(__file__).parents[1]
# The demo is in the source tree beside the project, or in the current folder if the project is installed elsewhere.
DEFAULT_DEMO = (_PROJECT if (_PROJECT / "pyproject.toml").is_file() else Path()) / "demo"
DEFAULT_WORK = DEFAULT_DEMO / "work"  # data set, checkpoints and embeddings; not under version control


def demo_architecture() -> Architecture:
    return load_architecture(str(resources.files(__package__).joinpath(f"{NAME}.json")))


def load_demo_model(package: Path) -> torch.nn.Module:
    """Returns the PyTorch model with exactly the weights that the package contains."""
    if not (package / IMAGE_GRAPH).is_file():
        raise UserError(f"{package}: no demo package there; make it first with `bridgeclip-models demo`")
    architecture = demo_architecture()
    model = build_model(architecture).eval()
    # Only training uses the temperature, so a package does not contain it.
    weights = {"logit_scale": model.logit_scale.detach()}
    for graph in (IMAGE_GRAPH, TEXT_GRAPH):
        weights |= _stored_weights(package / graph)
    model.load_state_dict(fit(weights, architecture, str(package)), strict=True)
    return model


def _stored_weights(path: Path) -> dict[str, torch.Tensor]:
    outside = {tensor.name for tensor in onnx.load(path, load_external_data=False).graph.initializer if _is_external(tensor)}
    loaded = onnx.load(path).graph.initializer
    return {tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy()) for tensor in loaded if tensor.name in outside}


def _is_external(tensor: TensorProto) -> bool:
    return tensor.data_location == TensorProto.EXTERNAL
