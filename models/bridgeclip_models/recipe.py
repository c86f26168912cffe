"""The training recipe: its parameters, the optimizer, the learning rate and the loss.

The defaults are the published recipe. Each value comes from one of two places:

  script     the author's shell scripts, which start `open_clip_train.main` (https://github.com/t-seino-ml/BridgeCLIP-japanese,
             classification/train_clip.sh and retrain_clip_short.sh; run_sweep_*.sh of commit 6a7eca2 for the 13 subsets)
  open_clip  a default of open_clip_train 3.x that the scripts do not change

  batch_size 128, learning_rate 1e-4, warmup_steps 1000, weight_decay 0.1    script: --batch-size --lr --warmup --wd
  epochs 10          script: retrain_clip_short.sh and the sweeps; train_clip.sh, the run behind the published epoch_5.pt, has
                     100. The cosine schedule ends with the last epoch, so the rate of epoch 5 depends on this number
  amp                script: --precision amp, float16 with loss scaling on a GPU (`device.choose_precision`)
  betas 0.9, 0.98 and epsilon 1e-6     open_clip: params.py, get_default_params of a ViT
  augment "crop"     open_clip: transform.py, AugmentationCfg.scale 0.9 to 1; the crop is in `crop.py`
  seed 0, cosine schedule, no clipping of gradients, the last incomplete batch left out    open_clip: params.py, data.py
  temperature        open_clip: train.py clamps the logit scale to ln 100 after each step
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from .errors import UserError

LOGIT_SCALE_MAX = math.log(100)

# How training photos are changed: `crop` as published, `none`, or `strong` for few photos (`augment.py`).
AUGMENTS = ("crop", "none", "strong")


@dataclass(frozen=True)
class Recipe:
    """The parameters that determine the result of a training. The defaults are the published recipe."""

    epochs: int = 10
    batch_size: int = 128
    learning_rate: float = 1e-4  # rate at the end of the warm-up
    warmup_steps: int = 1000
    weight_decay: float = 0.1
    seed: int = 0
    augment: str = "crop"  # one of AUGMENTS
    subset: int = 0  # number of sampled training pairs; 0 takes all
    share_captions: bool = False  # whether pairs with the same caption match each other

    def steps_per_epoch(self, pairs: int) -> int:
        """Returns the number of full batches. Left-over pairs get their turn in another epoch, whose order differs."""
        return pairs // self.batch_size

    def check(self, pairs: int) -> None:
        """Fails if these parameters cannot work for a training set of this many pairs."""
        if self.augment not in AUGMENTS:
            raise UserError(f"augment {self.augment!r}: give one of {', '.join(AUGMENTS)}")
        if self.epochs * self.steps_per_epoch(pairs) == 0:
            raise UserError(f"{pairs} training pairs do not fill one batch of {self.batch_size}; lower --batch-size")

    def warning(self, pairs: int) -> str | None:
        """Returns what is unusual about the schedule for a training set of this many pairs, or None."""
        steps = self.epochs * self.steps_per_epoch(pairs)
        if self.warmup_steps < steps:
            return None
        highest = learning_rate(self, steps - 1, steps)
        return (
            f"the warm-up of {self.warmup_steps} steps does not end within the {steps} steps of this training: the learning "
            f"rate only rises, to {highest:.2e} instead of {self.learning_rate:.2e}. The published 10k subset was trained "
            f"like this; for another schedule lower --warmup or raise --epochs"
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

    `step` counts from 0; `steps` is their total. A warm-up that is longer than the training is allowed, as in open_clip.
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
