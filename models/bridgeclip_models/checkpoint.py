"""Checkpoints: choosing the best epoch of a run, reading the tensors, and checking them against an architecture.

`model_source` finds the file and the architecture that belong to what a user names.
"""

import hashlib
import json
import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from .architecture import Architecture, build_model
from .errors import UserError
from .formats import foreign_file, foreign_weights, is_torchscript

RESULTS = "results.jsonl"
_EPOCH_FILE = re.compile(r"epoch_(\d+)\.pt")
_SHOWN_NAMES = 8  # number of tensor names in one message

# Keys of a checkpoint under which its tensors can be: open_clip, this project and many scripts; DeepSpeed.
_CONTAINERS = ("state_dict", "model", "model_state_dict", "module")
# Prefixes of wrappers around the model: distributed training, and modules that keep a CLIP as a member.
_WRAPPERS = ("module.", "model.", "clip.", "open_clip.", "clip_model.")
_COMPILED = re.compile(r"(^|\.)_orig_mod\.")  # torch.compile
_OPENAI_BUFFERS = frozenset({"input_resolution", "context_length", "vocab_size"})

# Buffers that are no weights. Older versions of PyTorch, open_clip or transformers saved them along with the weights.
_HARMLESS_BUFFERS = frozenset({"attn_mask", "text.attn_mask", "input_resolution", "context_length", "vocab_size"})


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of one training result, checked to fit their architecture."""

    file: str  # name of the file, for the manifest
    sha256: str  # hash of that file
    state_dict: dict[str, torch.Tensor]  # float32, names without the prefix `module.`


def best_checkpoint(folder: Path) -> Path:
    """Returns the epoch_N.pt with the lowest `clip_val_loss` of the training run in `folder`."""
    results = next((p for p in (folder / RESULTS, folder / "checkpoints" / RESULTS, folder.parent / RESULTS) if p.is_file()), None)
    if results is None:
        raise UserError(f"{folder}: no {RESULTS} in it; give the checkpoint file itself, or the folder that has {RESULTS}")
    losses = _validation_losses(results)
    if not losses:
        raise UserError(f"{results}: no line has both `epoch` and `clip_val_loss`; give the checkpoint file itself")
    epoch = min(losses, key=lambda epoch: (losses[epoch], epoch))
    places = (folder, results.parent, results.parent / "checkpoints")
    path = next((place / f"epoch_{epoch}.pt" for place in places if (place / f"epoch_{epoch}.pt").is_file()), None)
    if path is None:
        looked = ", ".join(sorted({str(place) for place in places}))
        raise UserError(
            f"epoch_{epoch}.pt is missing (looked in {looked}); {results} says that epoch {epoch} is the best "
            f"(clip_val_loss {losses[epoch]:.4f}); copy it there, or give another checkpoint file itself"
        )
    return path


def latest_checkpoint(folder: Path) -> Path | None:
    """Returns the epoch_N.pt with the highest N in `folder`, or None if there is none."""
    found = [(int(match[1]), path) for path in folder.glob("epoch_*.pt") if (match := _EPOCH_FILE.fullmatch(path.name))]
    return max(found)[1] if found else None


def read_file(path: Path, *, trust_pickle: bool = False) -> object:
    """Reads a file of `torch.save` or safetensors onto the CPU, memory-mapped where its format allows it.

    With `trust_pickle`, also files that hold more than tensors, whose reading can run code. A file of another kind is
    refused by its name.
    """
    if what := foreign_file(path):
        raise UserError(f"{path}: is {what}")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if is_torchscript(path):
        if not trust_pickle:
            raise UserError(f"{path}: is a TorchScript archive, which contains code; if you trust its origin, add --trust-pickle")
        return torch.jit.load(path, map_location="cpu").state_dict()
    try:
        return torch.load(path, map_location="cpu", weights_only=not trust_pickle, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        raise UserError(f"{path}: {_beyond_tensors(error)}; if you trust its origin, add --trust-pickle") from error
    except (ImportError, AttributeError) as error:
        raise UserError(f"{path}: holds a Python object whose class is not installed here ({error}); save its state_dict() instead") from error
    except (RuntimeError, EOFError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a PyTorch checkpoint, or damaged ({error}); copy it again") from error


def read_state_dict(path: Path, *, trust_pickle: bool = False) -> dict[str, torch.Tensor]:
    """Reads the tensors of a checkpoint by name, without the prefixes that wrappers of the model add."""
    content = read_file(path, trust_pickle=trust_pickle)
    for key in _CONTAINERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), (Mapping, torch.nn.Module)):
            content = content[key]
            break
    if isinstance(content, torch.nn.Module):
        content = content.state_dict()
    if not isinstance(content, Mapping) or not content or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise UserError(
            f"{path}: no state dict in it ({_contents(content)}); a dict of tensors is expected, bare or under {', '.join(_CONTAINERS)}"
        )
    return _unwrapped(content, path)


def fit(state_dict: Mapping[str, torch.Tensor], architecture: Architecture, source: str) -> dict[str, torch.Tensor]:
    """Returns the weights as float32.

    Fails if they are not exactly those of the architecture, and names the ones that differ; or the kind of model that they
    are. Fails on weights that are no numbers.
    """
    with torch.device("meta"):
        expected = build_model(architecture).state_dict()
    found = {name: value for name, value in state_dict.items() if name not in _HARMLESS_BUFFERS}
    if problems := _mismatches(found, expected):
        if what := foreign_weights(found):
            raise UserError(f"{source}: holds {what}")
        raise UserError(
            f"{source}: does not fit {architecture.name}: {'; '.join(problems)}. Give the architecture that it was trained with"
        )
    if _OPENAI_BUFFERS <= set(state_dict) and not architecture.quick_gelu:
        raise UserError(
            f"{source}: weights of OpenAI, which were trained with QuickGELU; give the architecture with -quickgelu in its name"
        )
    _check_values(found, expected, source)
    return {name: found[name].to(torch.float32).reshape(expected[name].shape).contiguous() for name in expected}


def _check_values(found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor], source: str) -> None:
    whole = [f"{name} is {found[name].dtype}" for name in expected if not found[name].is_floating_point()]
    if whole:
        raise UserError(f"{source}: quantised weights ({_shown(whole)}); give the float weights that they were made from")
    broken = {name: int((~found[name].isfinite()).sum()) for name in expected}
    if wrong := [f"{name} ({count} of {found[name].numel()})" for name, count in broken.items() if count]:
        raise UserError(
            f"{source}: NaN or infinite values in {len(wrong)} tensors: {_shown(wrong)}. The training diverged, or the file is "
            f"damaged; give an earlier epoch, or copy it again"
        )


def sha256_of(path: Path) -> str:
    """Returns the SHA-256 of a file as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _validation_losses(results: Path) -> dict[int, float]:
    """Returns `clip_val_loss` by epoch. Lines without one are skipped; of a repeated epoch the last line counts."""
    losses = {}
    for number, line in enumerate(results.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except ValueError as error:
            raise UserError(f"{results}, line {number}: not JSON ({error}); repair or remove the line") from error
        if "clip_val_loss" in entry and "epoch" in entry:
            losses[int(entry["epoch"])] = float(entry["clip_val_loss"])
    return {epoch: loss for epoch, loss in losses.items() if loss == loss}  # leaves out losses that are NaN


def _mismatches(found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> list[str]:
    missing = sorted(set(expected) - set(found))
    unexpected = sorted(set(found) - set(expected))
    shapes = [
        f"{name} is {list(found[name].shape)} instead of {list(expected[name].shape)}"
        for name in expected
        if name in found and not _same_shape(found[name], expected[name])
    ]
    groups = (("missing", missing), ("unexpected", unexpected), ("wrong shape", shapes))
    return [f"{len(names)} {kind}: {_shown(names)}" for kind, names in groups if names]


def _same_shape(found: torch.Tensor, expected: torch.Tensor) -> bool:
    # Versions of open_clip differ in whether they save the temperature as a scalar or as one element.
    return found.shape == expected.shape or (expected.numel() == found.numel() == 1)


def _shown(names: list[str]) -> str:
    more = len(names) - _SHOWN_NAMES
    return ", ".join(names[:_SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise UserError(f"{path}: not a safetensors file, or damaged ({error}); copy it again") from error


def _beyond_tensors(error: pickle.UnpicklingError) -> str:
    """Says what a file holds beside tensors, as far as PyTorch's message names it."""
    found = re.search(r"GLOBAL (\S+)", str(error))
    if found and not found[1].startswith("argparse"):
        return f"holds a pickled Python object ({found[1]}), such as a whole model, not only its tensors"
    return f"holds more than tensors, or is damaged ({str(error).splitlines()[0]})"


def _contents(content: object) -> str:
    return f"keys {_shown([str(key) for key in content])}" if isinstance(content, Mapping) and content else f"a {type(content).__name__}"


def _unwrapped(tensors: Mapping[str, torch.Tensor], path: Path) -> dict[str, torch.Tensor]:
    """Returns the tensors without the names of wrappers. `module.` may be on some of them only, as open_clip writes it."""
    names = {name: _COMPILED.sub(r"\1", name).removeprefix("module.") for name in tensors}
    while wrapper := next((word for word in _WRAPPERS if all(name.startswith(word) for name in names.values())), None):
        names = {old: new.removeprefix(wrapper) for old, new in names.items()}
    if len(set(names.values())) != len(names):
        raise UserError(f"{path}: two tensors have the same name without module. and _orig_mod.; save the bare model's state_dict()")
    return {names[name]: value for name, value in tensors.items()}
