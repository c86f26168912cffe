"""A training ends with the weights of open_clip_train's own loop, if that gets the same batches.

AdamW divides gradients by their size, so rounding moves weights whose gradients are nearly 0. What is compared is therefore how
far two tensors are apart, as a share of the way that the training moved them.
"""

import copy
from types import SimpleNamespace

import open_clip
import pytest
import torch
from open_clip_train.scheduler import cosine_lr
from open_clip_train.train import train_one_epoch

from bridgeclip_models.architecture import build_model
from bridgeclip_models.crop import random_crop, row_generator
from bridgeclip_models.pairs import normalised, read_pairs
from bridgeclip_models.preprocessing import Preprocessing
from bridgeclip_models.recipe import Recipe
from bridgeclip_models.run_folder import RunFolder
from bridgeclip_models.training import PairSet, Trainer

RECIPE = Recipe(epochs=2, batch_size=8, learning_rate=1e-3, warmup_steps=4)
CPU = torch.device("cpu")


class Batches(list):
    """Batches with what open_clip_train asks of a data loader."""

    num_samples = 24

    @property
    def num_batches(self):
        return len(self)


def theirs(model, train, order, precision):
    """Trains with open_clip_train, its optimizer set up as its main.py does without further options."""
    args = SimpleNamespace(
        device="cpu", precision=precision, distill=False, accum_freq=1, skip_scheduler=False, horovod=False, grad_clip_norm=None,
        rank=0, local_rank=0, log_local=False, log_every_n_steps=100, world_size=1, batch_size=RECIPE.batch_size, wandb=False,
    )  # fmt: skip
    exempt = [name for name, p in model.named_parameters() if p.ndim < 2 or "bn" in name or "ln" in name or "bias" in name or "logit_scale" in name]
    free, decayed = ([p for name, p in model.named_parameters() if (name in exempt) == wanted] for wanted in (True, False))
    groups = [{"params": free, "weight_decay": 0.0}, {"params": decayed, "weight_decay": 0.1}]
    optimizer = torch.optim.AdamW(groups, lr=RECIPE.learning_rate, betas=(0.9, 0.98), eps=1e-6)
    scheduler = cosine_lr(optimizer, RECIPE.learning_rate, RECIPE.warmup_steps, 6)
    scaler = torch.amp.GradScaler("cpu") if precision == "amp" else None
    model.output_dict = True
    for epoch in range(RECIPE.epochs):
        batches = Batches((pixels(train, rows, epoch), train.tokens[rows]) for rows in order(epoch))
        data = {"train": SimpleNamespace(set_epoch=lambda _: None, dataloader=batches)}
        train_one_epoch(model, data, open_clip.ClipLoss(), epoch, optimizer, scaler, scheduler, None, args)
    return model.state_dict()


def pixels(train, rows, epoch):
    crop = lambda image, row: random_crop(image, 32, row_generator(RECIPE.seed, epoch, row))  # noqa: E731
    return normalised(next(train.photos.batches([rows], crop)), Preprocessing())


@pytest.mark.parametrize(("precision", "dtype", "tolerance"), [("fp32", torch.float32, 0.01), ("amp", torch.float16, 0.05)])
def test_weights_are_those_of_open_clip_train(pairs_csv, tiny, tmp_path, precision, dtype, tolerance):
    torch.manual_seed(3)
    model = build_model(tiny)
    before, copied = copy.deepcopy(model.state_dict()), copy.deepcopy(model)
    train = PairSet.of(read_pairs(pairs_csv), 32, 77, workers=1)
    trainer = Trainer(model, RECIPE, train, train, RunFolder(tmp_path / "run", "run", RECIPE), CPU, dtype, out=lambda _: None)
    trainer.run(resume=False)
    expected = theirs(copied, train, trainer._order, precision)
    found = model.state_dict()
    for name in before:
        start, mine, other = (determined(name, weights[name]) for weights in (before, found, expected))
        moved, apart = float((other - start).norm()), float((mine - other).norm())
        assert moved > 0 and apart <= tolerance * moved, (name, moved, apart)


def determined(name, tensor):
    """Returns the weights without the biases of keys, whose gradients are 0 but for rounding."""
    if not name.endswith("in_proj_bias"):
        return tensor
    query, _key, value = tensor.chunk(3)
    return torch.cat([query, value])
