"""Finding, reading and checking checkpoints."""

import json
from pathlib import Path

import pytest
import torch

from bridgeclip_models.checkpoint import best_checkpoint, sha256_of
from bridgeclip_models.errors import UserError
from bridgeclip_models.model_source import load_checkpoint


def save(path: Path, state_dict: dict[str, torch.Tensor]) -> Path:
    torch.save({"epoch": 5, "name": "run", "state_dict": state_dict, "optimizer": {}}, path)
    return path


def test_prefix_of_distributed_training_is_stripped(tmp_path, tiny, weights):
    path = save(tmp_path / "epoch_5.pt", {f"module.{name}": value for name, value in weights.items()})
    checkpoint = load_checkpoint(str(path), tiny)
    assert checkpoint.file == "epoch_5.pt"
    assert checkpoint.sha256 == sha256_of(path)
    assert checkpoint.state_dict.keys() == weights.keys()
    assert all(torch.equal(checkpoint.state_dict[name], value) for name, value in weights.items())


def test_bare_state_dict_is_read(tmp_path, tiny, weights):
    torch.save(weights, tmp_path / "bare.pt")
    assert load_checkpoint(str(tmp_path / "bare.pt"), tiny).state_dict.keys() == weights.keys()


def test_missing_unexpected_and_misshapen_tensors_are_named(tmp_path, tiny, weights):
    del weights["visual.proj"]
    weights["visual.extra"] = torch.zeros(1)
    weights["ln_final.bias"] = torch.zeros(3)
    with pytest.raises(UserError) as error:
        load_checkpoint(str(save(tmp_path / "epoch_1.pt", weights)), tiny)
    assert "1 missing: visual.proj" in str(error.value)
    assert "1 unexpected: visual.extra" in str(error.value)
    assert "ln_final.bias is [3] instead of [16]" in str(error.value)


def test_damaged_file_is_named(tmp_path, tiny):
    (tmp_path / "epoch_1.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match="epoch_1.pt"):
        load_checkpoint(str(tmp_path / "epoch_1.pt"), tiny)


def write_results(folder: Path, losses: list[tuple[int, object]]) -> None:
    folder.mkdir(exist_ok=True)
    lines = [json.dumps({"epoch": epoch, "clip_val_loss": loss}) for epoch, loss in losses]
    (folder / "results.jsonl").write_text("\n".join(lines))


@pytest.mark.parametrize("place", [".", "checkpoints"])
def test_best_epoch_has_the_lowest_validation_loss(tmp_path, place):
    write_results(tmp_path / place, [(1, 0.9), (2, 0.4), (3, 0.5), (4, 0.4), (5, float("nan"))])
    (tmp_path / place / "epoch_2.pt").touch()
    assert best_checkpoint(tmp_path).name == "epoch_2.pt"


def test_missing_best_epoch_is_an_error_and_not_another_epoch(tmp_path):
    write_results(tmp_path, [(1, 0.9), (2, 0.4)])
    (tmp_path / "epoch_1.pt").touch()
    with pytest.raises(UserError, match="epoch_2.pt is missing"):
        best_checkpoint(tmp_path)
