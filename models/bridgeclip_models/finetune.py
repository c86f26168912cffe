"""Fine-tuning: settings become a training run."""

from dataclasses import dataclass, field
from pathlib import Path

import torch

from .architecture import Architecture, build_model
from .batches import PairSet
from .checkpoint import load_checkpoint
from .errors import UserError
from .pairs import read_pairs
from .recipe import Recipe
from .training import TrainingRun, bf16_is_faster


@dataclass(frozen=True)
class Settings:
    """What to train, on what, and where."""

    train_csv: Path
    val_csv: Path
    out: Path
    image_root: Path | None = None
    pretrained: str | None = None  # checkpoint, folder of a run, or pretrained tag; None: random weights
    recipe: Recipe = field(default_factory=Recipe)
    device: str = "auto"
    precision: str = "auto"
    keep_images: bool = False
    threads: int = 2
    resume: bool = False


def finetune(architecture: Architecture, settings: Settings) -> Path:
    """Trains, and returns the checkpoint with the lowest validation loss."""
    device = choose_device(settings.device)
    torch.manual_seed(settings.recipe.seed)
    model = build_model(architecture)
    if settings.pretrained:
        model.load_state_dict(load_checkpoint(settings.pretrained, architecture).state_dict, strict=True)
    train, val = (_pair_set(path, architecture, settings) for path in (settings.train_csv, settings.val_csv))
    bf16 = choose_bf16(settings.precision, device)
    run = TrainingRun(model, settings.recipe, train, val, settings.out, device, bf16=bf16)
    run.start(resume=settings.resume)
    return run.run()


def choose_device(name: str) -> torch.device:
    """`auto` takes a GPU if there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device {name!r} is not usable: {error}; try --device cpu") from error
    return device


def choose_bf16(precision: str, device: torch.device) -> bool:
    """`auto` takes bfloat16 where the device computes it faster."""
    if precision == "auto":
        return torch.cuda.is_bf16_supported() if device.type == "cuda" else bf16_is_faster()
    return precision == "bf16"


def _pair_set(csv_path: Path, architecture: Architecture, settings: Settings) -> PairSet:
    pairs = read_pairs(csv_path, settings.image_root)
    size, length = architecture.vision.image_size, architecture.text.context_length
    return PairSet(pairs, size, length, keep=settings.keep_images, threads=settings.threads)
