"""The training loop: epochs, validation, checkpoints that survive a stop, and progress."""

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from .batches import Batch, PairSet
from .checkpoint import RESULTS, best_checkpoint, latest_checkpoint, read_file
from .errors import UserError
from .recipe import LOGIT_SCALE_MAX, Recipe, contrastive_loss, learning_rate, optimizer

INTERRUPTED = "interrupted.pt"  # a checkpoint in the middle of an epoch
_REPORT_SECONDS = 10


class TrainingRun:
    """Trains a model; everything needed to go on after a stop lies in the folder `out`."""

    def __init__(
        self, model: torch.nn.Module, recipe: Recipe, train: PairSet, val: PairSet, out: Path, device: torch.device, *, bf16: bool
    ) -> None:
        self.model = model.to(device)
        self.recipe = recipe
        self.train_set, self.val_set = train, val
        self.out = out
        self.device = device
        self.bf16 = bf16
        self.optimizer = optimizer(recipe, self.model)
        self.epochs_done = 0
        self.batches_done = 0  # of the epoch under way

    def start(self, *, resume: bool) -> None:
        """Prepares the folder: empty for a new run, or with checkpoints to go on from."""
        self.out.mkdir(parents=True, exist_ok=True)
        interrupted = self.out / INTERRUPTED
        found = interrupted if interrupted.is_file() else latest_checkpoint(self.out)
        if found and not resume:
            raise UserError(f"{found}: a run lies there already; continue it with --resume, or choose another folder")
        if found:
            self._restore(found)
            print(f"continuing from {found.name}", file=sys.stderr)

    def run(self) -> Path:
        """Trains to the last epoch and returns the best checkpoint."""
        while self.epochs_done < self.recipe.epochs:
            epoch = self.epochs_done + 1
            loss = self._train_epoch(epoch)
            val_loss = self._validate()
            self.epochs_done, self.batches_done = epoch, 0
            # First the checkpoint, then the line that names it.
            self._save(self.out / f"epoch_{epoch}.pt")
            (self.out / INTERRUPTED).unlink(missing_ok=True)
            self._log({"epoch": epoch, "train_loss": round(loss, 5), "clip_val_loss": val_loss, "num_samples": len(self.val_set)})
            print(f"epoch {epoch}: loss {loss:.4f}, validation loss {val_loss:.4f}", file=sys.stderr)
        return best_checkpoint(self.out)

    def _train_epoch(self, epoch: int) -> float:
        """Returns the mean loss of the batches."""
        self.model.train()
        steps = self.train_set.steps(self.recipe.batch_size)
        progress = Progress(epoch, self.recipe, steps, self.batches_done)
        losses = []
        with stop_requests() as stop:
            for batch in self.train_set.training_batches(self.recipe, epoch, self.device, skip=self.batches_done):
                losses.append(self._step(batch, (epoch - 1) * steps + self.batches_done, steps * self.recipe.epochs))
                self.batches_done += 1
                progress.report(self.batches_done, losses[-1])
                if stop.requested:
                    self._save(self.out / INTERRUPTED)
                    raise UserError(f"stopped after {self.batches_done} of {steps} batches of epoch {epoch}; continue with --resume")
        return sum(losses) / max(1, len(losses))

    def _step(self, batch: Batch, step: int, steps: int) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.recipe, step, steps)
        loss = self._loss(batch, batch.same_caption if self.recipe.share_captions else None)
        if not torch.isfinite(loss):
            raise UserError(f"the loss is {loss.item()} at step {step}; try a lower --lr or a longer --warmup")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        with torch.no_grad():
            self.model.logit_scale.clamp_(0, LOGIT_SCALE_MAX)
        return loss.item()

    def _loss(self, batch: Batch, same_caption: torch.Tensor | None) -> torch.Tensor:
        with self._fast_arithmetic():
            images = self.model.encode_image(batch.images, normalize=True)
            texts = self.model.encode_text(batch.tokens, normalize=True)
        return contrastive_loss(images.float(), texts.float(), self.model.logit_scale.exp(), same_caption)

    @contextlib.contextmanager
    def _fast_arithmetic(self) -> Iterator[None]:
        # On a CPU, PyTorch's fused attention is several times slower than plain products for sequences this short.
        attention = sdpa_kernel(SDPBackend.MATH) if self.device.type == "cpu" else contextlib.nullcontext()
        with attention, torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            yield

    def _validate(self) -> float:
        """Mean loss over the validation set, in batches of the training size, as open_clip reports it."""
        self.model.eval()
        total = 0.0
        with torch.no_grad():
            for batch in self.val_set.all_batches(self.recipe.batch_size, self.device):
                total += self._loss(batch, None).item() * len(batch.tokens)
        return total / len(self.val_set)

    def _log(self, entry: dict) -> None:
        with (self.out / RESULTS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def _save(self, path: Path) -> None:
        state = {
            "epoch": self.epochs_done,
            "name": self.out.name,
            "state_dict": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "batches_done": self.batches_done,
            "recipe": asdict(self.recipe),
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state_all() if self.device.type == "cuda" else [],
        }
        write_atomically(state, path)

    def _restore(self, path: Path) -> None:
        state = read_file(path)
        if "optimizer" not in state or "recipe" not in state:
            raise UserError(f"{path}: not a checkpoint of this program, so a run cannot continue from it; start anew with --pretrained")
        changed = [f"{key} {old} -> {asdict(self.recipe)[key]}" for key, old in state["recipe"].items() if asdict(self.recipe)[key] != old]
        if changed:
            raise UserError(f"{path}: made with other settings ({', '.join(changed)}); resume with the same, or choose another folder")
        self.model.load_state_dict(state["state_dict"], strict=True)
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["rng"])
        if state["cuda_rng"] and self.device.type == "cuda":
            torch.cuda.set_rng_state_all(state["cuda_rng"])
        self.epochs_done, self.batches_done = state["epoch"], state["batches_done"]


