"""Conversion of linear heads from PyTorch's tensors to the bytes that the device program reads.

A category has one LayerNorm (weight and bias, [dim]) and one Linear (weight [classes][dim], bias [classes]). The
tensors may have any names that contain the category, such as `kenzenudo.norm.weight` or `heads.soundness.1.bias`.

The published classifiers are saved with their image encoder (`visual.*` beside `heads.*`). They see photos whose short side
is 8/7 of the encoder's size, of which the centre is cut out, unlike the published k-NN.
"""

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from .captions import Category, categories
from .errors import UserError

MAGIC = b"BCHEADS2"
_ENCODER = "visual."  # prefix of the image encoder's tensors in a classifier's checkpoint
_PUBLISHED_MARGIN = 1.143  # short side over size in the published classifiers, which truncate the product
# PyTorch adds 1e-5 to the variance of features whose length is about 10. On the device their length is 1, so the
# variance and the epsilon are a hundredth of that.
EPSILON = 1e-7


@dataclass(frozen=True)
class Preparation:
    """How photos were prepared for the image encoder in training."""

    resize: int  # short side of the resized photo, in pixels
    size: int  # side of the square that is cut out of its centre, in pixels

    def __post_init__(self) -> None:
        if not 1 <= self.size <= self.resize <= 4096:
            raise UserError(f"photos of a short side of {self.resize} cut to {self.size}: expected 1 <= size <= short side <= 4096")


@dataclass(frozen=True)
class Head:
    """The weights of one category, float32."""

    norm_weight: torch.Tensor  # [dim]
    norm_bias: torch.Tensor  # [dim]
    weight: torch.Tensor  # [classes][dim]
    bias: torch.Tensor  # [classes]

    def tensors(self) -> tuple[torch.Tensor, ...]:
        """Returns the tensors in the order in which they are stored."""
        return self.norm_weight, self.norm_bias, self.weight, self.bias


def heads_bytes(state_dict: Mapping[str, torch.Tensor], preparation: Preparation, epsilon: float = EPSILON) -> bytes:
    """Returns the stored form of the heads, little-endian.

    It consists of `BCHEADS2`, dim (u32), epsilon (f32), the number of classes of each category (u32), and short side and
    size of the photos (u32); then for each category, in the order of `labels.toml`, the tensors of `Head` as f32.
    """
    if not 0 < epsilon < 1:
        raise UserError(f"epsilon is {epsilon}; expected a number between 0 and 1")
    heads = find_heads(state_dict)
    dims = {head.weight.shape[1] for head in heads.values()}
    if len(dims) != 1:
        raise UserError(f"heads: the categories take features of different lengths: {sorted(dims)}")
    classes = [len(category.classes) for category in categories().values()]
    header = struct.pack("<8sIf6I", MAGIC, dims.pop(), epsilon, *classes, preparation.resize, preparation.size)
    return header + b"".join(_bytes(tensor) for head in heads.values() for tensor in head.tensors())


def encoder_of(state_dict: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Returns the tensors of the image encoder in a classifier's checkpoint; none if it holds only heads."""
    return {name: tensor for name, tensor in state_dict.items() if name.startswith(_ENCODER)}


def without_encoder(state_dict: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Returns the tensors of the heads."""
    return {name: tensor for name, tensor in state_dict.items() if not name.startswith(_ENCODER)}


def published_preparation(encoder: Mapping[str, torch.Tensor]) -> Preparation:
    """Returns how the published classifiers prepare photos for a vision transformer with these tensors."""
    try:
        patch, places = encoder["visual.conv1.weight"].shape[-1], encoder["visual.positional_embedding"].shape[0]
    except KeyError as error:
        raise UserError(f"heads: the encoder has no {error}, so its input size is unknown; give --prepared") from error
    size = patch * round((places - 1) ** 0.5)
    return Preparation(int(size * _PUBLISHED_MARGIN), size)


def check_encoder(encoder: Mapping[str, torch.Tensor], checkpoint: Mapping[str, torch.Tensor], source: str) -> None:
    """Fails unless the classifier's image encoder is that of the checkpoint, number by number."""
    expected = encoder_of(checkpoint)
    same = encoder.keys() == expected.keys() and all(
        tensor.shape == expected[name].shape and bool((tensor.float() == expected[name].float()).all())
        for name, tensor in encoder.items()
    )
    if not same:
        raise UserError(
            f"heads: their image encoder is not that of {source}: it was trained on with the heads, so they do not fit the "
            f"package's embeddings. Train them with --mode linear_probe"
        )


def find_heads(state_dict: Mapping[str, torch.Tensor]) -> dict[str, Head]:
    """Returns the heads by category id. Fails on a tensor that belongs to no category."""
    by_category: dict[str, dict[str, torch.Tensor]] = {id: {} for id in categories()}
    for name, tensor in state_dict.items():
        by_category[_category_of(name)][name] = tensor
    return {id: _head(category, by_category[id]) for id, category in categories().items()}


def _category_of(name: str) -> str:
    """Returns the category whose id or CSV column the name contains as separate words."""
    names = {id: {id, category.column} for id, category in categories().items()}
    found = [id for id, words in names.items() if any(re.search(rf"(?<![a-z]){word}(?![a-z])", name.lower()) for word in words)]
    if len(found) != 1:
        known = ", ".join(sorted(set().union(*names.values())))
        raise UserError(f"heads: the tensor {name!r} names {'no category' if not found else found}; expected one of: {known}")
    return found[0]


def _head(category: Category, tensors: Mapping[str, torch.Tensor]) -> Head:
    matrices = [name for name, tensor in tensors.items() if tensor.ndim == 2]
    if len(tensors) != 4 or len(matrices) != 1:
        raise _unlike(category, tensors)
    weight = matrices[0]
    bias = f"{weight.removesuffix('weight')}bias"
    rest = [name for name in tensors if name not in (weight, bias)]
    norm_weight, norm_bias = _ending(rest, "weight"), _ending(rest, "bias")
    if bias not in tensors or norm_weight is None or norm_bias is None:
        raise _unlike(category, tensors)
    head = Head(*(tensors[name].detach().to(torch.float32) for name in (norm_weight, norm_bias, weight, bias)))
    _check(category, head, tensors)
    return head


def _ending(names: Sequence[str], end: str) -> str | None:
    return next((name for name in names if name.endswith(end)), None)


def _check(category: Category, head: Head, tensors: Mapping[str, torch.Tensor]) -> None:
    classes, dim = head.weight.shape
    if classes != len(category.classes):
        raise UserError(f"heads: {category.id} has {classes} classes; {len(category.classes)} are known")
    if [tuple(tensor.shape) for tensor in head.tensors()] != [(dim,), (dim,), (classes, dim), (classes,)]:
        raise _unlike(category, tensors)
    if not all(bool(tensor.isfinite().all()) for tensor in head.tensors()):
        raise UserError(f"heads: {category.id} holds values that are not finite")


def _unlike(category: Category, tensors: Mapping[str, torch.Tensor]) -> UserError:
    found = ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in tensors.items()) or "nothing"
    return UserError(
        f"heads: {category.id} needs one LayerNorm and one Linear with bias: weight and bias [dim], weight [classes][dim] "
        f"and bias [classes]; found {found}"
    )


def _bytes(tensor: torch.Tensor) -> bytes:
    return np.ascontiguousarray(tensor.cpu().numpy()).astype("<f4").tobytes()
