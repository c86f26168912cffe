"""The folder of a training run: checkpoints, which are complete or absent, and the losses of each epoch.

  epoch_N.pt      the state after epoch N, in open_clip's layout (epoch, name, state_dict, optimizer, scaler), and what resuming needs
  stopped.pt      the state in the middle of an epoch, written at intervals and on Ctrl-C, and removed when the epoch is done
  open_clip_config.json   the architecture, and how its photos are prepared, as a hub's folder has it
  results.jsonl   one line per epoch, with `clip_val_loss` and `epoch`
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from .architecture import Architecture
from .checkpoint import RESULTS, latest_checkpoint, read_file
from .errors import UserError
from .files import write_atomically
from .model_source import OPEN_CLIP_CONFIG, open_clip_config
from .recipe import Recipe

STOPPED = "stopped.pt"


@dataclass(frozen=True)
class State:
    """Everything that changes during a training, apart from the random numbers."""

    model: torch.nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler


class RunFolder:
    """Writes and reads the files of one training run."""

    def __init__(self, path: Path, name: str, recipe: Recipe, architecture: Architecture | None = None) -> None:
        self.path = path
        self._name = name  # name of the run, for the checkpoints
        self._recipe = recipe
        self._architecture = architecture  # None writes no open_clip_config.json

    def begin(self) -> None:
        """Creates the folder. Fails if it already contains a run."""
        self.path.mkdir(parents=True, exist_ok=True)
        if self._newest() is not None:
            raise UserError(f"{self.path}: holds a training run already; continue it with --resume, or choose another --out")
        (self.path / RESULTS).unlink(missing_ok=True)
        self._describe()

    def resume(self, state: State) -> int:
        """Loads the newest saved state into `state`, and returns the number of completed steps; 0 if there is no state."""
        self.path.mkdir(parents=True, exist_ok=True)
        path = self._newest()
        if path is None:
            self._describe()
            return 0
        saved = read_file(path)
        if not isinstance(saved, dict) or "step" not in saved:
            raise UserError(f"{path}: not written by finetune; start from its weights with --pretrained {path} in another folder")
        self._check_recipe(path, saved["recipe"])
        state.model.load_state_dict(saved["state_dict"])
        state.optimizer.load_state_dict(saved["optimizer"])
        if saved.get("scaler"):
            state.scaler.load_state_dict(saved["scaler"])
        torch.set_rng_state(saved["rng"]["cpu"])
        if torch.cuda.is_available() and saved["rng"]["cuda"]:
            torch.cuda.set_rng_state_all(saved["rng"]["cuda"])
        self._forget_after(saved["epoch"])
        return saved["step"]

    def write_epoch(self, epoch: int, step: int, state: State, results: dict) -> Path:
        """Writes epoch_N.pt, then its line of results.jsonl, so that every listed epoch has its file."""
        path = self.path / f"epoch_{epoch}.pt"
        self._write(path, epoch, step, state)
        self._forget_after(epoch - 1)
        with (self.path / RESULTS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(results) + "\n")
        (self.path / STOPPED).unlink(missing_ok=True)
        return path

    def write_stopped(self, epoch: int, step: int, state: State) -> Path:
        """Writes the state after `step` steps, in the middle of an epoch. `epoch` is the number of complete epochs."""
        path = self.path / STOPPED
        self._write(path, epoch, step, state)
        return path

    def _describe(self) -> None:
        if self._architecture:
            content = json.dumps(open_clip_config(self._architecture), indent=2) + "\n"
            write_atomically(self.path / OPEN_CLIP_CONFIG, content.encode())

    def _newest(self) -> Path | None:
        stopped = self.path / STOPPED
        return stopped if stopped.is_file() else latest_checkpoint(self.path)

    def _write(self, path: Path, epoch: int, step: int, state: State) -> None:
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        content = {
            "epoch": epoch,
            "name": self._name,
            "state_dict": state.model.state_dict(),
            "optimizer": state.optimizer.state_dict(),
            "scaler": state.scaler.state_dict(),  # empty if the loss is not scaled
            "step": step,
            "recipe": asdict(self._recipe),
            "rng": {"cpu": torch.get_rng_state(), "cuda": cuda},
        }
        part = path.with_name(path.name + ".part")
        torch.save(content, part)
        part.replace(path)

    def _check_recipe(self, path: Path, before: dict) -> None:
        now = asdict(self._recipe)
        before = {"subset": 0} | before  # runs of version 1.0 have no subsets, and say whether they augment
        before["augment"] = {False: "none", True: "strong"}.get(before.get("augment"), before.get("augment"))
        changed = [f"{key} {before.get(key)} -> {now[key]}" for key in now if before.get(key) != now[key]]
        if changed:
            raise UserError(f"{path}: trained with other settings ({', '.join(changed)}); give the same ones to --resume")

    def _forget_after(self, epoch: int) -> None:
        """Removes the lines of results.jsonl after `epoch`: a run that was stopped between its two writes repeats them."""
        path = self.path / RESULTS
        if path.is_file():
            lines = [line for line in path.read_text(encoding="utf-8").splitlines() if json.loads(line)["epoch"] <= epoch]
            path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
