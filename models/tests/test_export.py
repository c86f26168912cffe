"""The complete way from a checkpoint to a package."""

import tomllib

import pytest
import torch

from bridgeclip_models.checkpoint import sha256_of
from bridgeclip_models.cli import main


@pytest.fixture
def checkpoint(tmp_path, weights):
    path = tmp_path / "epoch_5.pt"
    torch.save({"epoch": 5, "state_dict": {f"module.{name}": value for name, value in weights.items()}}, path)
    return path


def export(checkpoint, config_file, out, *options):
    return main(["export", str(checkpoint), "--architecture", str(config_file), "--out", str(out), *options])


@pytest.mark.parametrize("store", ["f32", "f16"])
def test_package_is_complete_and_its_manifest_true(checkpoint, config_file, tmp_path, store):
    out = tmp_path / "package"
    assert export(checkpoint, config_file, out, "--store", store, "--name", "tiny-model") == 0
    manifest = tomllib.loads((out / "package.toml").read_text())
    assert manifest["name"] == "tiny-model"
    assert manifest["checkpoint"] == {"file": "epoch_5.pt", "sha256": sha256_of(checkpoint)}
    assert set(manifest["files"]) == {"image.onnx", "image.weights", "text.onnx", "text.weights", "tokenizer.json"}
    for name, entry in manifest["files"].items():
        assert entry == {"sha256": sha256_of(out / name), "bytes": (out / name).stat().st_size}


def test_refused_checkpoint_leaves_no_package(tmp_path, config_file, weights, capsys):
    del weights["visual.ln_post.weight"]
    torch.save(weights, tmp_path / "epoch_5.pt")
    assert export(tmp_path / "epoch_5.pt", config_file, tmp_path / "package") == 1
    assert "visual.ln_post.weight" in capsys.readouterr().err
    assert not (tmp_path / "package").exists()


def test_existing_package_is_replaced_only_on_request(checkpoint, config_file, tmp_path, capsys):
    out = tmp_path / "package"
    assert export(checkpoint, config_file, out) == 0
    assert export(checkpoint, config_file, out) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert export(checkpoint, config_file, out, "--overwrite") == 0


def test_wrong_usage_is_code_2():
    with pytest.raises(SystemExit) as stop:
        main(["export"])
    assert stop.value.code == 2
