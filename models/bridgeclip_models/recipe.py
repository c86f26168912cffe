"""How a model is trained: the published values, the learning rate schedule, the optimizer and the loss."""

import math
from dataclasses import dataclass

import torch
from torch.nn import functional as F

LOGIT_SCALE_MAX = math.log(100)  # open_clip's bound of the learned temperature


@dataclass(frozen=True)
class Recipe:
    """Training settings; the defaults are the published ones."""

    epochs: int = 10
    batch_size: int = 128
    learning_rate: float = 1e-4  # the highest, after the warm-up
    warmup_steps: int = 1000
    weight_decay: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.98
    epsilon: float = 1e-6
    seed: int = 0
    # Not in the published recipe, and off:
    crop_share: float = 1.0  # least share of the area that a random crop keeps
    flip: bool = False  # mirror half of the images left to right
    share_captions: bool = False  # all images with the same caption in a batch count as its hits


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine down to 0. `step` counts from 0."""
    if step < recipe.warmup_steps:
        return recipe.learning_rate * (step + 1) / recipe.warmup_steps
    done = (step - recipe.warmup_steps) / max(1, steps - recipe.warmup_steps)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def optimizer(recipe: Recipe, model: torch.nn.Module) -> torch.optim.AdamW:
    """AdamW. As in open_clip, norms, biases, gains and the temperature have no weight decay."""
    plain, decayed = [], []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            (plain if parameter.ndim < 2 or "ln" in name or "bias" in name else decayed).append(parameter)
    groups = [{"params": plain, "weight_decay": 0.0}, {"params": decayed, "weight_decay": recipe.weight_decay}]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(recipe.beta1, recipe.beta2), eps=recipe.epsilon)


def contrastive_loss(
    images: torch.Tensor, texts: torch.Tensor, scale: torch.Tensor, same_caption: torch.Tensor | None = None
) -> torch.Tensor:
    """CLIP's loss on unit rows [batch, dim]: cross-entropy over the batch, both directions averaged.

    `same_caption` [batch, batch], if given, marks pairs with equal captions: the target is then spread evenly over them.
    """
    logits = scale * images @ texts.T
    if same_caption is None:
        target = torch.arange(len(logits), device=logits.device)
    else:
        target = same_caption.float() / same_caption.sum(dim=1, keepdim=True)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
