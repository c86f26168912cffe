"""Progress messages of a training run."""

import time
from collections.abc import Callable
from datetime import timedelta

import torch

_INTERVAL = 10.0  # seconds between two lines


def say(line: str) -> None:
    """Prints a line without delay, even into a file."""
    print(line, flush=True)


class Progress:
    """Prints loss, rate and time left, at most every ten seconds."""

    def __init__(self, epochs: int, epoch_steps: int, batch_size: int, first_step: int, out: Callable[[str], None]) -> None:
        self._epochs = epochs
        self._epoch_steps = epoch_steps
        self._batch_size = batch_size
        self._first_step = first_step
        self._out = out
        self._start = self._shown = time.monotonic()

    def step(self, steps_done: int, loss: torch.Tensor, rate: float) -> None:
        """Reports one step. Reads the loss only when a line is due, because reading it waits for the device."""
        now = time.monotonic()
        if now - self._shown < _INTERVAL:
            return
        self._shown = now
        per_step = (now - self._start) / (steps_done - self._first_step)
        left = timedelta(seconds=round(per_step * (self._epochs * self._epoch_steps - steps_done)))
        epoch, step = divmod(steps_done - 1, self._epoch_steps)
        self._out(
            f"epoch {epoch + 1}/{self._epochs}  step {step + 1}/{self._epoch_steps}  loss {loss.item():.3f}  "
            f"learning rate {rate:.2e}  {self._batch_size / per_step:.0f} pairs/s  {left} left"
        )
