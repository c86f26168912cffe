"""Checkpoints: choosing the best epoch of a run, reading the tensors, and checking them against an architecture."""

import hashlib
import json
import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import open_clip
import torch

from .architecture import Architecture, build_model
from .errors import UserError

RESULTS = "results.jsonl"
_EPOCH_FILE = re.compile(r"epoch_(\d+)\.pt")
_SHOWN_NAMES = 8  # number of tensor names in one message

# Buffers that are no weights. Older versions of PyTorch, open_clip or transformers saved them along with the weights.
_HARMLESS_BUFFERS = frozenset({"attn_mask", "text.attn_mask", "input_resolution", "context_length", "vocab_size"})


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of one training result, checked to fit their architecture."""

    file: str  # name of the file, for the manifest
    sha256: str  # hash of that file
    state_dict: dict[str, torch.Tensor]  # float32, names without the prefix `module.`


def load_checkpoint(source: str, architecture: Architecture, *, trust_pickle: bool = False) -> Checkpoint:
    """Loads a checkpoint from a file, the folder of a run, or an open_clip pretrained tag."""
    path = Path(source)
    if path.is_dir():
        path = best_checkpoint(path)
    if path.is_file():
        state_dict = fit(read_state_dict(path, trust_pickle=trust_pickle), architecture, str(path))
        return Checkpoint(path.name, sha256_of(path), state_dict)
    if source in open_clip.list_pretrained_tags_by_model(architecture.name):
        return _load_pretrained(source, architecture)
    tags = ", ".join(open_clip.list_pretrained_tags_by_model(architecture.name)) or "none"
    raise UserError(
        f"{source}: neither a file, nor a folder, nor a pretrained tag of {architecture.name} (its tags: {tags})"
    )


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
    """Reads a file of `torch.save` or safetensors onto the CPU, memory-mapped where its format allows it."""
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=not trust_pickle, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path}: holds more than tensors, or is damaged ({str(error).splitlines()[0]}); if you trust its origin, "
            f"add --trust-pickle"
        ) from error
    except (RuntimeError, EOFError, ValueError) as error:
        raise UserError(f"{path}: not a PyTorch checkpoint, or damaged ({error}); copy it again") from error


def read_state_dict(path: Path, *, trust_pickle: bool = False) -> dict[str, torch.Tensor]:
    """Reads the tensors of a checkpoint by name, without the prefix `module.` of distributed training."""
    content = read_file(path, trust_pickle=trust_pickle)
    if isinstance(content, torch.jit.ScriptModule):
        content = content.state_dict()
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise UserError(f"{path}: no state dict in it; a dict of tensors, or a dict with `state_dict`, is expected")
    return {name.removeprefix("module."): value for name, value in content.items()}


def fit(state_dict: Mapping[str, torch.Tensor], architecture: Architecture, source: str) -> dict[str, torch.Tensor]:
    """Returns the weights as float32.

    Fails if they are not exactly those of the architecture, and names the ones that differ.
    """
    with torch.device("meta"):
        expected = build_model(architecture).state_dict()
    found = {name: value for name, value in state_dict.items() if name not in _HARMLESS_BUFFERS}
    problems = _mismatches(found, expected)
    if problems:
        raise UserError(
            f"{source}: does not fit {architecture.name}: {'; '.join(problems)}. Give the architecture that it was trained with"
        )
    return {name: found[name].to(torch.float32).reshape(expected[name].shape).contiguous() for name in expected}


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


def _load_pretrained(tag: str, architecture: Architecture) -> Checkpoint:
    settings = open_clip.get_pretrained_cfg(architecture.name, tag)
    if settings.get("quick_gelu", False) != architecture.quick_gelu:
        raise UserError(
            f"{tag}: trained with {'' if settings.get('quick_gelu') else 'plain GELU, not '}QuickGELU; "
            f"choose the architecture with{'' if settings.get('quick_gelu') else 'out'} -quickgelu in its name"
        )
    try:
        path = Path(open_clip.download_pretrained(settings))
        model = open_clip.create_model(architecture.name, pretrained=tag)
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(f"{tag}: cannot download the weights of {architecture.name}: {error}") from error
    _check_preprocessing(tag, model.visual.preprocess_cfg)
    return Checkpoint(path.name, sha256_of(path), fit(model.state_dict(), architecture, tag))


def _check_preprocessing(tag: str, preprocessing: Mapping[str, object]) -> None:
    wanted = open_clip.transform.PreprocessCfg()
    for key in ("mean", "std", "interpolation", "resize_mode"):
        found, expected = preprocessing[key], getattr(wanted, key)
        if (tuple(found) if isinstance(found, (list, tuple)) else found) != expected:
            raise UserError(f"{tag}: images are prepared with {key} {found}; a package can only say {expected}")