class Progress:
    """Prints rate, loss and time left, every few seconds."""

    def __init__(self, epoch: int, recipe: Recipe, steps: int, done: int) -> None:
        self._epoch, self._recipe, self._steps = epoch, recipe, steps
        self._start_step, self._start = done, time.monotonic()
        self._reported = self._start

    def report(self, done: int, loss: float) -> None:
        now = time.monotonic()
        if now - self._reported < _REPORT_SECONDS and done < self._steps:
            return
        self._reported = now
        rate = (done - self._start_step) / (now - self._start)  # steps per second
        left = (self._steps * (self._recipe.epochs - self._epoch + 1) - done) / rate
        print(
            f"epoch {self._epoch}/{self._recipe.epochs}, batch {done}/{self._steps}: loss {loss:.4f}, "
            f"{rate * self._recipe.batch_size:.0f} pairs/s, {left / 60:.0f} min left",
            file=sys.stderr, flush=True,
        )


class StopRequest:
    """Whether the user has pressed Ctrl-C."""

    requested = False


@contextlib.contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Turns the first Ctrl-C into a request; a second one acts as usual."""
    stop = StopRequest()

    def request(_signal: int, _frame: object) -> None:
        stop.requested = True
        signal.signal(signal.SIGINT, previous)
        print("stopping after this batch; press Ctrl-C again to stop at once", file=sys.stderr)

    previous = signal.signal(signal.SIGINT, request)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, previous)


def write_atomically(state: dict, path: Path) -> None:
    """torch.save to a file that appears complete or not at all, power cuts included."""
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def bf16_is_faster() -> bool:
    """Times one linear layer on this CPU in bfloat16 and in float32; processors without bfloat16 units are slower with it."""
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        x, weight = torch.randn(2048, 512).to(dtype), torch.randn(512, 512).to(dtype)
        x @ weight
        start = time.perf_counter()
        for _ in range(10):
            x @ weight
        seconds[dtype] = time.perf_counter() - start
    return seconds[torch.bfloat16] < 0.8 * seconds[torch.float32]
