"""The training loop for one model, one recipe and one device."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import open_clip
import torch
from PIL import Image

from .augment import augmented
from .crop import random_crop, row_generator
from .pairs import Pair, Photos, normalised
from .preprocessing import Preprocessing
from .progress import Progress, say
from .recipe import LOGIT_SCALE_MAX, Recipe, contrastive_loss, learning_rate, optimizer_for, same_captions
from .run_folder import RunFolder, State

_SAVE_EVERY = 600.0  # seconds between two writes of stopped.pt


@dataclass(frozen=True)
class PairSet:
    """Photos and token rows of the same pairs, in the same order."""

    photos: Photos
    tokens: torch.Tensor  # int64 [pairs, context length]

    @classmethod
    def of(cls, pairs: list[Pair], size: int, context_length: int, workers: int) -> "PairSet":
        tokenizer = open_clip.SimpleTokenizer(context_length=context_length)
        return cls(Photos(pairs, size, workers), tokenizer([pair.caption for pair in pairs]))

    def __len__(self) -> int:
        return len(self.tokens)


class Trainer:
    """Trains `model` on `train`, measures it on `val` after each epoch, and writes each epoch to `folder`."""

    def __init__(
        self, model: torch.nn.Module, recipe: Recipe, train: PairSet, val: PairSet, folder: RunFolder,
        device: torch.device, precision: torch.dtype, preprocessing: Preprocessing = Preprocessing(),
        out: Callable[[str], None] = say,
    ) -> None:
        recipe.check(len(train))
        self._model = model.to(device)
        self._recipe = recipe
        self._train = train
        self._val = val
        self._folder = folder
        self._device = device
        self._precision = precision
        self._preprocessing = preprocessing
        self._out = out
        # float16 loses small gradients unless the loss is scaled; for other types the scaler does nothing.
        scaler = torch.amp.GradScaler(device.type, enabled=precision == torch.float16)
        self._state = State(self._model, optimizer_for(model, recipe), scaler)
        self._epoch_steps = recipe.steps_per_epoch(len(train))
        self._steps = self._epoch_steps * recipe.epochs

    def run(self, *, resume: bool) -> None:
        """Trains to the last epoch. Ctrl-C saves the state and raises KeyboardInterrupt."""
        step = self._resume() if resume else self._begin()
        if warning := self._recipe.warning(len(self._train)):
            self._out(f"note: {warning}")
        with _stop_requests() as stop_requested:
            progress = Progress(self._recipe.epochs, self._epoch_steps, self._recipe.batch_size, step, self._out)
            while step < self._steps:
                step = self._epoch(step, progress, stop_requested)

    def _begin(self) -> int:
        self._folder.begin()
        return 0

    def _resume(self) -> int:
        step = self._folder.resume(self._state)
        if step:
            self._out(f"continuing after step {step} of {self._steps}")
        return step

    def _epoch(self, step: int, progress: Progress, stop_requested: Callable[[], bool]) -> int:
        """Trains from `step` to the end of its epoch, then measures and saves. Returns the next step."""
        epoch, first = divmod(step, self._epoch_steps)
        batches = self._order(epoch)[first:]
        saved = time.monotonic()
        self._model.train()
        for batch, pixels in zip(batches, self._train.photos.batches(batches, self._crops(epoch)), strict=True):
            loss = self._step(step, pixels, self._train.tokens[batch])
            step += 1
            progress.step(step, loss, self._state.optimizer.param_groups[0]["lr"])
            if stop_requested() or time.monotonic() - saved > _SAVE_EVERY:
                path = self._folder.write_stopped(epoch, step, self._state)
                saved = time.monotonic()
                if stop_requested():
                    self._out(f"stopped after step {step} of {self._steps}; saved {path}, continue with --resume")
                    raise KeyboardInterrupt
        self._finish_epoch(epoch + 1, step)
        return step

    def _finish_epoch(self, epoch: int, step: int) -> None:
        loss = self.validation_loss()
        results = {"clip_val_loss": loss, "epoch": epoch, "num_samples": len(self._val)}
        path = self._folder.write_epoch(epoch, step, self._state, results)
        self._out(f"epoch {epoch}/{self._recipe.epochs}  validation loss {loss:.4f}  {path}")

    def _order(self, epoch: int) -> list[torch.Tensor]:
        """Returns the row numbers of each batch of an epoch. Repeated calls return the same."""
        order = torch.randperm(len(self._train), generator=self._generator(epoch, 0))
        size = self._recipe.batch_size
        return list(order[: self._epoch_steps * size].split(size))

    def _crops(self, epoch: int) -> Callable[[Image.Image, int], Image.Image] | None:
        """Returns what crops the photo of a row in an epoch. The random numbers depend on seed, epoch and row alone."""
        if self._recipe.augment != "crop":
            return None
        return lambda image, row: random_crop(image, self._train.photos.size, row_generator(self._recipe.seed, epoch, row))

    def _step(self, step: int, pixels: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """Updates the weights once, and returns the loss."""
        for group in self._state.optimizer.param_groups:
            group["lr"] = learning_rate(self._recipe, step, self._steps)
        pixels, tokens = pixels.to(self._device, non_blocking=True), tokens.to(self._device, non_blocking=True)
        if self._recipe.augment == "strong":
            pixels = augmented(pixels, self._generator(step, 1))
        loss = self._loss(pixels, tokens, share=self._recipe.share_captions)
        self._state.optimizer.zero_grad(set_to_none=True)
        self._state.scaler.scale(loss).backward()
        self._state.scaler.step(self._state.optimizer)
        self._state.scaler.update()
        with torch.no_grad():
            self._model.logit_scale.clamp_(0, LOGIT_SCALE_MAX)
        return loss.detach()

    def _loss(self, pixels: torch.Tensor, tokens: torch.Tensor, *, share: bool) -> torch.Tensor:
        with torch.autocast(self._device.type, self._precision, enabled=self._precision != torch.float32):
            images = self._model.encode_image(normalised(pixels, self._preprocessing), normalize=True)
            texts = self._model.encode_text(tokens, normalize=True)
            same = same_captions(tokens) if share else None
            return contrastive_loss(images, texts, self._model.logit_scale.exp(), same)

    @torch.inference_mode()
    def validation_loss(self) -> float:
        """Returns the mean loss over batches of the validation set, as open_clip computes it: `clip_val_loss`."""
        self._model.eval()
        batches = list(torch.arange(len(self._val)).split(self._recipe.batch_size))
        total = 0.0
        for batch, pixels in zip(batches, self._val.photos.batches(batches), strict=True):
            tokens = self._val.tokens[batch].to(self._device)
            total += self._loss(pixels.to(self._device), tokens, share=False).item() * len(batch)
        return total / len(self._val)

    def _generator(self, number: int, purpose: int) -> torch.Generator:
        """Returns random numbers that depend only on the seed, the purpose, and the number of the epoch or step."""
        return torch.Generator().manual_seed((self._recipe.seed * 2 + purpose) * 1_000_003 + number)


@contextmanager
def _stop_requests() -> Iterator[Callable[[], bool]]:
    """Yields a function that reports whether Ctrl-C was pressed.

    Within the block the first Ctrl-C only sets a flag; a second one interrupts at once.
    """
    requested = False

    def note(_signal: int, _frame: object) -> None:
        nonlocal requested
        requested = True
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: requested
    finally:
        signal.signal(signal.SIGINT, before)
