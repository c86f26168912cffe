"""Export of a checkpoint as a model package, which is compared with PyTorch before it appears."""

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx.reference import ReferenceEvaluator

from .architecture import Architecture, build_model, check_exportable
from .checkpoint import Checkpoint
from .errors import UserError
from .package import TOKENIZER, Identity, check_resize, new_folder, write_manifest
from .tokenizer_json import tokenizer_json
from .towers import IMAGE_GRAPH, TEXT_GRAPH, image_graph, text_dim, text_graph

COSINE_MIN = 0.99999  # minimum cosine between an exported graph and PyTorch
_CHECKED_INPUTS = 2
_SEED = 20240607


def export_package(
    checkpoint: Checkpoint,
    architecture: Architecture,
    identity: Identity,
    out: Path,
    *,
    store: str = "f32",
    resize: int | None = None,
    overwrite: bool = False,
) -> None:
    """Writes the package folder `out`. After an error, `out` is unchanged.

    `resize` is the short side of photos before their centre is cut out, in pixels; by default the size of the input.
    """
    check_resize(resize, architecture)
    check_exportable(architecture)
    if text_dim(architecture) != architecture.embedding_dim:
        raise UserError(f"{architecture.name}: text_cfg.proj_type=none needs text_cfg.width equal to embed_dim")
    with new_folder(out, overwrite=overwrite) as folder:
        image_graph(checkpoint.state_dict, architecture, store).write(folder / IMAGE_GRAPH)
        text_graph(checkpoint.state_dict, architecture, store).write(folder / TEXT_GRAPH)
        (folder / TOKENIZER).write_text(tokenizer_json(), encoding="utf-8")
        verify_graphs(folder, stored_state(checkpoint.state_dict, store), architecture)
        write_manifest(folder, identity, architecture, checkpoint, resize)


def stored_state(state_dict: dict[str, torch.Tensor], store: str) -> dict[str, torch.Tensor]:
    """Returns the weights as the package stores them, converted back to float32."""
    return state_dict if store == "f32" else {name: value.half().float() for name, value in state_dict.items()}


def verify_graphs(folder: Path, state_dict: dict[str, torch.Tensor], architecture: Architecture) -> None:
    """Runs both graphs and the PyTorch model on the same random inputs, and fails if they differ."""
    model = build_model(architecture).eval()
    model.load_state_dict(state_dict, strict=True)
    with torch.inference_mode():
        for image in _random_images(architecture):
            _compare(folder / IMAGE_GRAPH, {"image": image.numpy()}, model.encode_image(image))
        for tokens in _random_tokens(architecture):
            _compare(folder / TEXT_GRAPH, {"tokens": tokens.numpy()}, model.encode_text(tokens))


def _random_images(architecture: Architecture) -> list[torch.Tensor]:
    """Returns normalised pixels of random images, each [1, 3, size, size]."""
    size = architecture.vision.image_size
    generator = torch.Generator().manual_seed(_SEED)
    return list(torch.randn(_CHECKED_INPUTS, 1, 3, size, size, generator=generator))


def _random_tokens(architecture: Architecture) -> list[torch.Tensor]:
    """Returns a short and a full text of random words, each [1, context length]."""
    length, start, end = architecture.text.context_length, 49406, 49407
    generator = torch.Generator().manual_seed(_SEED)
    texts = torch.randint(1, start, (_CHECKED_INPUTS, 1, length), generator=generator)
    texts[:, :, 0] = start
    for text, words in zip(texts, (length // 3, length - 2), strict=True):
        text[:, words + 1] = end
        text[:, words + 2 :] = 0
    return list(texts)


def _compare(path: Path, inputs: dict[str, np.ndarray], expected: torch.Tensor) -> None:
    onnx.checker.check_model(str(path), full_check=True)
    found = ReferenceEvaluator(onnx.load(path)).run(None, inputs)[0]
    cosine = torch.nn.functional.cosine_similarity(torch.from_numpy(found), expected).item()
    if not (found.shape == tuple(expected.shape) and cosine >= COSINE_MIN):
        raise UserError(
            f"{path.name}: differs from PyTorch (cosine {cosine:.7f}, at least {COSINE_MIN} is needed); "
            f"the package was not written. Please report the architecture"
        )
