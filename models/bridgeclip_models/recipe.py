"""The training recipe: its parameters, the optimizer, the learning rate and the loss."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from .errors import UserError

LOGIT_SCALE_MAX = math.log(100)


@dataclass(frozen=True)
class Recipe:
    """The parameters that determine the result of a training. The defaults are the published recipe."""

    epochs: int = 10
    batch_size: int = 128
    learning_rate: float = 1e-4  # rate at the end of the warm-up
    warmup_steps: int = 1000
    weight_decay: float = 0.1
    seed: int = 0
    augment: bool = False
    share_captions: bool = False  # whether pairs with the same caption match each other

    def steps_per_epoch(self, pairs: int) -> int:
        """Returns the number of full batches. Left-over pairs get their turn in another epoch, whose order differs."""
        return pairs // self.batch_size

    def check(self, pairs: int) -> None:
        """Fails if these parameters cannot work for a training set of this many pairs."""
        steps = self.epochs * self.steps_per_epoch(pairs)
        if steps == 0:
            raise UserError(f"{pairs} training pairs do not fill one batch of {self.batch_size}; lower --batch-size")
        if self.warmup_steps >= steps:
            raise UserError(
                f"the warm-up of {self.warmup_steps} steps would be longer than the whole training of {steps} steps; "
                f"lower --warmup or raise --epochs"
            )


def optimizer_for(model: torch.nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """Returns AdamW. As in open_clip, norms, biases, gains and the temperature are not decayed."""
    decayed, free = [], []
    for name, parameter in model.named_parameters():
        exempt = parameter.ndim < 2 or "bn" in name or "ln" in name or "bias" in name or "logit_scale" in name
        (free if exempt else decayed).append(parameter)
    groups = [{"params": free, "weight_decay": 0.0}, {"params": decayed, "weight_decay": recipe.weight_decay}]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98), eps=1e-6, fused=True)


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Returns the rate of a step: linear warm-up, then half a cosine down to 0.

    `step` counts from 0; `steps` is their total.
    """
    if step < recipe.warmup_steps:
        return recipe.learning_rate * (step + 1) / recipe.warmup_steps
    done = (step - recipe.warmup_steps) / (steps - recipe.warmup_steps)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def contrastive_loss(images: torch.Tensor, texts: torch.Tensor, scale: torch.Tensor, same: torch.Tensor | None = None) -> torch.Tensor:
    """Returns CLIP's loss of a batch, the mean of image -> text and text -> image. Embeddings are unit rows [batch, dim].

    `same` [batch, batch] is true where two pairs have the same caption. Such pairs share the target equally, because a
    plain target would ask the model to distinguish equal captions.
    """
    logits = (scale * images @ texts.T).float()
    if same is None:
        target = torch.arange(len(logits), device=logits.device)
    else:
        target = same.float() / same.sum(dim=1, keepdim=True)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def same_captions(tokens: torch.Tensor) -> torch.Tensor:
    """Returns which rows of `tokens` [batch, context length] are equal: bool [batch, batch]."""
    number = torch.unique(tokens, dim=0, return_inverse=True)[1]
    return number[:, None] == number[None, :]
