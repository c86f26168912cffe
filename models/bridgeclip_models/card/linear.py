"""Linear heads on frozen features, trained as the author's `train.py --mode linear_probe` trains them.

  heads       LayerNorm, dropout 0.3 and Linear per category, on the image feature before normalisation (clip_classifier.py)
  loss        cross-entropy for a single label, binary cross-entropy for several; their sum over the categories
  optimizer   AdamW with weight decay 1e-4, batches of 64, the last incomplete one left out, cosine schedule by epoch
  lr, epochs  1e-3 and 30, the defaults of train.py; 5e-4 and 15 in run_clip_classifier_parallel.sh (commit 6a7eca2), which
              made the table of the Japanese README
  photos      short side to 1.143 times the model's size, then a random crop, mirroring, and changes of brightness and contrast
              (0.2) and saturation (0.1); in measuring the centre. This is not how k-NN and retrieval prepare photos
  rows        those whose four categories are all valid
  choice      the epoch with the highest mean macro-F1 on the validation rows, from which the figures come too. They are
              therefore a little too good, as published
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torchvision.transforms import CenterCrop, InterpolationMode, Resize
from torchvision.transforms.functional import adjust_brightness, adjust_contrast, adjust_saturation, crop, hflip

from ..captions import categories
from ..crop import row_generator
from ..files import write_atomically
from .classification import macro_f1

ENLARGED = 1.143  # short side over the model's size
_JITTER = ((adjust_brightness, 0.2), (adjust_contrast, 0.2), (adjust_saturation, 0.1))


@dataclass(frozen=True)
class HeadRecipe:
    """The parameters of a training. The defaults are those of the author's train.py."""

    epochs: int = 30
    learning_rate: float = 1e-3
    batch_size: int = 64
    weight_decay: float = 1e-4
    dropout: float = 0.3
    seed: int = 0
    views: int = 30  # different random changes of each training photo; 0 takes the centre instead


def centre_view(size: int) -> Callable[[Image.Image, int], Image.Image]:
    """Returns what cuts the square out of a photo for measuring."""
    resize, cut = Resize(int(size * ENLARGED), InterpolationMode.BICUBIC), CenterCrop(size)
    return lambda image, _row: cut(resize(image.convert("RGB")))


def random_view(size: int, seed: int, view: int) -> Callable[[Image.Image, int], Image.Image]:
    """Returns what changes a training photo at random, the same way whenever this view of a row is wanted."""
    resize = Resize(int(size * ENLARGED), InterpolationMode.BICUBIC)
    return lambda image, row: _changed(resize(image.convert("RGB")), size, row_generator(seed, view, row))


def _changed(image: Image.Image, size: int, random: torch.Generator) -> Image.Image:
    top, left = (int(torch.randint(0, side - size + 1, (1,), generator=random)) for side in (image.height, image.width))
    image = crop(image, top, left, size, size)
    if torch.rand(1, generator=random) < 0.5:
        image = hflip(image)
    for number in torch.randperm(len(_JITTER), generator=random).tolist():
        change, strength = _JITTER[number]
        image = change(image, float(torch.empty(1).uniform_(1 - strength, 1 + strength, generator=random)))
    return image


def new_heads(dim: int, recipe: HeadRecipe) -> torch.nn.ModuleDict:
    """Returns fresh heads by CSV column, under the names that the author's checkpoints have."""
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        return torch.nn.ModuleDict({
            category.column: torch.nn.Sequential(
                torch.nn.LayerNorm(dim), torch.nn.Dropout(recipe.dropout), torch.nn.Linear(dim, len(category.classes))
            )
            for category in categories().values()
        })  # fmt: skip


def train_heads(
    view: Callable[[int], np.ndarray], truth: Mapping[str, np.ndarray], val: np.ndarray, val_truth: Mapping[str, np.ndarray],
    recipe: HeadRecipe, state_path: Path, out: Callable[[str], None],
) -> torch.nn.ModuleDict:
    """Returns the heads of the best epoch. `view` gives the features of an epoch [rows, dim].

    After each epoch everything is saved, from which an interrupted training continues with the same result.
    """
    heads = new_heads(val.shape[1], recipe)
    optimizer = torch.optim.AdamW(heads.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=recipe.epochs)
    done, best, best_f1 = _resume(state_path, heads, optimizer, schedule)
    for epoch in range(done, recipe.epochs):
        loss = _epoch(heads, optimizer, torch.from_numpy(view(epoch)), truth, recipe, epoch)
        schedule.step()
        found = _mean_macro_f1(heads, val, val_truth)
        if best is None or found > best_f1:
            best, best_f1 = {name: value.clone() for name, value in heads.state_dict().items()}, found
        state = {"heads": heads.state_dict(), "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict()}
        _save(state_path, state | {"recipe": asdict(recipe), "epoch": epoch + 1, "best": best, "best_f1": best_f1})
        out(f"linear heads: epoch {epoch + 1} of {recipe.epochs}, loss {loss:.4f}, mean macro-F1 {found:.4f}")
    heads.load_state_dict(best)
    return heads.eval()


@torch.inference_mode()
def head_answers(heads: torch.nn.ModuleDict, features: np.ndarray, *, fill: bool = True) -> dict[str, np.ndarray]:
    """Returns the answers: bool [rows, classes] by category id. With `fill`, no row is left without one."""
    heads.eval()
    answers = {}
    for name, category in categories().items():
        logits = heads[category.column](torch.from_numpy(features))
        highest = F.one_hot(logits.argmax(dim=1), logits.shape[1]).bool()
        likely = torch.sigmoid(logits) >= 0.5
        filled = torch.where(likely.any(dim=1, keepdim=True), likely, highest) if fill else likely
        answers[name] = (filled if category.multi else highest).numpy()
    return answers


def _mean_macro_f1(heads: torch.nn.ModuleDict, features: np.ndarray, truth: Mapping[str, np.ndarray]) -> float:
    answers = head_answers(heads, features, fill=False)
    return float(np.mean([macro_f1(truth[name], answers[name]) for name in answers]))


def _epoch(
    heads: torch.nn.ModuleDict, optimizer: torch.optim.Optimizer, features: torch.Tensor, truth: Mapping[str, np.ndarray], recipe: HeadRecipe, epoch: int
) -> float:
    """Trains once over all rows, and returns the mean loss of the batches."""
    targets = {name: torch.from_numpy(matrix).float() for name, matrix in truth.items()}
    losses = []
    heads.train()
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed * 1_000_003 + epoch)
        for batch in torch.randperm(len(features)).split(recipe.batch_size):
            if len(batch) == recipe.batch_size:
                loss = _loss(heads, features[batch], {name: matrix[batch] for name, matrix in targets.items()})
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
    return float(np.mean(losses))


def _loss(heads: torch.nn.ModuleDict, features: torch.Tensor, targets: Mapping[str, torch.Tensor]) -> torch.Tensor:
    total = torch.zeros(())
    for name, category in categories().items():
        logits, target = heads[category.column](features), targets[name]
        total = total + (F.binary_cross_entropy_with_logits(logits, target) if category.multi else F.cross_entropy(logits, target.argmax(dim=1)))
    return total


def _resume(path: Path, heads: torch.nn.Module, optimizer: torch.optim.Optimizer, schedule: object) -> tuple[int, dict | None, float]:
    if not path.is_file():
        return 0, None, -1.0
    state = torch.load(path, weights_only=True)
    heads.load_state_dict(state["heads"])
    optimizer.load_state_dict(state["optimizer"])
    schedule.load_state_dict(state["schedule"])
    return state["epoch"], state["best"], state["best_f1"]


def _save(path: Path, state: dict) -> None:
    file = BytesIO()
    torch.save(state, file)
    write_atomically(path, file.getvalue())
